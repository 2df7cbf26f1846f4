"""Small training sets from click events, and what is in them."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import pyarrow.parquet as pq
from support.builders import Click

from forestay.core.rules import Rules
from forestay.dataset.build import Built, Wishes, build
from forestay.dataset.local import make_locally
from forestay.dataset.partitioning import Divided, histories
from forestay.dataset.plan import Plan
from forestay.dataset.rows import PartitionRows
from forestay.dataset.tables import Row
from forestay.history.reading import EventFile

#: One process, the newest event's time as the end of the data, every check.
WISHES: Final = Wishes(make_locally, 1, None, 0.99, strict=False)


class Key(NamedTuple):
    """Which row it is: a user, and a cutoff in milliseconds."""

    user_id: str
    cutoff: int


def silent(_stage: str, _done: int, _total: int | None) -> None:
    """A person who does not look."""


def write_events(path: Path, clicks: Sequence[Click]) -> Path:
    """Writes events as JSON lines."""
    path.write_text("".join(json.dumps(one) + "\n" for one in clicks))
    return path


def made(events: Path, plan: Plan, out: Path, wishes: Wishes = WISHES) -> Built:
    """Makes a set of one file."""
    return build([EventFile(events, Rules(), "clickstream")], plan, wishes, out, silent)


def rows_of(clicks: Sequence[Click], plan: Plan, known_until: int | None = None) -> dict[Key, Row]:
    """Returns the rows of all partitions, made without Parquet."""
    with TemporaryDirectory() as folder:
        path = write_events(Path(folder) / "events.jsonl", clicks)
        found = list(_rows(path, plan, known_until))
    rows = {Key(row.user_id, row.cutoff): row for row in found}
    assert len(rows) == len(found)
    return rows


def _rows(path: Path, plan: Plan, known_until: int | None) -> Iterator[Row]:
    with Divided(path.parent, plan.partitions, merge_identities=plan.merge_identities) as divided:
        divided.read(EventFile(path, Rules(), "clickstream"), known_until, silent)
        concerned = divided.finish()
    for number, (events, owned) in enumerate(zip(divided.paths, concerned, strict=True)):
        with events.open("rb") as file:
            told = histories(file, number, plan.partitions, owned)
        rows = PartitionRows(plan, told, owned, divided.newest if known_until is None else known_until)
        part = list(rows.rows())
        assert [(row.user_id, row.cutoff) for row in part] == sorted((row.user_id, row.cutoff) for row in part)
        yield from part


def table(out: Path) -> Any:
    """Returns all rows of a finished set."""
    return pq.read_table(out / "rows")


def parts(out: Path) -> list[bytes]:
    """Returns the bytes of the parts of a finished set."""
    return [path.read_bytes() for path in sorted((out / "rows").iterdir())]
