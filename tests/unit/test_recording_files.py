"""The two forms of a recording, what a person finds in them, and what is refused."""

import hashlib
import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forestay.recording import (
    SCHEMA,
    RecordedMessage,
    RecordingError,
    RecordingMetadata,
    Span,
    open_recording,
    write_recording,
)

METADATA = RecordingMetadata(description="three events", credit="us", licence="CC0-1.0", partitions={"clicks": 2})
ROWS = [
    RecordedMessage("clicks", 0, 7, 1_000, b"u1", b'{"event":"login"}', (("trace", b"a"), ("blob", b"\xff"))),
    RecordedMessage("clicks", 1, 0, 900, None, b"\xff"),
    RecordedMessage("clicks", 0, 9, 2_000, b"u1", None),
]
LINES = """\
{"format":"forestay-recording","metadata":{"counts":{},"credit":"us","description":"three events",\
"licence":"CC0-1.0","partitions":{"clicks":2},"properties":{}},"version":1}
{"topic":"clicks","partition":0,"offset":7,"timestamp":1000,"key":"u1","value":{"event":"login"},\
"headers":[["trace","a"],["blob",{"base64":"/w=="}]]}
{"topic":"clicks","partition":1,"offset":0,"timestamp":900,"key":null,"value_base64":"/w=="}
{"topic":"clicks","partition":0,"offset":9,"timestamp":2000,"key":"u1","value":null}
"""


