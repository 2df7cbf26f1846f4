"""Watches recordings for a person or a pipeline."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from forestay.cli.console import printable
from forestay.cli.progress import progress
from forestay.core.errors import ForestayError, UsageError
from forestay.core.units import to_datetime
from forestay.core.watch.reference import Reference
from forestay.core.watch.words import told
from forestay.history.moment import parse_moment
from forestay.rerun.job import Way, rerun, scores_by
from forestay.rerun.reading import Recordings
from forestay.settings import Settings
from forestay.shell.observing.stream_watch import read_reference
from forestay.watching.course import Alarm
from forestay.watching.watching import Span, Watching
from forestay_schemas import rfc3339
from forestay_schemas.types import MAX_EPOCH_MILLISECONDS


class Wanted(NamedTuple):
    """What is asked for."""

    paths: Sequence[Path]
    reference: Path | None
    first: str | None
    until: str | None
    scores: Way
    write_reference: Path | None


def watch(settings: Settings, wanted: Wanted) -> Watching:
    """Runs recordings through the core and watches; writes the reference that is asked for.

    Raises:
        RecordingError: a recording is damaged.
        ForestayError: the settings or a reference cannot work, or no scores are to be had.
    """
    span = Span(
        0 if wanted.first is None else parse_moment(wanted.first),
        MAX_EPOCH_MILLISECONDS if wanted.until is None else parse_moment(wanted.until),
    )
    if span.until <= span.first:
        raise UsageError(f"--until {wanted.until} lies before --from {wanted.first}: nothing would be watched")
    if wanted.write_reference is not None and wanted.write_reference.exists():
        raise ForestayError(f"--write-reference {wanted.write_reference}: it is there already")
    named = wanted.reference or settings.watch.reference
    reference: Reference | None = None if named is None else read_reference(named)
    watching = Watching(reference, span, learn=wanted.write_reference is not None)
    recordings = Recordings(wanted.paths)
    with progress() as tell, scores_by(wanted.scores, settings, recordings) as scores:
        rerun(
            settings,
            recordings,
            scores,
            tell=lambda done: tell("watching", done, None),
            observe=watching.observe,
        )
    if wanted.write_reference is not None:
        _write(wanted.write_reference, watching.learned())
    return watching


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ForestayError(f"--write-reference {path} cannot be written: {error.strerror}") from error


def as_json(found: Watching) -> dict[str, Any]:
    """Returns the watch for machines."""
    last, horizon = found.course.last, found.horizon
    return {
        "events": found.events,
        "scores": found.rows,
        "days": len(found.course.days),
        "reference": None
        if found.reference is None
        else {"moments": found.reference.moments, "users": found.reference.users},
        "alarms": [_alarm(one) for one in found.course.alarms],
        "findings": [] if last is None else [one._asdict() for one in last.findings],
        "returns": [{"day": _moment(day.start), **day.returns._asdict()} for day in found.course.days],
        "horizon": None if horizon is None else {"days": horizon.days, **horizon.windows._asdict()},
        "expected_auc": last and last.expected_auc,
        "expected_brier": last and last.expected_brier,
    }


def _alarm(alarm: Alarm) -> dict[str, Any]:
    ended = None if alarm.ended is None else _moment(alarm.ended)
    return {
        "watch": alarm.watch,
        "of": alarm.of,
        "began": _moment(alarm.began),
        "ended": ended,
        "value": alarm.value,
        "worst": alarm.worst,
    }


def _moment(moment: int) -> str:
    return rfc3339(to_datetime(moment))


def report_lines(found: Watching) -> Iterator[str]:
    """Yields the watch for people."""
    course = found.course
    yield f"{found.events:,} events, {found.rows:,} scores, {len(course.days):,} days with traffic"
    if found.reference is None:
        yield "no reference: who is scored is not compared (--reference, or make one with --write-reference)"
    for alarm in course.alarms:
        ended = "on to the end" if alarm.ended is None else f"until {_moment(alarm.ended)}"
        yield f"ALARM {_moment(alarm.began)}, {ended}: {printable(alarm.worst)}"
    if not course.alarms:
        yield "no alarm"
    if course.last is not None:
        for finding in course.last.findings:
            if finding.watch in {"psi", "returns"}:
                yield f"  {told(finding)}"
    horizon = found.horizon
    if horizon is not None:
        windows = horizon.windows
        yield (
            f"within {horizon.days} days {windows.observed:,} of {windows.closed:,} users ordered,"
            f" {windows.expected:,.0f} were expected to"
        )
