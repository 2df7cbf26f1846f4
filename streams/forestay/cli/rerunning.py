"""Runs recordings through the core for a person who watches."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import typer

from forestay.cli.console import printable
from forestay.cli.progress import progress
from forestay.configuration import load_configuration
from forestay.core.errors import ForestayError
from forestay.rerun.by_ledger import Verified, rerun_by_ledger
from forestay.rerun.job import Ran, Way, rerun, scores_by, written
from forestay.rerun.outputs import Kind
from forestay.rerun.reading import Recordings
from forestay.settings import Settings


class Wanted(NamedTuple):
    """What is asked for."""

    paths: Sequence[Path]
    scores: Way
    quiet_days: float
    out: Path | None


def run_through_core(settings: Settings, wanted: Wanted) -> Ran:
    """Runs recordings through the core and writes down what it makes.

    Raises:
        RecordingError: a recording is damaged, or the output cannot be written.
        ForestayError: the settings cannot work, or no scores are to be had.
    """
    check_out(wanted.out)
    recordings = Recordings(wanted.paths)
    with ExitStack() as stack:
        tell = stack.enter_context(progress())
        embedding = load_configuration(settings).catalogue.reads_embedding
        scores = stack.enter_context(scores_by(wanted.scores, settings, recordings, embedding=embedding))
        sinks = [stack.enter_context(written(wanted.out, settings, recordings))] if wanted.out else []
        return rerun(
            settings,
            recordings,
            scores,
            quiet_days=wanted.quiet_days,
            sinks=sinks,
            tell=lambda done: tell("running through the core", done, None),
        )


def verify(settings: Settings, wanted: Wanted, tolerance: float) -> Verified:
    """Runs recordings by their ledger and compares what they make with what was recorded.

    Raises:
        RecordingError: a recording is damaged, or the output cannot be written.
        ForestayError: the settings cannot work, or what is needed was not recorded.
    """
    check_out(wanted.out)
    recordings = Recordings(wanted.paths)
    with ExitStack() as stack:
        tell = stack.enter_context(progress())
        sinks = [stack.enter_context(written(wanted.out, settings, recordings))] if wanted.out else []
        return rerun_by_ledger(
            settings,
            recordings,
            wanted.scores,
            tolerance,
            sinks=sinks,
            tell=lambda done: tell("making it again by the ledger", done, None),
        )


def check_out(out: Path | None) -> None:
    """Refuses a name that is not that of a recording, before the work is done.

    Raises:
        typer.BadParameter: it is none.
        ForestayError: its folder is not there.
    """
    if out is None:
        return
    if out.suffix not in {".parquet", ".jsonl"}:
        raise typer.BadParameter(f"--out {out}: call it .parquet or .jsonl")
    if not out.parent.is_dir():
        raise ForestayError(f"--out {out}: there is no folder {out.parent}: make it, or name another")


def verified_as_json(found: Verified) -> dict[str, Any]:
    """Returns the outcome of a rerun by the ledger for machines."""
    return {
        "same": found.divergence is None,
        **found.taken._asdict(),
        "seconds": round(found.seconds, 3),
        "made": {str(kind): digest._asdict() for kind, digest in found.made.items()},
        "scores_asked": found.asked,
        "largest_difference": found.largest,
        "untold": found.untold,
        "first_difference": None if found.divergence is None else found.divergence.as_json(),
    }


def verified_lines(found: Verified) -> Iterator[str]:
    """Yields the outcome of a rerun by the ledger for people."""
    taken = found.taken
    pace = taken.records / found.seconds if found.seconds else 0.0
    yield (
        f"{taken.records:,} records in {taken.batches:,} batches, {taken.commits:,} commits, {taken.starts:,} starts:"
        f" {found.seconds:.1f} s ({pace:,.0f}/s)"
    )
    if found.asked:
        yield f"{found.asked:,} scores asked again, off by {found.largest:.2g} at most"
    if found.divergence is not None:
        yield from map(printable, found.divergence.lines())
        return
    made = found.made
    yield (
        f"the same to the byte: {made[Kind.DECISIONS].records:,} decisions, {made[Kind.ACTIONS].records:,} actions,"
        f" {made[Kind.DEAD_LETTERS].records:,} dead letters, and the state at every commit"
    )
    if found.untold:
        yield f"not compared: {found.untold:,} offsets of the clickstream beyond what the recorded ledger tells of"
    if taken.as_made:
        yield f"{taken.as_made:,} decisions were taken as made, as workers did that took over"


def as_json(ran: Ran) -> dict[str, Any]:
    """Returns the outcome for machines."""
    return {
        "records": ran.records,
        "seconds": round(ran.seconds, 3),
        "made": {str(kind): digest._asdict() for kind, digest in ran.made.items()},
        "scores": ran.scores,
    }


def report_lines(ran: Ran) -> Iterator[str]:
    """Yields the outcome for people."""
    pace = ran.records / ran.seconds if ran.seconds else 0.0
    yield f"{ran.records:,} records in {ran.seconds:.1f} s ({pace:,.0f}/s)"
    for kind, digest in ran.made.items():
        if digest.records:
            yield f"  {digest.records:>9,} {kind.replace('_', ' ')}, sha256 {digest.sha256[:16]}"
    if ran.scores.get("missing") or ran.scores.get("other_input"):
        yield (
            f"of the scores {ran.scores['found']:,} were recorded; {ran.scores['missing']:,} moments were not scored"
            f" then, {ran.scores['other_input']:,} had another input: these were decided by the lower rungs"
        )
