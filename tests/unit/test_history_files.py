"""Events from files of every kind, and what becomes of rows that are none."""

import csv
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.builders import START, source

from forestay.core.errors import DeadLetter, ForestayError
from forestay.core.rules import Rules
from forestay.history.moment import parse_moment
from forestay.history.reading import EventFile, Problems, Row
from forestay.recording import RecordingMetadata, write_recording

MOMENT = datetime.fromtimestamp(START / 1000, UTC)
ROWS: list[dict[str, Any]] = [
    {"event_id": "e1", "user_id": "u1", "event": "view_item", "ts": START, "item_id": "i1", "price": 2.5},
    {"event_id": "e2", "user_id": "u2", "event": "purchase", "ts": START + 1, "order_id": "o1", "quantity": 3},
    {
        "event_id": "e3",
        "user_id": "u1",
        "event": "purchase",
        "ts": START + 2,
        "items": [{"item_id": "i1", "price": 1.25, "quantity": 2}, {"item_name": "a, b", "price": 0.1}],
        "properties": {"colour": "red"},
    },
]
COLUMNS = sorted({name for row in ROWS for name in row})


def read(path: Path, rules: Rules | None = None) -> list[Row]:
    return list(EventFile(path, rules or Rules(), "clickstream").read())


def seen(rows: list[Row]) -> list[tuple[Any, ...]]:
    return [
        (e.event_id, e.user_id, e.kind, e.ts, e.value, e.quantity, e.order)
        for e in (row.event for row in rows)
        if e is not None
    ]


@pytest.fixture
def expected(tmp_path: Path) -> list[tuple[Any, ...]]:
    path = tmp_path / "expected.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    found = seen(read(path))
    assert len(found) == 3
    assert found[2][4] == 260
    return found


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for row in rows:
            writer.writerow({name: json.dumps(v) if isinstance(v, list | dict) else v for name, v in row.items()})


def test_csv_has_json_in_cells_and_empty_cells_are_nothing(tmp_path: Path, expected: list[tuple[Any, ...]]) -> None:
    write_csv(tmp_path / "events.csv", ROWS)
    assert seen(read(tmp_path / "events.csv")) == expected
    texts = [row | {"ts": "2026-01-01T00:00:00Z"} for row in ROWS]
    write_csv(tmp_path / "texts.csv", texts)
    assert {row[3] for row in seen(read(tmp_path / "texts.csv"))} == {START}


def test_a_json_array_is_as_good_as_lines(tmp_path: Path, expected: list[tuple[Any, ...]]) -> None:
    (tmp_path / "events.json").write_text(json.dumps(ROWS))
    assert seen(read(tmp_path / "events.json")) == expected


def column(name: str) -> list[Any]:
    return [row.get(name) for row in ROWS]


@pytest.mark.parametrize(
    "ts",
    [
        pa.array(column("ts"), pa.int64()),
        pa.array([ts * 1_000_000 + 999 for ts in column("ts")], pa.timestamp("ns")),
        pa.array([ts * 1_000 for ts in column("ts")], pa.timestamp("us", "Europe/Berlin")),
        pa.array([f"2026-01-01T00:00:00.00{n}Z" for n in range(3)]),
    ],
    ids=["milliseconds", "without a zone", "with a zone", "text"],
)
@pytest.mark.parametrize("nested", [True, False])
def test_parquet_has_times_and_items_as_columns(
    tmp_path: Path, expected: list[tuple[Any, ...]], ts: pa.Array, nested: bool
) -> None:
    columns = {name: column(name) for name in COLUMNS}
    if not nested:
        columns["items"] = [None if items is None else json.dumps(items) for items in columns["items"]]
    columns["price"] = [None if price is None else Decimal(str(price)) for price in columns["price"]]
    table = pa.table(columns).set_column(COLUMNS.index("ts"), "ts", ts)
    pq.write_table(table, tmp_path / "events.parquet")
    file = EventFile(tmp_path / "events.parquet", Rules(), "clickstream")
    assert file.rows == 3
    assert seen(list(file.read())) == expected


@pytest.mark.parametrize("name", ["recording.parquet", "recording.jsonl", "recording"])
def test_recordings_are_read_as_a_worker_reads_their_topic(
    tmp_path: Path, expected: list[tuple[Any, ...]], name: str
) -> None:
    records = [source(row, offset) for offset, row in enumerate(ROWS)]
    foreign = records[0]._replace(topic="clock", offset=0)
    wrong_key = records[0]._replace(offset=9, key=b"another")
    metadata = RecordingMetadata(description="three events")
    if name == "recording":
        (tmp_path / name).mkdir()
        write_recording(tmp_path / name / "part-000000.parquet", records[:2], metadata)
        write_recording(tmp_path / name / "part-000001.jsonl", [records[2], foreign, wrong_key], metadata)
    else:
        write_recording(tmp_path / name, [*records, foreign, wrong_key], metadata)
    rows = read(tmp_path / name)
    assert seen(rows) == expected
    assert [row.problem.code for row in rows if row.problem is not None] == ["wrong_key"]
    assert rows[-1].position == 5


def test_rows_that_are_no_events_are_counted_with_their_reason(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    bad = [ROWS[0] | {"price": "dear"}, ROWS[0] | {"event": "dance"}, ROWS[0] | {"event": "dance"}]
    write_csv(path, [ROWS[0], *bad])
    problems = Problems()
    for row in read(path):
        if row.event is None:
            problems.add(path, row)
    lines = list(problems.lines())
    assert problems.total == 3
    assert lines[0].startswith("2 left out, the first is row 4 of events.csv: contract: event: Input should be")
    assert lines[1] == "1 left out, the first is row 3 of events.csv: contract: price: Input should be a valid number"


def test_reasons_that_differ_by_their_numbers_are_one(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    broken = [ROWS[0] | {"items": [{"item_id": "i"}] * n + [{}]} for n in range(3, 6)]
    path.write_text("".join(json.dumps(one) + "\n" for one in broken))
    problems = Problems()
    for row in read(path):
        problems.add(path, row)
    (line,) = problems.lines()
    assert line.startswith("3 left out, the first is row 1 of events.jsonl: contract: items.3")


def test_reasons_are_bounded(tmp_path: Path) -> None:
    problems = Problems()
    for number in range(60):
        problems.add(tmp_path, Row(number, problem=DeadLetter("contract", "x" * number)))
    assert problems.total == 60
    assert len(list(problems.lines())) == 21


def test_another_currency_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps(ROWS[0] | {"currency": one}) + "\n" for one in ("EUR", "USD")))
    problems = [row.problem for row in read(path, Rules(currency="EUR"))]
    assert [problem and problem.code for problem in problems] == [None, "other_currency"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("events.csv", b"id,when\n1,2\n", "has no column event_id, user_id, event, ts"),
        ("events.parquet", b"PAR1 and nothing more", "no Parquet file that can be read"),
        ("events.jsonl", b"", "holds nothing"),
        ("events.csv", b"event_id,user_id,event,ts\n\xff,u,login,1\n", "is not UTF-8"),
    ],
)
def test_files_without_events_say_why(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ForestayError, match=said):
        read(path)


@pytest.mark.parametrize("text", ["2026-01-01", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", str(START)])
def test_a_moment_is_a_date_a_time_or_milliseconds(text: str) -> None:
    assert parse_moment(text) == START


@pytest.mark.parametrize("text", ["yesterday", "2026-01-01T00:00:00", "2026-13-01", "9" * 15, "1969-12-31", "12.5"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ForestayError, match="is no moment: write"):
        parse_moment(text)
