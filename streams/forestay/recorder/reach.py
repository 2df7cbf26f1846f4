"""How far each partition has been read, and how far it is to be."""

from bisect import bisect_left
from collections.abc import Iterable
from operator import attrgetter

from forestay.recorder.bounds import Bound, Kind
from forestay.recorder.merging import Place
from forestay.recording import RecordedMessage


class Reach:
    """What is left to read of every partition, and what of the records read is wanted."""

    def __init__(self, end: Bound) -> None:
        """`end` is that of every partition."""
        self._end = end
        #: The next offset to be read of each partition.
        self.positions: dict[Place, int] = {}
        self._ends: dict[Place, int] = {}
        self._newest: dict[Place, int] = {}
        self._not_before: dict[Place, int] = {}

    def begin(self, place: Place, offset: int, not_before: int | None = None) -> None:
        """Sets where a partition is read from, and which time (epoch milliseconds) its first record wanted has."""
        self.positions[place] = offset
        if self._end.kind is Kind.OFFSET:
            self._ends[place] = self._end.at
        if not_before is not None:
            self._not_before[place] = not_before

    def take(self, place: Place, records: list[RecordedMessage]) -> list[RecordedMessage]:
        """Returns those of a partition's next records that are wanted."""
        earliest = self._not_before.get(place)
        if earliest is not None:
            first = _first_at(records, earliest)
            records = records[first:]
            if records:
                del self._not_before[place]
        if self._end.kind is Kind.TIME and place not in self._ends:
            last = _first_at(records, self._end.at)
            if last < len(records):
                self._ends[place] = records[last].offset
        if place in self._ends:
            records = records[: bisect_left(records, self._ends[place], key=attrgetter("offset"))]
        return records

    def advance(self, place: Place, position: int, newest: int | None) -> None:
        """Takes in where reading stands, and the partition's end as it is now (None: not known yet)."""
        self.positions[place] = position
        if newest is None:
            return
        self._newest[place] = newest
        if self._end.kind is Kind.NOW:
            self._ends.setdefault(place, newest)

    def end_at_newest(self) -> None:
        """Ends every partition where it ends now: the time until which to read has come."""
        for place, newest in self._newest.items():
            self._ends.setdefault(place, newest)

    def is_done(self, place: Place) -> bool:
        """Says whether all that is wanted of a partition was read."""
        return place in self._ends and self.positions[place] >= self._ends[place]

    def is_behind(self, place: Place) -> bool:
        """Says whether more of a partition is there and wanted."""
        newest = self._newest.get(place)
        return not self.is_done(place) and (newest is None or self.positions[place] < newest)

    def total(self, begun: Iterable[tuple[Place, int]]) -> int | None:
        """Returns how many offsets there are from where partitions began to their ends; None: nobody knows."""
        if any(place not in self._ends for place in self.positions):
            return None
        return sum(max(self._ends[place] - first, 0) for place, first in begun)


def _first_at(records: list[RecordedMessage], timestamp: int) -> int:
    """Returns the row of the first record at or after a time: timestamps may fall from record to record."""
    return next((row for row, record in enumerate(records) if record.timestamp >= timestamp), len(records))
