"""How far a worker was at which moment: as it says itself, or as its outputs show."""

from collections.abc import Sequence
from typing import NamedTuple


class Point(NamedTuple):
    """So many events were done at this moment (seconds since the epoch), for so much CPU (seconds)."""

    events: float
    time: float
    cpu: float


def marks(lines: Sequence[str]) -> list[Point]:
    """Returns what a worker says of itself: lines of MARK, events, time, cpu; all else is skipped."""
    found = []
    for line in lines:
        words = line.split()
        if len(words) == 4 and words[0] == "MARK":  # noqa: PLR2004
            found.append(Point(int(words[1]), float(words[2]), float(words[3])))
    return found


def at(points: Sequence[Point], events: float) -> Point:
    """Returns the moment at which so many events were done, between two points by their straight line.

    Raises:
        ValueError: the points do not reach so far.
    """
    before = points[0]
    for point in points:
        if point.events >= events:
            if point.events == before.events:
                return point
            share = (events - before.events) / (point.events - before.events)
            time = before.time + share * (point.time - before.time)
            return Point(events, time, before.cpu + share * (point.cpu - before.cpu))
        before = point
    raise ValueError(f"{before.events} events were done, not {events}")
