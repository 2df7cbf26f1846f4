"""Order lines become click events, what is no event is counted, and faults lie where they are said to lie."""

import json
import sys
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forestay.core.decoding.decode import decode_click
from forestay.core.errors import DeadLetter
from forestay.core.record import SourceRecord
from forestay.core.rules import Rules
from forestay.recording import RecordedMessage, Recording, open_recording
from forestay_training.online_retail import convert, main
from forestay_training.online_retail_faults import FAULTS, NOTE, REPEATS

START = datetime(2009, 12, 1, 7, 45)  # noqa: DTZ001 - the source has local times without a zone
LINE: dict[str, Any] = {
    "invoice": "489434",
    "stock_code": "85048",
    "description": " 15CM CHRISTMAS GLASS BALL 20 LIGHTS ",
    "quantity": 12,
    "invoice_ts": START,
    "unit_price": 6.95,
    "customer_id": 13085,
    "country": "United Kingdom",
}
ODD_LINES: list[dict[str, Any]] = [
    {"customer_id": None},
    {"stock_code": "POST"},
    {"unit_price": 0.0},
    {"quantity": -1},
    {"description": None, "country": "Channel Islands"},
    {"invoice": "C489449", "quantity": -3, "country": "EIRE"},
]
#: Enough for the places of all faults to be drawn from.
PLAIN_LINES = 600
EXTRA = len(FAULTS) + REPEATS


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A year of one shop, small: odd lines first, then orders of one line by seven customers in turn."""
    lines = [LINE | odd for odd in ODD_LINES]
    lines += [
        LINE
        | {"invoice": str(500_000 + number), "customer_id": number % 7, "invoice_ts": START + timedelta(hours=number)}
        for number in range(PLAIN_LINES)
    ]
    path = tmp_path_factory.mktemp("retail") / "orders.parquet"
    pq.write_table(pa.Table.from_pylist(lines), path)
    return path


@pytest.fixture(scope="module")
def recording(source: Path) -> Recording:
    """What the converter makes of it."""
    path = source.with_name("recording.parquet")
    convert(source, path)
    return open_recording(path)


@pytest.fixture(scope="module")
def messages(recording: Recording) -> list[RecordedMessage]:
    return list(recording)


def note(message: RecordedMessage) -> str:
    return (dict(message.headers).get(NOTE) or b"").decode()


def test_an_order_line_is_a_purchase(messages: list[RecordedMessage]) -> None:
    message = next(message for message in messages if b'"500000-1"' in (message.value or b""))
    assert message.key == b"u0"
    assert message.timestamp == 1_259_653_500_000
    assert json.loads(message.value or b"") == {
        "event": "purchase",
        "event_id": "500000-1",
        "user_id": "u0",
        "ts": "2009-12-01T07:45:00Z",
        "order_id": "500000",
        "item_id": "85048",
        "item_name": "15CM CHRISTMAS GLASS BALL 20 LIGHTS",
        "price": 6.95,
        "quantity": 12,
        "currency": "GBP",
        "country": "GB",
    }


def test_a_return_is_a_refund_and_what_is_missing_is_left_out(messages: list[RecordedMessage]) -> None:
    islander, irish = (json.loads(message.value or b"") for message in messages[:2])
    assert (islander["event"], islander["properties"]) == ("purchase", {"country_name": "Channel Islands"})
    assert not {"country", "item_name"} & islander.keys()
    assert islander["event_id"] == "489434-5", "lines are counted as the source has them"
    assert (irish["event"], irish["quantity"], irish["country"]) == ("refund", 3, "IE")


def test_what_is_no_event_is_counted(recording: Recording) -> None:
    assert recording.metadata.counts == {
        "source_lines": PLAIN_LINES + len(ODD_LINES),
        "purchases": PLAIN_LINES + 1,
        "refunds": 1,
        "left_out_no_customer": 1,
        "left_out_not_a_product": 1,
        "left_out_price_zero": 1,
        "left_out_quantity_against_kind": 1,
        "users": 8,
        "broken": 12,
        "repeats": 24,
    }
    assert len(recording) == PLAIN_LINES + 2 + EXTRA
    assert "Chen, D." in recording.metadata.credit
    assert recording.metadata.licence == "CC-BY-4.0"


def test_each_broken_record_is_broken_in_its_own_way(messages: list[RecordedMessage]) -> None:
    reasons = {}
    for message in messages:
        if note(message).startswith("broken"):
            with pytest.raises(DeadLetter) as caught:
                decode_click(SourceRecord(*message), Rules(currency="GBP"))
            reasons[note(message)] = str(caught.value)
        else:
            decode_click(SourceRecord(*message), Rules(currency="GBP"))
    assert reasons.keys() == {f"broken on purpose: {name}" for name in FAULTS}
    assert len(set(reasons.values())) == len(FAULTS)


def test_broken_records_have_the_key_of_a_neighbour(messages: list[RecordedMessage]) -> None:
    for before, message in pairwise(messages):
        if note(message).startswith("broken") and "another user" not in note(message):
            assert message.key == before.key


def test_repeats_follow_their_original(messages: list[RecordedMessage]) -> None:
    repeats = [row for row, message in enumerate(messages) if note(message).startswith("an exact repeat")]
    assert len(repeats) == REPEATS
    for row in repeats:
        originals = [earlier for earlier in range(row) if messages[earlier].value == messages[row].value]
        assert len(originals) == 1
        assert messages[originals[0]].key == messages[row].key
        assert row - originals[0] <= 200 + EXTRA


def test_records_are_in_order_of_time_and_users_keep_their_partition(messages: list[RecordedMessage]) -> None:
    times = [message.timestamp for message in messages]
    assert times == sorted(times)
    assert len({(message.key, message.partition) for message in messages}) == 8
    # What org.apache.kafka.common.utils.Utils.murmur2 of Kafka 4.1 says for four partitions.
    assert {(b"u0", 2), (b"u1", 0), (b"u5", 3)} <= {(message.key, message.partition) for message in messages}


def test_notes_are_listed(recording: Recording, messages: list[RecordedMessage]) -> None:
    noted = [{"row": row, "note": note(message)} for row, message in enumerate(messages) if note(message)]
    assert recording.metadata.properties["notes"] == noted


def test_the_command_says_what_it_made_and_makes_the_same_again(
    source: Path, recording: Recording, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    again = source.with_name("again.parquet")
    monkeypatch.setattr(sys, "argv", ["online_retail", "--source", str(source), "--out", str(again)])
    main()
    assert json.loads(capsys.readouterr().out)["bytes"] == again.stat().st_size
    assert again.read_bytes() == recording.path.read_bytes()


def test_the_command_says_where_a_missing_source_is_found(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["online_retail", "--source", "nowhere.parquet", "--out", "out.parquet"])
    with pytest.raises(SystemExit):
        main()
    assert "there is no nowhere.parquet: the data set is at https://" in capsys.readouterr().err
