"""Bytes to events: what is read, what goes to the dead letters, with which code, and what a dead letter keeps."""

import json
from typing import Any

import pytest
from support.builders import SOURCES, START, TOPIC, apply, click, partition, source, states, stream, tick

from forestay.core.decoding.decode import (
    MAX_DEAD_LETTER_BYTES,
    MAX_VALUE_BYTES,
    dead_letter,
    decode_click,
    decode_clock,
)
from forestay.core.errors import DeadLetter, ForestayError
from forestay.core.event import PURCHASE, Event
from forestay.core.hashing import hash64
from forestay.core.record import SourceRecord
from forestay.core.rules import Rules
from forestay.core.units import DAY, MINUTE
from forestay_schemas.click_event import MAX_PROPERTIES_BYTES
from forestay_schemas.types import MAX_EPOCH_MILLISECONDS

FAR = 300_000_000_000_000  # a record timestamp later than any moment a contract allows


def decode(event: dict[str, Any], timestamp: int = FAR) -> Event:
    return decode_click(source(event, timestamp=timestamp), Rules())


def refused(record: SourceRecord, currency: str | None = None) -> DeadLetter:
    with pytest.raises(DeadLetter) as caught:
        decode_click(record, Rules(currency=currency))
    return caught.value


def with_json(tail: bytes) -> bytes:
    """Returns a valid event with further JSON text before its closing brace."""
    return json.dumps(click()).encode()[:-1] + b"," + tail + b"}"


def test_every_field_becomes_the_number_the_core_needs() -> None:
    event = decode(
        click(event="purchase", price=2.674, quantity=3, order_id="o", item_id="i", category="a/b", country="DE")
    )
    assert (event.kind, event.ts, event.value, event.quantity) == (PURCHASE, START, 267 * 3, 3)
    (line,) = event.items
    assert (line.item, line.category, line.price, line.quantity) == (hash64("i"), hash64("a/b"), 267, 3)
    assert event.country == "DE"
    assert event.id_hash == hash64("e1")
    assert event.order != 0


def test_what_an_event_does_not_name_is_nought() -> None:
    event = decode(click())
    assert (event.order, event.items, event.value, event.quantity) == (0, [], 0, 1)
    assert (event.country, event.timezone) == (None, None)


def test_only_purchases_and_refunds_have_an_order_and_never_the_same() -> None:
    orders = {kind: decode(click(event=kind, order_id="o")).order for kind in ("purchase", "refund", "view_item")}
    assert orders["view_item"] == 0
    assert len(set(orders.values())) == 3


@pytest.mark.parametrize(
    ("ts", "milliseconds"),
    [
        (0, 0),
        (START, START),
        (MAX_EPOCH_MILLISECONDS, MAX_EPOCH_MILLISECONDS),
        ("2026-01-01T00:00:00Z", START),
        ("2026-01-01T05:30:00+05:30", START),
        ("2025-12-31T16:00:00-08:00", START),
        ("2026-01-01t00:00:00z", START),
        ("2026-01-01T00:00:00.001Z", START + 1),
        ("2026-01-01T00:00:00.1239999Z", START + 123),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
    ],
)
def test_times_are_rfc_3339_or_epoch_milliseconds(ts: int | str, milliseconds: int) -> None:
    assert decode(click(ts=START) | {"ts": ts}).ts == milliseconds


@pytest.mark.parametrize(
    "ts",
    [
        *(-1, 10**30, MAX_EPOCH_MILLISECONDS + 1, True, 1.0, 1e12, None, [], {}, ""),
        *("2026-01-01T00:00:00", "2026-01-01", "1767225600000", "-1", "0001-01-01T00:00:00Z"),
        *("2016-12-31T23:59:60Z", "2026-02-29T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00+24:00"),
        "9999-12-31T23:59:59-12:00",
    ],
)
def test_other_times_are_refused(ts: object) -> None:
    problem = refused(source(click() | {"ts": ts}, timestamp=FAR))
    assert (problem.code, str(problem)[:2]) == ("contract", "ts")