@pytest.fixture(params=["parquet", "jsonl"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A recording of `ROWS`, in either form."""
    path = tmp_path / f"recording.{request.param}"
    write_recording(path, ROWS, METADATA)
    return path


def test_it_says_what_it_holds(path: Path) -> None:
    recording = open_recording(path)
    assert recording.metadata == METADATA
    assert len(recording) == 3
    assert recording.spans == [Span("clicks", 0, 2, 7, 9, 1_000, 2_000), Span("clicks", 1, 1, 0, 0, 900, 900)]
    assert recording.last_timestamp == 2_000


def test_it_can_be_read_again_and_as_columns(path: Path) -> None:
    recording = open_recording(str(path))
    assert list(recording) == list(recording) == ROWS
    [batch] = recording.batches()
    assert batch.schema.equals(SCHEMA)
    assert batch.column("key").to_pylist() == [b"u1", None, b"u1"]


def test_the_same_rows_give_the_same_bytes(path: Path) -> None:
    before = path.read_bytes()
    write_recording(path, iter(ROWS), METADATA)
    assert path.read_bytes() == before


def test_one_that_fails_half_way_leaves_what_was_there(path: Path) -> None:
    def rows() -> Iterator[RecordedMessage]:
        yield ROWS[0]
        raise InterruptedError

    before = path.read_bytes()
    with pytest.raises(InterruptedError):
        write_recording(path, rows(), METADATA)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_offsets_that_do_not_rise_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecordingError, match="clicks-0: offsets must rise"):
        write_recording(path, [ROWS[0], ROWS[0]], METADATA)
    monkeypatch.setattr("forestay.recording.blocks.BLOCK_ROWS", 1)
    with pytest.raises(RecordingError, match="clicks-0: offsets must rise"):
        write_recording(path, [ROWS[2], ROWS[0]], METADATA)


@pytest.mark.parametrize("bound", ["BLOCK_ROWS", "BLOCK_BYTES"])
def test_blocks_end_at_either_bound(path: Path, bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"forestay.recording.blocks.{bound}", 1)
    write_recording(path, ROWS, METADATA)
    assert [batch.num_rows for batch in open_recording(path).batches()] == [1, 1, 1]
    assert list(open_recording(path)) == ROWS


def test_an_altered_block_is_refused_before_any_of_its_rows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forestay.recording.blocks.BLOCK_ROWS", 2)
    write_recording(path, ROWS, METADATA)
    recording = open_recording(path)
    write_recording(path, [*ROWS[:2], ROWS[2]._replace(value=b"{}")], METADATA)
    messages = recording.messages()
    assert [next(messages), next(messages)] == ROWS[:2]
    with pytest.raises(RecordingError, match="block 1 was altered"):
        next(messages)


def test_nothing_is_refused_politely(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="cannot be read: No such file"):
        open_recording(tmp_path / "none.parquet")
    with pytest.raises(RecordingError, match=r"called \.parquet or \.jsonl"):
        write_recording(tmp_path / "recording.csv", ROWS, METADATA)
    other = tmp_path / "other.parquet"
    other.write_bytes(b"text")
    with pytest.raises(RecordingError, match="is no recording"):
        open_recording(other)
    pq.write_table(pa.table({"a": [1]}), other)
    with pytest.raises(RecordingError, match="a Parquet file, but no recording"):
        open_recording(other)


def test_rows_that_were_not_sealed_are_refused(tmp_path: Path) -> None:
    path, forged = tmp_path / "recording.parquet", tmp_path / "forged.parquet"
    write_recording(path, ROWS, METADATA)
    notes = pq.read_metadata(path).metadata
    with pq.ParquetWriter(forged, pa.schema([("topic", pa.string())])) as writer:
        writer.write_table(pa.table({"topic": ["clicks"] * 3}))
        writer.add_key_value_metadata(notes)
    with pytest.raises(RecordingError, match="not those that were sealed"):
        open_recording(forged)


class TestLines:
    """The JSONL form, which people read and edit."""

    @pytest.fixture
    def lines(self, tmp_path: Path) -> Path:
        """`ROWS` as lines."""
        path = tmp_path / "recording.jsonl"
        write_recording(path, ROWS, METADATA)
        return path

    def test_read_like_this(self, lines: Path) -> None:
        assert lines.read_text().splitlines()[:-1] == LINES.splitlines()

    def test_may_be_edited_where_the_digest_is_taken_out(self, lines: Path) -> None:
        edited = lines.read_text().replace("login", "sign_up").splitlines()
        lines.write_text("\n".join(edited))
        with pytest.raises(RecordingError, match="take the digest out of the last line"):
            open_recording(lines)
        lines.write_text("\r\n\r\n".join([*edited[:-1], '{"records": 3}']))
        assert [message.value for message in open_recording(lines)] == [b'{"event":"sign_up"}', b"\xff", None]

    def test_count_against_what_is_missing(self, lines: Path) -> None:
        written = lines.read_text().splitlines()
        lines.write_text("\n".join([*written[:2], written[-1]]))
        with pytest.raises(RecordingError, match="holds 1 messages, its closing line says 3"):
            open_recording(lines)
        lines.write_text("\n".join(written[:-1]))
        with pytest.raises(RecordingError, match="closing line, which counts the records, is missing"):
            open_recording(lines)

    @pytest.mark.parametrize(
        ("field", "reason"),
        [
            ('"key":"u","value_base64":"!"', "Only base64 data"),
            ('"key":"u","key_base64":"","value":null', "exactly one of key and key_base64"),
            ('"key":"u"', "exactly one of value, value_text and value_base64"),
            ('"key":"u","vlaue":null', "unknown field `vlaue`"),
        ],
    )
    def test_say_which_line_is_wrong_and_why(self, lines: Path, field: str, reason: str) -> None:
        header, *_ = lines.read_text().splitlines()
        line = '{"topic":"t","partition":0,"offset":0,"timestamp":0,' + field + "}"
        lines.write_text(f'{header}\n{line}\n{{"records":1}}')
        with pytest.raises(RecordingError, match=f"line 2 .*{reason}"):
            open_recording(lines)

    def test_of_a_newer_or_another_format_are_refused(self, lines: Path) -> None:
        header, *rest = lines.read_text().splitlines()
        lines.write_text("\n".join([header.replace('"version":1', '"version":2'), *rest]))
        with pytest.raises(RecordingError, match=r"of version 2 of the format.*update it"):
            open_recording(lines)
        lines.write_text("\n".join([header.replace("forestay-recording", "music"), *rest]))
        with pytest.raises(RecordingError, match="says 'music'"):
            open_recording(lines)
        lines.write_text("\n".join(["{}", *rest]))
        with pytest.raises(RecordingError, match="header of the recording cannot be read"):
            open_recording(lines)


def test_the_documented_example_is_what_is_written(path: Path) -> None:
    """Who writes recordings elsewhere checks their own against the example in docs/recording.md."""
    document = (Path(__file__).parents[2] / "docs" / "recording.md").read_text()
    closing = f'{{"records":3,"digest":"{open_recording(path).digest}"}}'
    assert f"\n{LINES}{closing}\n" in document


def test_the_digest_is_made_as_documented(path: Path) -> None:
    """The recipe of docs/recording.md, row by row and with nothing of ours."""

    def column(values: Sequence[bytes | None]) -> bytes:
        lengths = [-1 if value is None else len(value) for value in values]
        return struct.pack(f"<{len(values)}i", *lengths) + b"".join(value or b"" for value in values)

    topics, partitions, offsets, timestamps, keys, values, headers = zip(*ROWS, strict=True)
    block = struct.pack("<q3i3q3q", 3, *partitions, *offsets, *timestamps)
    block += column([topic.encode() for topic in topics]) + column(keys) + column(values)
    block += struct.pack("<3i", *map(len, headers))
    block += column([name.encode() for row in headers for name, _ in row])
    block += column([value for row in headers for _, value in row])
    spans = [("clicks", 0, 2, 7, 9, 1_000, 2_000), ("clicks", 1, 1, 0, 0, 900, 900)]
    names = ("topic", "partition", "records", "first_offset", "last_offset", "min_timestamp", "max_timestamp")
    seal = {
        "records": 3,
        "blocks": [{"records": 3, "sha256": hashlib.sha256(block).hexdigest()}],
        "spans": [dict(zip(names, span, strict=True)) for span in spans],
    }
    whole = LINES.splitlines()[0] + "\n" + json.dumps(seal, sort_keys=True, separators=(",", ":"))
    assert open_recording(path).digest == "sha256:" + hashlib.sha256(whole.encode()).hexdigest()
