"""Whatever was on a topic comes back from a recording to the byte, and no damage passes for content."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from forestay.recording import RecordedMessage, RecordingError, RecordingMetadata, open_recording, write_recording

FORMS = ("parquet", "jsonl")
METADATA = RecordingMetadata(description="a test", counts={"rows": 3}, partitions={"t": 2}, properties={"x": [None]})
#: Values on the edge between the ways a line of JSONL can hold them.
EDGES = (
    b"",
    b"null",
    b"{}",
    b"[",
    b'{"a": 1 }',
    b'{"a":\n1}',
    b'{"a":NaN}',
    b'{"a":1}{}',
    b' {"a":1}',
    b'{"a":"\\ud800"}',
)

texts = st.text(st.characters(codec="utf-8"), max_size=12)
json_texts = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
payloads = st.none() | st.binary(max_size=40) | texts.map(str.encode) | st.sampled_from(EDGES)
#: Kafka has headers without a value; the core knows none.
headers: st.SearchStrategy[Any] = st.lists(st.tuples(texts, st.none() | st.binary(max_size=8)), max_size=2).map(tuple)


@st.composite
def messages(draw: st.DrawFn) -> list[RecordedMessage]:
    """A few rows of two topics: offsets rise in each partition, with gaps."""
    ends: dict[tuple[str, int], int] = {}
    rows = []
    for _ in range(draw(st.integers(0, 8))):
        place = draw(st.sampled_from([("t", 0), ("t", 1), ("ü", 0)]))
        ends[place] = ends.get(place, -1) + draw(st.integers(1, 3))
        timestamp = draw(st.integers(-1, 2**62))
        rows.append(RecordedMessage(*place, ends[place], timestamp, draw(payloads), draw(payloads), draw(headers)))
    return rows


@contextmanager
def written(rows: list[RecordedMessage], form: str, block_rows: int = 3) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder, patch("forestay.recording.blocks.BLOCK_ROWS", block_rows):
        path = Path(folder) / f"recording.{form}"
        write_recording(path, rows, METADATA)
        yield path


@pytest.mark.parametrize("form", FORMS)
@given(rows=messages())
def test_what_went_in_comes_out(form: str, rows: list[RecordedMessage]) -> None:
    with written(rows, form) as path:
        recording = open_recording(path)
        assert list(recording) == rows
        assert len(recording) == len(rows)
        assert recording.metadata == METADATA
        assert sum(span.records for span in recording.spans) == len(rows)


@pytest.mark.parametrize("form", FORMS)
@given(rows=messages(), start=st.integers(-9, 9), stop=st.none() | st.integers(-9, 9))
@example(rows=[RecordedMessage("t", 0, offset, 0, b"k", None) for offset in range(3)], start=2, stop=1)
def test_a_range_of_rows_is_a_slice(form: str, rows: list[RecordedMessage], start: int, stop: int | None) -> None:
    with written(rows, form) as path:
        recording = open_recording(path)
        assert list(recording.messages(start, stop)) == rows[start:stop]
        assert sum(batch.num_rows for batch in recording.batches(start, stop)) == len(rows[start:stop])


@given(rows=messages())
def test_both_forms_have_one_digest(rows: list[RecordedMessage]) -> None:
    with written(rows, "parquet") as binary, written(rows, "jsonl") as text:
        assert open_recording(binary).digest == open_recording(text).digest


@given(rows=messages(), other=messages())
def test_other_rows_have_another_digest(rows: list[RecordedMessage], other: list[RecordedMessage]) -> None:
    with written(rows, "parquet") as one, written(other, "parquet") as another:
        assert (open_recording(one).digest == open_recording(another).digest) == (rows == other)


@given(value=json_texts.map(lambda value: {"a": value}))
def test_json_objects_stand_in_a_line_as_they_are(value: dict[str, object]) -> None:
    raw = json.dumps(value).encode()
    with written([RecordedMessage("t", 0, 0, 0, b"k", raw)], "jsonl") as path:
        assert b'"value":' + raw in path.read_bytes()


@pytest.mark.parametrize("form", FORMS)
@given(rows=messages(), data=st.data())
def test_damage_is_found_or_changes_nothing(form: str, rows: list[RecordedMessage], data: st.DataObject) -> None:
    with written(rows, form) as path:
        whole = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place] ^= data.draw(st.integers(1, 255))
        path.write_bytes(whole)
        assert_refused_or_same(path, rows)


@pytest.mark.parametrize("form", FORMS)
@given(rows=messages(), data=st.data())
def test_a_file_cut_off_is_refused(form: str, rows: list[RecordedMessage], data: st.DataObject) -> None:
    with written(rows, form) as path:
        whole = path.read_bytes().rstrip(b"\n")
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        with pytest.raises(RecordingError):
            list(open_recording(path))


def assert_refused_or_same(path: Path, rows: list[RecordedMessage]) -> None:
    try:
        recording = open_recording(path)
        found = list(recording)
    except RecordingError:
        return
    assert found == rows
    assert recording.metadata == METADATA
