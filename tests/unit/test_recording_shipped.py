"""The recording in the repository is whole, credited, and what its notes say."""

from pathlib import Path

import pytest

from forestay.core.decoding.decode import decode_click
from forestay.core.errors import DeadLetter
from forestay.core.record import SourceRecord
from forestay.core.rules import Rules
from forestay.recording import Recording, open_recording

RECORDINGS = Path(__file__).parents[2] / "recordings"
#: The contract is checked on one record in so many: all of them take 5 s.
STEP = 97


@pytest.fixture(scope="module")
def recording() -> Recording:
    return open_recording(RECORDINGS / "online-retail-ii.parquet")


def test_it_is_large_enough_to_show_something_and_small_enough_to_ship(recording: Recording) -> None:
    assert len(recording) >= 100_000
    assert recording.path.stat().st_size < 6_000_000


def test_it_is_credited(recording: Recording) -> None:
    for text in ("Online Retail II", "Chen, D.", "UCI Machine Learning Repository"):
        assert text in recording.metadata.credit
        assert text in (RECORDINGS / "README.md").read_text()
    assert recording.metadata.licence == "CC-BY-4.0"


def test_every_block_is_as_it_was_sealed_and_the_counts_add_up(recording: Recording) -> None:
    counts = recording.metadata.counts
    events = counts["purchases"] + counts["refunds"]
    assert sum(batch.num_rows for batch in recording.batches()) == len(recording)
    assert len(recording) == events + counts["broken"] + counts["repeats"]
    assert counts["source_lines"] == events + sum(n for name, n in counts.items() if name.startswith("left_out"))
    assert {span.partition for span in recording.spans} == set(range(recording.metadata.partitions["clickstream"]))


def test_events_keep_the_contract_and_the_dozen_does_not(recording: Recording) -> None:
    notes = {note["row"]: note["note"] for note in recording.metadata.properties["notes"]}
    dead = 0
    for row, message in enumerate(recording):
        if row not in notes and row % STEP:
            continue
        try:
            decode_click(SourceRecord(*message), Rules(currency="GBP"))
        except DeadLetter:
            assert notes[row].startswith("broken")
            dead += 1
    assert dead == recording.metadata.counts["broken"] == 12
