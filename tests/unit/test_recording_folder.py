"""A folder of parts reads as one recording, and one that does not hang together is refused."""

from pathlib import Path

import pytest

from forestay.recording import (
    RecordedMessage,
    RecordingError,
    RecordingMetadata,
    Span,
    open_recording,
    write_recording,
)

ROWS = [RecordedMessage("t", number % 2, number // 2, 100 - number, b"k", b"%d" % number) for number in range(12)]


def write_part(folder: Path, number: int, rows: list[RecordedMessage], form: str = "parquet") -> Path:
    path = folder / f"part-{number:06}.{form}"
    write_recording(path, rows, RecordingMetadata(description=f"part {number}", partitions={"t": 2}))
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`ROWS` in four parts of either form, in blocks of two rows; the first has none."""
    monkeypatch.setattr("forestay.recording.blocks.BLOCK_ROWS", 2)
    write_part(tmp_path, 0, [])
    write_part(tmp_path, 1, ROWS[:4])
    write_part(tmp_path, 2, ROWS[4:9], "jsonl")
    write_part(tmp_path, 3, ROWS[9:])
    (tmp_path / ".part-000004.parquet.1.unfinished").write_bytes(b"PAR1")
    (tmp_path / "notes.txt").write_text("not of the recording")
    return tmp_path


def test_it_reads_as_one(folder: Path) -> None:
    recording = open_recording(folder)
    assert list(recording) == ROWS
    assert len(recording) == 12
    assert recording.spans == [Span("t", 0, 6, 0, 5, 90, 100), Span("t", 1, 6, 0, 5, 89, 99)]
    assert recording.metadata.partitions == {"t": 2}


def test_any_range_of_rows_can_be_read(folder: Path) -> None:
    recording = open_recording(str(folder))
    for start in range(12):
        for stop in range(start, 13):
            assert list(recording.messages(start, stop)) == ROWS[start:stop]


def test_its_digest_is_of_its_parts(folder: Path) -> None:
    before = open_recording(folder).digest
    write_part(folder, 3, [*ROWS[9:11], ROWS[11]._replace(value=b"other")])
    assert open_recording(folder).digest != before


def test_the_oldest_may_be_taken_away_but_none_between(folder: Path) -> None:
    (folder / "part-000000.parquet").unlink()
    (folder / "part-000001.parquet").unlink()
    assert list(open_recording(folder)) == ROWS[4:]
    write_part(folder, 0, [])
    with pytest.raises(RecordingError, match="part 1 is missing"):
        open_recording(folder)


def test_a_part_that_is_there_twice_is_refused(folder: Path) -> None:
    write_part(folder, 2, ROWS[4:9], "parquet")
    with pytest.raises(RecordingError, match=r"part-000002.jsonl and part-000002.parquet are the same part"):
        open_recording(folder)


def test_a_part_of_another_recording_is_refused(folder: Path) -> None:
    write_part(folder, 3, ROWS[7:])
    with pytest.raises(RecordingError, match=r"part-000003.parquet: begins t-0 at offset 4.*another recording"):
        open_recording(folder)


def test_an_altered_part_is_named(folder: Path) -> None:
    recording = open_recording(folder)
    write_part(folder, 3, [ROWS[9], ROWS[10], ROWS[11]._replace(value=b"other")])
    with pytest.raises(RecordingError, match=r"part-000003.parquet: block 1 was altered"):
        list(recording)
    (folder / "part-000001.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(RecordingError, match=r"part-000001.parquet: .*cut off or damaged"):
        open_recording(folder)


def test_a_folder_without_parts_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"holds no recording: its parts are called part-000000\.parquet"):
        open_recording(tmp_path)
