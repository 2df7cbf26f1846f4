"""Reruns in memory: made-up recordings, and everything that comes out."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from support.builders import SOURCES, catalogue

from forestay.core.decision.catalogue import Catalogue
from forestay.core.record import OutputRecord, SourceRecord
from forestay.core.rules import Rules
from forestay.recording import RecordingMetadata, write_recording
from forestay.rerun.event_time import ROWS, EventTime
from forestay.rerun.lane import Plan
from forestay.rerun.outputs import Kind, Made
from forestay.rerun.scores import NoScores, Scores


class Kept:
    """What was made, by kind and partition."""

    def __init__(self) -> None:
        self.records: dict[tuple[Kind, int], list[OutputRecord]] = defaultdict(list)

    def take(self, made: Made) -> None:
        self.records[made.kind, made.partition].extend(made.records)

    def of(self, kind: Kind) -> list[OutputRecord]:
        """Returns the records of a kind, in the order of partitions and of offsets."""
        return [record for place, own in sorted(self.records.items()) for record in own if place[0] == kind]

    def values(self, kind: Kind) -> list[bytes]:
        """Returns their values."""
        return [record.value or b"" for record in self.of(kind)]


def ran(
    rows: Iterable[SourceRecord],
    rules: Rules | None = None,
    shop: Catalogue | None = None,
    scores: Scores | None = None,
    *,
    taken: int = ROWS,
    partitions: int = 1,
) -> tuple[EventTime, Kept]:
    """Runs rows through the core; a key's partition is the number it ends with, modulo `partitions`."""
    plan = Plan(SOURCES, rules or Rules(), shop or catalogue(), lambda key: int(key[-1:]) % partitions)
    kept = Kept()
    run = EventTime(plan, scores or NoScores(), kept, rows=taken)
    run.run(rows)
    return run, kept


def recorded(path: Path, rows: Sequence[SourceRecord], partitions: int = 1) -> Path:
    """Writes a recording of these rows."""
    counts = dict.fromkeys({row.topic for row in rows}, partitions)
    write_recording(path, rows, RecordingMetadata(description="made up", partitions=counts))
    return path
