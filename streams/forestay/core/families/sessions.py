"""Sessions, their lengths and the gaps between them: the user's rhythm (`docs/features.md`)."""

from math import sqrt
from typing import Final, cast

from librt.vecs import append, pop, vec
from mypy_extensions import i64, mypyc_attr

from forestay.core.errors import StateError
from forestay.core.event import Event
from forestay.core.families.family import Family, Feature, Part, capped
from forestay.core.families.recency import hours_since
from forestay.core.families.windows import WINDOWS, Window
from forestay.core.packing import MAX_NUMBER, RecordReader, RecordWriter
from forestay.core.units import SECOND

#: A session ends after this much silence (seconds), as in GA4.
GAP: Final = 30 * 60
#: Sessions the features look at, and those kept: late events may join some of them.
SEEN: Final = 64
KEPT: Final = 80
_HOUR: Final = 3_600.0
_MINUTE: Final = 60.0
#: Windows shorter than this hold one session at most (milliseconds).
_SHORTEST_WINDOW: Final = 24 * 3_600 * SECOND
_UNKNOWN: Final = -1


class Sessions(Family):
    """The family; windows of a day and more count sessions."""

    __slots__ = ("buckets", "seconds")

    def __init__(self, windows: tuple[Window, ...] = WINDOWS) -> None:
        """Takes the same windows as the counts."""
        long = [window for window in windows if window.bucket * window.buckets >= _SHORTEST_WINDOW]
        super().__init__(5, "sessions", _features(long))
        #: Of each window the length of a bucket in seconds, and how many it spans.
        self.seconds = vec[i64]([window.bucket // SECOND for window in long])
        self.buckets = vec[i64]([window.buckets for window in long])

    def new(self) -> Part:
        """Returns a part without sessions."""
        return SessionsPart(self)

    def read(self, reader: RecordReader, latest: i64) -> Part:
        """Reads what `SessionsPart.write` wrote."""
        part = SessionsPart(self)
        if reader.more():
            part.fill(reader, latest)
        return part


@mypyc_attr(acyclic=True)
class SessionsPart(Part):
    """Start and end of each of the last sessions in seconds, in order, and how many came before these."""

    __slots__ = ("_gap_squares", "_gaps", "_spans", "dropped", "family")

    def __init__(self, family: Sessions) -> None:
        """Starts without sessions."""
        self.family = family
        self.dropped: i64 = 0
        self._spans = vec[i64]()
        #: Sums over the gaps between the last `SEEN` sessions, in seconds and their squares; `_UNKNOWN` until asked.
        self._gaps: i64 = _UNKNOWN
        #: May be more than a word holds.
        self._gap_squares: int = 0

    def update(self, event: Event, latest: i64) -> None:
        """Lengthens the session the event belongs to, begins one, or joins two."""
        second = event.ts // SECOND
        spans = self._spans
        newest: i64 = len(spans) - 2
        if newest < 0 or second < spans[newest]:
            self._insert(second, second)
            return
        end = spans[newest + 1]
        if second - end > GAP:
            self._spans = append(append(spans, second), second)
            self._add_gap(second - end)
            self._drop()
        elif second > end:
            spans[newest + 1] = second

    def _insert(self, start: i64, end: i64) -> None:
        """Puts in a stretch of activity, one with every session within the gap."""
        spans = self._spans
        size: i64 = len(spans)
        self._gaps = _UNKNOWN
        first = size
        while first and spans[first - 1] >= start - GAP:
            first -= 2
        after = first
        while after < size and spans[after] <= end + GAP:
            start = min(start, spans[after])
            end = max(end, spans[after + 1])
            after += 2
        if after > first:
            while after > first + 2:
                spans, _gone = pop(spans, first)
                after -= 2
                spans, _gone = pop(spans, first)
        elif first == 0 and size >= 2 * KEPT:
            self.dropped = capped(self.dropped + 1)
            return
        else:
            spans = append(append(spans, 0), 0)
            index: i64
            for index in range(size - 1, first - 1, -1):
                spans[index + 2] = spans[index]
        spans[first] = start
        spans[first + 1] = end
        self._spans = spans
        self._drop()

    def _drop(self) -> None:
        spans = self._spans
        if len(spans) > 2 * KEPT:
            spans, _start = pop(spans, 0)
            self._spans, _end = pop(spans, 0)
            self.dropped = capped(self.dropped + 1)

    def merge(self, other: Part, latest: i64) -> None:
        """Puts in the other's sessions, as if their events were this user's."""
        theirs = cast(SessionsPart, other)
        self.dropped = capped(self.dropped + theirs.dropped)
        spans = theirs._spans  # noqa: SLF001 - of the same class
        for at in range(0, len(spans), 2):
            self._insert(spans[at], spans[at + 1])

    def count(self) -> int:
        """Returns how many sessions are kept."""
        return len(self._spans) // 2

    def mean_gap(self) -> float:
        """Returns the mean gap between the last sessions in seconds, 0.0 below two sessions."""
        count = self._count_gaps()
        gaps: int = self._gaps
        return gaps / count if count else 0.0

    def gap_deviation(self) -> float:
        """Returns the population standard deviation of these gaps in seconds, 0.0 below three sessions."""
        count = self._count_gaps()
        if count < 2:  # noqa: PLR2004 - a deviation needs two gaps
            return 0.0
        # By integers, where floats would cancel.
        gaps: int = self._gaps
        return sqrt(float(self._gap_squares * count - gaps * gaps)) / count

    def _count_gaps(self) -> int:
        """Returns how many gaps there are between the last sessions, and sees to it that their sums are known."""
        spans = self._spans
        size: i64 = len(spans)
        sessions = min(size // 2, SEEN)
        if self._gaps == _UNKNOWN:
            gaps = squares = 0
            at: i64
            for at in range(size - 2 * sessions, size - 2, 2):
                gap: int = spans[at + 2] - spans[at + 1]
                gaps += gap
                squares += gap * gap
            self._gaps = gaps
            self._gap_squares = squares
        return max(sessions - 1, 0)

    def _add_gap(self, gap: int) -> None:
        """Keeps the sums up as a session is begun: every commit asks for them, of each user seen since."""
        if self._gaps == _UNKNOWN:
            return
        self._gaps += gap
        self._gap_squares += gap * gap
        spans = self._spans
        leaving: i64 = len(spans) - 2 - 2 * SEEN
        if leaving >= 0:
            gone: int = spans[leaving + 2] - spans[leaving + 1]
            self._gaps -= gone
            self._gap_squares -= gone * gone

    def values(self, now: i64, latest: i64, into: list[float]) -> None:
        """Appends in the order of `_features`."""
        spans = self._spans
        size: i64 = len(spans)
        begin = max(size - 2 * SEEN, 0)
        index: i64
        at: i64
        into.append(float(capped(self.dropped + size // 2)))
        seconds, buckets = self.family.seconds, self.family.buckets
        for index in range(len(seconds)):
            length = seconds[index]
            first = (now // SECOND // length - buckets[index] + 1) * length
            at = size
            while at > begin and spans[at - 1] >= first:
                at -= 2
            into.append(float((size - at) // 2))
        lengths: i64 = 0
        for at in range(begin, size, 2):
            lengths += spans[at + 1] - spans[at]
        into.append(float(spans[size - 1] - spans[size - 2]) / _MINUTE if size else 0.0)
        into.append(float(lengths) / float((size - begin) // 2) / _MINUTE if size else 0.0)
        mean = self.mean_gap() / _HOUR
        into.append(mean)
        into.append(self.gap_deviation() / _HOUR)
        into.append(hours_since(latest, now) / mean if mean else 0.0)

    def write(self, writer: RecordWriter, latest: i64, now: i64) -> None:
        """Writes how many came before, how many follow, then each start and end from the moment before it."""
        spans = self._spans
        size: i64 = len(spans)
        if size == 0:
            return
        writer.number(self.dropped)
        writer.number(size // 2)
        before: i64 = 0
        index: i64
        for index in range(size):
            writer.number(spans[index] - before)
            before = spans[index]

    def fill(self, reader: RecordReader, latest: i64) -> None:
        """Reads into an empty part what `write` wrote.

        Raises:
            StateError: it wrote no such thing.
        """
        self.dropped = reader.count(MAX_NUMBER)
        left = reader.count(KEPT)
        if left == 0:
            raise StateError("a state record holds no session, but some that came before")
        # With room for one more, since an event is about to come; one by one the row would be made anew eight times.
        spans = vec[i64](capacity=2 * (left + 1))
        newest = latest // SECOND
        start: i64 = 0
        end: i64 = 0
        while left:
            start = end + reader.count(newest - end)
            end = start + reader.count(newest - start)
            spans = append(append(spans, start), end)
            left -= 1
        self._spans = spans


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
