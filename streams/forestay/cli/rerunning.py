"""Runs recordings through the core for a person who watches."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from forestay.cli.progress import progress
from forestay.core.errors import ForestayError
from forestay.rerun.job import Ran, Way, rerun, scores_by, written
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
    if wanted.out is not None and wanted.out.suffix not in {".parquet", ".jsonl"}:
        raise ForestayError(f"--out {wanted.out}: call it .parquet or .jsonl")
    recordings = Recordings(wanted.paths)
    with ExitStack() as stack:
        tell = stack.enter_context(progress())
        scores = stack.enter_context(scores_by(wanted.scores, settings, recordings))
        sinks = [stack.enter_context(written(wanted.out, settings, recordings))] if wanted.out else []
        return rerun(
            settings,
            recordings,
            scores,
            quiet_days=wanted.quiet_days,
            sinks=sinks,
            tell=lambda done: tell("running through the core", done, None),
        )


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
