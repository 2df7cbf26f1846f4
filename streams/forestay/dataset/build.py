"""From files of events to a folder with a training set, whole or not at all."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from forestay.core.errors import ForestayError
from forestay.core.event import NEVER
from forestay.dataset.leakage import check_separations, count, separations
from forestay.dataset.local import Done
from forestay.dataset.manifest import digest_of, leakage_facts, plan_facts, row_facts, source_facts
from forestay.dataset.part import Job, Made
from forestay.dataset.partitioning import Divided
from forestay.dataset.plan import Plan, Split, moment_text
from forestay.history.point_in_time import Tell
from forestay.history.reading import EventFile, Problems

MANIFEST: Final = "manifest.json"
#: A folder of their own, which readers of Parquet take as one table.
ROWS: Final = "rows"
#: Makes all parts, with at most so many at once.
Engine = Callable[[Sequence[Job], int, Done], list[Made]]


class Wishes(NamedTuple):
    """How a set is made: by which engine with how many workers; and what it is checked for.

    Events are known to be complete up to `known_until` (None: up to the newest one).
    """

    engine: Engine
    workers: int
    known_until: int | None
    suspicious_auc: float
    strict: bool


class Built(NamedTuple):
    """The manifest, what could not be read, and how many events came after the known end."""

    manifest: dict[str, Any]
    problems: Problems
    later: int


def build(files: Sequence[EventFile], plan: Plan, wishes: Wishes, out: Path, tell: Tell) -> Built:
    """Makes the folder `out`, which must not be there, with parts and manifest.

    Raises:
        LeakError: a check failed.
        OSError: a file cannot be read or written.
        ForestayError: the plan cannot be, a file is damaged, or there are no rows.
    """
    plan.check()
    if out.exists():
        raise ForestayError(f"--out {out} is there already: name another folder, or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    # Beside the result: on the same disk, and events take as much room as it has.
    with TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as temporary:
        unfinished = Path(temporary) / "dataset"
        built = _build(files, plan, wishes, unfinished, tell)
        unfinished.rename(out)
    return built


def _build(files: Sequence[EventFile], plan: Plan, wishes: Wishes, folder: Path, tell: Tell) -> Built:
    (folder / ROWS).mkdir(parents=True)
    with Divided(folder.parent, plan.partitions, merge_identities=plan.merge_identities) as divided:
        for file in files:
            divided.read(file, wishes.known_until, tell)
        owned = divided.finish()
        known_until = divided.newest if wishes.known_until is None else wishes.known_until
        _check_read(divided, plan, known_until, strict=wishes.strict)
        parts = [folder / ROWS / f"part-{number:03d}.parquet" for number in range(plan.partitions)]
        jobs = [
            Job(plan, number, known_until, owned[number], divided.paths[number], part)
            for number, part in enumerate(parts)
        ]
        made = wishes.engine(jobs, wishes.workers, lambda done: tell("making rows, partitions", done, len(jobs)))
    manifest = {
        **plan_facts(plan, known_until),
        **_checked(parts, plan, wishes, made),
        "left_out": {"no_events": divided.problems.total, "later": divided.later},
        "sources": source_facts(divided),
        "parts": [
            {"name": f"{ROWS}/{part.name}", **digest_of(part), "rows": one.rows}
            for part, one in zip(parts, made, strict=True)
        ],
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return Built(manifest, divided.problems, divided.later)


def _check_read(divided: Divided, plan: Plan, known_until: int, *, strict: bool) -> None:
    total = divided.problems.total
    if strict and total:
        first = next(divided.problems.lines())
        raise ForestayError(f"{total:,} rows are no events, and --strict was asked for: {first}")
    if divided.newest == NEVER:
        raise ForestayError(f"no event is left: there is nothing to make rows of{divided.problems.told()}")
    if plan.cutoffs[-1] > known_until:
        raise ForestayError(
            f"the cutoff {moment_text(plan.cutoffs[-1])} lies after the data, which end at {moment_text(known_until)}"
        )


def _checked(parts: Sequence[Path], plan: Plan, wishes: Wishes, made: Sequence[Made]) -> dict[str, Any]:
    rows = sum(one.rows for one in made)
    if not rows:
        raise ForestayError("no user is active at any cutoff: there are no rows. Look at --cutoff and --obs")
    counted = count(parts, plan)
    found = separations(parts, plan, rows - counted.rows[Split.GAP])
    check_separations(found, wishes.suspicious_auc)
    return row_facts(counted, plan) | {"leakage": leakage_facts(sum(one.made_again for one in made), found)}
