"""Records of several partitions in one order: by time, and within a partition as they came."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable
from itertools import accumulate
from operator import attrgetter, itemgetter
from typing import Final, NamedTuple

from forestay.recording import RecordedMessage

#: A partition of a topic.
Place = tuple[str, int]

_FIRST: Final = itemgetter(0)


class _Waiting(NamedTuple):
    """Records of one partition, each with its turn: the latest timestamp there is up to it, which never falls."""

    turns: list[int]
    records: list[RecordedMessage]


class Merge:
    """Holds what cannot be in order yet, because an earlier record of another partition may still come.

    The order is by turn, then by topic and partition. Fed to their ends, the same partitions give the same order,
    whatever came first.
    """

    def __init__(self) -> None:
        """Starts with nothing."""
        self._waiting: dict[Place, _Waiting] = {}
        self._latest: dict[Place, int] = {}
        self._bytes: dict[Place, int] = {}

    def held(self, place: Place) -> int:
        """Returns how many bytes of keys and values of a partition are held."""
        return self._bytes.get(place, 0)

    def add(self, place: Place, records: list[RecordedMessage]) -> None:
        """Takes the next records of a partition."""
        if not records:
            return
        before = self._latest.get(place, records[0].timestamp)
        turns = list(accumulate(map(attrgetter("timestamp"), records), max, initial=before))[1:]
        self._latest[place] = turns[-1]
        waiting = self._waiting.setdefault(place, _Waiting([], []))
        waiting.turns.extend(turns)
        waiting.records.extend(records)
        self._bytes[place] = self.held(place) + _size(records)

    def take(self, behind: Collection[Place]) -> list[RecordedMessage]:
        """Returns the records whose turn has come: nothing of the partitions still `behind` can come before them."""
        if any(place not in self._latest for place in behind):
            return []
        bound = min(((self._latest[place], place) for place in behind), default=None)
        ready: list[tuple[int, RecordedMessage]] = []
        for place in sorted(self._waiting):
            turns, records = self._waiting[place]
            if bound is None:
                count = len(turns)
            else:
                count = (bisect_right if place <= bound[1] else bisect_left)(turns, bound[0])
            if count:
                ready += zip(turns[:count], records[:count], strict=True)
                self._forget(place, count)
        # Stable: of the same turn, partitions stay in their order.
        ready.sort(key=_FIRST)
        return [record for _, record in ready]

    def _forget(self, place: Place, count: int) -> None:
        turns, records = self._waiting[place]
        if count == len(turns):
            del self._waiting[place], self._bytes[place]
            return
        self._bytes[place] -= _size(records[:count])
        del turns[:count], records[:count]


def _size(records: Iterable[RecordedMessage]) -> int:
    return sum(len(record.key or b"") + len(record.value or b"") for record in records)