def test_a_time_the_calendar_cannot_work_with_is_refused_whatever_the_record_says() -> None:
    """An action that expires beyond the year 9999 once stopped the worker, and again after each restart."""
    event = click() | {"ts": "9999-12-31T23:59:59Z"}
    assert refused(source(event, timestamp=FAR)).code == "in_the_future"
    clock = SourceRecord("forestay-clock", 0, 0, FAR, None, b'{"ts": "9999-12-31T23:59:59Z"}')
    with pytest.raises(DeadLetter, match="calendar"):
        decode_clock(clock)


def test_an_event_may_lie_fifteen_minutes_ahead_of_its_record_and_no_more() -> None:
    assert decode(click(ts=START + 15 * MINUTE), timestamp=START).ts == START + 15 * MINUTE
    assert refused(source(click(ts=START + 15 * MINUTE + 1), timestamp=START)).code == "in_the_future"


@pytest.mark.parametrize(
    "value",
    [
        *(
            b"",
            b"{",
            b"\xff\xfe",
            b"{'a': 1}",
            json.dumps(click()).encode()[:-3],
            json.dumps(click()).encode() + b"x",
        ),
        *(b"\xef\xbb\xbf" + json.dumps(click()).encode(), json.dumps(click()).encode("utf-16")),
        *(
            b'{"a":' * 50_000,
            with_json(b'"p":' + b"9" * 5_000),
            with_json(b'"p":"\\ud800"'),
            with_json(b'"p":"\xc3("'),
        ),
    ],
)
def test_what_is_not_json_is_told_apart(value: bytes) -> None:
    assert refused(source(value)).code == "not_json"


@pytest.mark.parametrize(
    "more",
    [
        *({"event_id": bad} for bad in ("", "x" * 201, "a\n", "\x00mark", 5, None)),
        *({"event": bad} for bad in ("Purchase", "", None, 1)),
        *({"price": bad} for bad in (-0.01, 1e9 + 1, float("nan"), float("inf"), 10**400, "twelve", [1])),
        *({"quantity": bad} for bad in (0, -1, 1_000_001, 2.5)),
        *({"currency": bad} for bad in ("eur", "EURO", "€")),
        *({"properties": bad} for bad in ("x", [1], {"x": "y" * MAX_PROPERTIES_BYTES})),
        {"properties": "x", "unknown": 1},
        {"category": "c" * 1_001},
        {"rating": 101},
    ],
)
def test_a_field_outside_its_contract_is_named(more: dict[str, Any]) -> None:
    problem = refused(source(click() | more, key=b"u1"))
    assert problem.code == "contract"
    assert next(iter(more)) in str(problem)


@pytest.mark.parametrize("value", [b"null", b"[]", b'"x"', b"1", b"{}", with_json(b'"price":1e400')])
def test_json_that_is_no_event_breaks_the_contract(value: bytes) -> None:
    assert refused(source(value)).code == "contract"


def test_reasons_are_short_and_leave_values_out() -> None:
    problem = refused(source(click(price="secret") | {"event_id": "secret\n", "event": "secret"}))
    assert "secret" not in str(problem)
    assert len(str(problem)) <= 500
    assert "(and 2 more)" in str(problem)


def test_unknown_fields_move_to_properties_and_break_nothing() -> None:
    assert decode(click(utm={"source": ["x", None]}, properties={"utm": 1})).event_id == b"e1"


@pytest.mark.parametrize("key", [None, b"", b"u2", b"u1 ", b"\xff", "u1".encode("utf-16")])
def test_a_key_that_is_not_the_user_is_refused(key: bytes | None) -> None:
    assert refused(source(json.dumps(click()).encode(), key=key)).code == "wrong_key"


def test_a_user_id_outside_ascii_is_keyed_in_utf_8() -> None:
    assert decode(click(user_id="žluťoučký-🐎")).user_id == "žluťoučký-🐎"


