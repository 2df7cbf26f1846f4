"""The watch as one HTML file: it needs no network, no script, and reads well on a telephone."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from forestay.core.units import to_datetime
from forestay.core.watch.words import MEANING, told
from forestay.pages.environment import environment, moment
from forestay.watching.course import Course, Line
from forestay.watching.watching import Watching

#: Rows of the table of alarms.
_MOST_ALARMS: Final = 40
#: Width and height of a line of days, in units of the drawing.
_WIDTH: Final = 240.0
_HEIGHT: Final = 36.0
_TITLES: Final = {
    "psi": "Who is scored",
    "returns": "Who comes back",
    "missing": "Fields that are missing",
    "repeated": "Fields that do not change",
}
_EXPLAINED: Final = {
    "psi": "Population stability index of the last 24 hours against the reference, each user once. The dashed line is"
    " what makes it an alarm: 0.1, or what chance alone exceeds once in ten thousand times at so many users.",
    "returns": "Standard deviations between the users who ordered within 24 hours of a score and those the model"
    " expected to.",
    "missing": "Share of the last five minutes' events without the field, against what is usual of their kinds.",
    "repeated": "Share of these events with the same value as the event before.",
}


class Tile(NamedTuple):
    """One figure of the head."""

    value: str
    name: str


def write_page(path: Path, watching: Watching, title: str) -> None:
    """Writes the page to `path`; `title` says what was watched."""
    path.write_text(page(watching, title), encoding="utf-8")


def page(watching: Watching, title: str) -> str:
    """Returns the page; the same watch gives the same bytes."""
    own = environment("forestay.watching")
    course, reference = watching.course, watching.reference
    sections = list(_sections(course))
    own.filters |= {"moment": _moment, "told": told}
    return own.get_template("page.html.j2").render(
        title=title,
        tiles=list(_tiles(watching)),
        alarms=course.alarms[:_MOST_ALARMS],
        still_on=sum(alarm.ended is None for alarm in course.alarms),
        more=max(len(course.alarms) - _MOST_ALARMS, 0),
        meaning=MEANING,
        sections=sections,
        compared=any(section["title"] == _TITLES["psi"] for section in sections),
        reference=reference,
        horizon=watching.horizon,
        days=len(course.days),
        width=_WIDTH,
        height=_HEIGHT,
    )


def _tiles(watching: Watching) -> Iterator[Tile]:
    course = watching.course
    yield Tile(f"{len(course.alarms):,}", "alarms")
    yield Tile(f"{len(course.days):,}", "days with traffic")
    yield Tile(f"{watching.events:,}", "events")
    yield Tile(f"{watching.rows:,}", "scores")
    if course.last is not None and course.last.expected_auc is not None:
        yield Tile(f"{course.last.expected_auc:.3f}", "AUC that the last day's answers promise")
    horizon = watching.horizon
    if horizon is not None and horizon.windows.closed:
        windows = horizon.windows
        name = f"of {windows.expected:,.0f} users expected to order within {horizon.days} days did"
        yield Tile(f"{windows.observed:,}", name)


def _sections(course: Course) -> Iterator[dict[str, Any]]:
    lines = course.lines()
    for watch in ("psi", "returns", "missing", "repeated"):
        own = [line for line in lines if line.last.watch == watch]
        # A field that no event has says nothing; the worst come first.
        own = [line for line in own if any(value is not None for value in line.values)]
        own.sort(key=lambda line: (-line.days_of_alarm, -_worst(line)))
        if own:
            rows = [{"line": line, "drawn": _drawn(line.values, line.limits)} for line in own]
            yield {"title": _TITLES[watch], "explained": _EXPLAINED[watch], "rows": rows}


def _worst(line: Line) -> float:
    pairs = zip(line.values, line.limits, strict=True)
    return max((abs(value) / limit for value, limit in pairs if value is not None and limit), default=0.0)


def _drawn(values: Sequence[float | None], limits: Sequence[float | None]) -> dict[str, str]:
    """Returns the points of the line of values and of that of limits; days of which nothing is known are left out."""
    top = max((abs(one) for one in (*values, *limits) if one is not None), default=0.0) or 1.0
    step = _WIDTH / max(len(values) - 1, 1)

    def points(numbers: Sequence[float | None]) -> str:
        found = [(at * step, _HEIGHT * (1 - abs(one) / top)) for at, one in enumerate(numbers) if one is not None]
        # One day alone is a short line: a point is not seen.
        found = found if len(found) > 1 else [*found, *((x + 4, y) for x, y in found)]
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in found)

    return {"values": points(values), "limits": points(limits)}


def _moment(milliseconds: int) -> str:
    return moment(to_datetime(milliseconds))
