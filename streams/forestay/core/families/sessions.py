"""Sessions, their lengths and the gaps between them: the user's rhythm (`docs/features.md`)."""

from math import sqrt
from typing import Any, Final, cast

from mypy_extensions import mypyc_attr

from forestay.core.event import Event
from forestay.core.families.family import Family, Feature, Part
from forestay.core.families.recency import hours_since
from forestay.core.families.windows import WINDOWS, Window
from forestay.core.units import SECOND

#: A session ends after this much silence (seconds), as in GA4.
GAP: Final[int] = 30 * 60
#: Sessions the features look at, and those kept: late events may join some of them.
SEEN: Final[int] = 64
KEPT: Final[int] = 80
_HOUR: Final[float] = 3_600.0
_MINUTE: Final[float] = 60.0
#: Windows shorter than this hold one session at most (milliseconds).
_SHORTEST_WINDOW: Final[int] = 24 * 3_600 * SECOND
_UNKNOWN: Final[int] = -1


class Sessions(Family):
    """The family; windows of a day and more count sessions."""

    __slots__ = ("windows",)

    def __init__(self, windows: tuple[Window, ...] = WINDOWS) -> None:
        """Takes the same windows as the counts."""
        self.windows = [window for window in windows if window.bucket * window.buckets >= _SHORTEST_WINDOW]
        super().__init__(5, "sessions", _features(self.windows))

    def new(self) -> Part:
        """Returns a part without sessions."""
        return SessionsPart(self)

    def from_plain(self, plain: list[Any], latest: int) -> Part:
        """Reads how many were dropped, then the first start, a length, and gap and length of each further one."""
        part = SessionsPart(self)
        part.dropped = plain[0]
        second = 0
        for at in range(1, len(plain), 2):
            second += plain[at]
            part.starts.append(second)
            second += plain[at + 1]
            part.ends.append(second)
        return part


@mypyc_attr(acyclic=True)
class SessionsPart(Part):
    """Starts and ends of the last sessions in seconds, in order, and how many came before these."""

    __slots__ = ("_gap_squares", "_gaps", "dropped", "ends", "family", "starts")

    def __init__(self, family: Sessions) -> None:
        """Starts without sessions."""
        self.family = family
        self.dropped = 0
        self.starts: list[int] = []
        self.ends: list[int] = []
        #: Sums over the gaps between the last `SEEN` sessions, in seconds and their squares; `_UNKNOWN` until asked.
        self._gaps = _UNKNOWN
        self._gap_squares = 0

    def update(self, event: Event, latest: int) -> None:
        """Lengthens the session the event belongs to, begins one, or joins two."""
        second = event.ts // SECOND
        if self.starts and second >= self.starts[-1]:
            end = self.ends[-1]
            if second - end <= GAP:
                if second > end:
                    self.ends[-1] = second
                return
            self.starts.append(second)
            self.ends.append(second)
            self._add_gap(second - end)
            self._drop()
            return
        self._insert(second, second)

    def _insert(self, start: int, end: int) -> None:
        """Puts in a stretch of activity, one with every session within the gap."""
        starts, ends = self.starts, self.ends
        self._gaps = _UNKNOWN
        first = len(starts)
        while first and ends[first - 1] >= start - GAP:
            first -= 1
        after = first
        while after < len(starts) and starts[after] <= end + GAP:
            start = min(start, starts[after])
            end = max(end, ends[after])
            after += 1
        if first == after == 0 and len(starts) >= KEPT:
            self.dropped += 1
            return
        starts[first:after] = [start]
        ends[first:after] = [end]
        self._drop()

    def _drop(self) -> None:
        if len(self.starts) > KEPT:
            del self.starts[0]
            del self.ends[0]
            self.dropped += 1

    def merge(self, other: Part, latest: int) -> None:
        """Puts in the other's sessions, as if their events were this user's."""
        theirs = cast(SessionsPart, other)
        self.dropped += theirs.dropped
        for index in range(len(theirs.starts)):
            self._insert(theirs.starts[index], theirs.ends[index])

    def mean_gap(self) -> float:
        """Returns the mean gap between the last sessions in seconds, 0.0 below two sessions."""
        count = self._count_gaps()
        return self._gaps / count if count else 0.0

    def gap_deviation(self) -> float:
        """Returns the population standard deviation of these gaps in seconds, 0.0 below three sessions."""
        count = self._count_gaps()
        if count < 2:  # noqa: PLR2004 - a deviation needs two gaps
            return 0.0
        # By integers, where floats would cancel.
        return sqrt(self._gap_squares * count - self._gaps * self._gaps) / count

    def _count_gaps(self) -> int:
        """Returns how many gaps there are between the last sessions, and sees to it that their sums are known."""
        sessions = min(len(self.starts), SEEN)
        if self._gaps == _UNKNOWN:
            self._gaps = self._gap_squares = 0
            for index in range(len(self.starts) - sessions, len(self.starts) - 1):
                gap = self.starts[index + 1] - self.ends[index]
                self._gaps += gap
                self._gap_squares += gap * gap
        return max(sessions - 1, 0)

    def _add_gap(self, gap: int) -> None:
        """Keeps the sums up as a session is begun: every commit asks for them, of each user seen since."""
        if self._gaps == _UNKNOWN:
            return
        self._gaps += gap
        self._gap_squares += gap * gap
        leaving = len(self.starts) - 1 - SEEN
        if leaving >= 0:
            gone = self.starts[leaving + 1] - self.ends[leaving]
            self._gaps -= gone
            self._gap_squares -= gone * gone

    def values(self, now: int, latest: int, into: list[float]) -> None:
        """Appends in the order of `_features`."""
        starts, ends = self.starts[-SEEN:], self.ends[-SEEN:]
        count = len(starts)
        into.append(float(self.dropped + len(self.starts)))
        for window in self.family.windows:
            length = window.bucket // SECOND
            newest = now // window.bucket
            first = (newest - window.buckets + 1) * length
            after = newest * length + length
            inside = 0
            for end in ends:
                if first <= end < after:
                    inside += 1
            into.append(float(inside))
        lengths = sum(ends) - sum(starts)
        into.append((ends[-1] - starts[-1]) / _MINUTE if count else 0.0)
        into.append(lengths / count / _MINUTE if count else 0.0)
        mean = self.mean_gap() / _HOUR
        into.append(mean)
        into.append(self.gap_deviation() / _HOUR)
        into.append(hours_since(latest, now) / mean if mean else 0.0)

    def to_plain(self, latest: int, now: int) -> list[Any]:
        """Writes each start and end as a distance from the moment before."""
        plain: list[Any] = [self.dropped]
        before = 0
        for index in range(len(self.starts)):
            plain.append(self.starts[index] - before)
            plain.append(self.ends[index] - self.starts[index])
            before = self.ends[index]
        return plain


def _features(windows: list[Window]) -> list[Feature]:
    last = f"of the last {SEEN} sessions"
    return [
        Feature("sessions_total", "sessions ever; one ends after 30 minutes of silence", "count"),
        *[
            Feature(f"session_count_{window.name}", f"those {last} that end in the last {window.name}", "count")
            for window in windows
        ],
        Feature("session_minutes_last", "length of the newest session", "minutes"),
        Feature("session_minutes_mean", f"mean length {last}", "minutes"),
        Feature("session_gap_mean_hours", f"mean gap between the ends and next starts {last}", "hours"),
        Feature("session_gap_deviation_hours", "population standard deviation of these gaps", "hours"),
        Feature("silence_ratio", "hours_since_last_event / session_gap_mean_hours, 0 below two sessions", "ratio"),
    ]
