"""One partition from events to Parquet: the function that every engine runs."""

import io
from pathlib import Path
from typing import IO, NamedTuple

from forestay.dataset.partitioning import histories
from forestay.dataset.plan import Plan
from forestay.dataset.rows import PartitionRows
from forestay.dataset.tables import write_part
from forestay.history.links import Owned


class Job(NamedTuple):
    """What is to be done for one partition; `owned` are the ids it has to do with that are another's.

    Events are known up to `known_until`, in milliseconds. `events` and `part` are files of the machine that asks.
    """

    plan: Plan
    number: int
    known_until: int
    owned: dict[str, Owned]
    events: Path
    part: Path


class Made(NamedTuple):
    """What was made of one partition: rows, and how many of them were made again and found the same."""

    rows: int
    made_again: int


def make_part(job: Job, events: IO[bytes], into: IO[bytes]) -> Made:
    """Writes a partition's rows; the same events in any order are the same bytes.

    Raises:
        LeakError: a row knows what comes after it.
    """
    told = histories(events, job.number, job.plan.partitions, job.owned)
    found = PartitionRows(job.plan, told, job.owned, job.known_until)
    return Made(write_part(found.rows(), job.plan, into), found.made_again)


def make_file(job: Job) -> Made:
    """Makes a part from a file to a file."""
    with job.events.open("rb") as events, job.part.open("wb") as part:
        return make_part(job, events, part)


def make_bytes(job: Job, events: bytes) -> tuple[Made, bytes]:
    """Makes a part where the files are not at hand."""
    part = io.BytesIO()
    return make_part(job, io.BytesIO(events), part), part.getvalue()