def test_only_the_shops_currency_is_taken_where_one_is_set() -> None:
    assert refused(source(click(currency="USD")), "EUR").code == "other_currency"
    assert decode_click(source(click(currency="EUR")), Rules(currency="EUR")).event_id == b"e1"
    assert decode_click(source(click()), Rules(currency="EUR")).event_id == b"e1"
    assert decode_click(source(click(currency="USD")), Rules()).event_id == b"e1"


def test_size_and_absence_are_seen_before_anything_is_read() -> None:
    assert refused(source(None)).code == "no_value"
    assert refused(source(b" " * (MAX_VALUE_BYTES + 1))).code == "too_large"
    assert refused(source(b" " * MAX_VALUE_BYTES)).code == "not_json"


def test_a_dead_letter_keeps_every_byte_and_says_where_it_came_from() -> None:
    headers = [("trace", b"\x00\xff"), ("trace", None), ("forestay-error", b"older")]
    core = partition()
    record = source(b"\xff\xfe", 7, key=b"\x00", partition=0, headers=headers)
    letter = apply(core, [record]).dead_letters[0]
    assert (letter.key, letter.value) == (b"\x00", b"\xff\xfe")
    assert list(letter.headers[:3]) == headers
    added = dict(letter.headers[3:])
    assert (added.pop("forestay-reason") or b"").startswith(b"Invalid JSON")
    assert added == {
        "forestay-error": b"not_json",
        "forestay-topic": b"clickstream",
        "forestay-partition": b"0",
        "forestay-offset": b"7",
    }


def test_a_bad_record_leaves_its_neighbours_alone() -> None:
    alone, beside = partition(), partition()
    apply(alone, [source(click(), 0), source(click("e2"), 2)])
    apply(beside, [source(click(), 0), source(b"{", 1), source(click("e2"), 2)])
    assert states(alone) == states(beside)
    assert beside.positions == {"clickstream": 3}


def test_a_clock_record_out_of_contract_is_a_dead_letter_too() -> None:
    core = partition(Rules(dead_letter_limit=1.0))
    broken = [tick(START, n)._replace(value=value) for n, value in enumerate([b"{", None, b'{"ts": 1, "more": 2}'])]
    letters = core.apply(SOURCES.clock, broken).dead_letters
    assert [dict(letter.headers)["forestay-error"] for letter in letters] == [b"not_json", b"not_json", b"contract"]
    assert core.clock == -1


def test_offsets_may_jump_but_never_fall() -> None:
    core = partition()
    apply(core, [source(click(), 3), source(click("e2"), 9)])
    with pytest.raises(ForestayError, match="offset 9 came after 9"):
        apply(core, [source(click("e3"), 9)])
    assert stream(click())[0].offset == 0


def test_a_dead_letter_too_large_for_a_broker_is_cut_and_says_so() -> None:
    letter = dead_letter(TOPIC, 0, source(b"x" * 6_000_000, 7), DeadLetter("not_json", "no JSON"))
    headers = dict(letter.headers)
    assert len(letter.value or b"") + len(letter.key or b"") <= MAX_DEAD_LETTER_BYTES
    assert headers["forestay-offset"] == b"7"
    assert headers["forestay-cut"] == f"{6_000_000 + len(letter.key or b'')} bytes of key, value and headers".encode()


def test_a_large_dead_letter_that_fits_is_untouched() -> None:
    record = source(b"x" * 900_000, 7)
    letter = dead_letter(TOPIC, 0, record, DeadLetter("not_json", "no JSON"))
    assert (letter.key, letter.value) == (record.key, record.value)
    assert "forestay-cut" not in dict(letter.headers)


def test_where_the_stream_is_live_a_wrong_clock_of_the_producer_moves_no_time() -> None:
    """The record's own timestamp comes from the same clock: of the year 2095, it would make all others too late."""
    core = partition()
    year_2095 = START + 69 * 365 * DAY
    wrong = source(click(ts=year_2095), timestamp=year_2095)
    applied = core.apply(TOPIC, [wrong], START)
    assert dict(applied.dead_letters[0].headers)["forestay-error"] == b"in_the_future"
    assert (core.clock, core.watermark) == (-1, -1)
    assert core.apply(TOPIC, [source(click(), offset=1)], START).dead_letters == []
