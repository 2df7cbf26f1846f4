"""Recorded rows where they are asked for by offset, whatever the time they bear."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from operator import attrgetter
from typing import Final

from forestay.core.errors import ForestayError
from forestay.recording import RecordedMessage
from forestay.rerun.reading import Rows

_OFFSET: Final = attrgetter("offset")


class MissingRowsError(ForestayError):
    """Rows that were taken are not in the recordings."""


class Shelf:
    """Rows of all partitions of some topics: read as far as asked for, kept until they are given up.

    Each topic is read by itself: that it bears older times than another costs no memory.
    """

    def __init__(self, recordings: Rows) -> None:
        """Reads nothing yet."""
        self._recordings = recordings
        self._streams: dict[str, Iterator[RecordedMessage]] = {}
        self._kept: dict[tuple[str, int], list[RecordedMessage]] = defaultdict(list)

    def take(self, topic: str, partition: int, begin: int, end: int, *, more: bool) -> list[RecordedMessage]:
        """Returns the rows from offset `begin` to `end` (exclusive), with `more` the next one too; all stay here.

        Raises:
            MissingRowsError: the last one asked for is not in the recordings.
        """
        kept = self._kept[topic, partition]
        last = end if more else end - 1
        if last < begin:
            return []
        while not kept or kept[-1].offset < last:
            row = self._next(topic)
            if row is None:
                raise _missing(topic, partition, kept[-1].offset + 1 if kept else begin, last)
            self._kept[topic, row.partition].append(row)
        first, after = (bisect_left(kept, offset, key=_OFFSET) for offset in (begin, end))
        if not more and (after == first or kept[after - 1].offset != last):
            raise _missing(topic, partition, begin, last)
        return kept[first : after + 1 if more else after]

    def found(self, topic: str, partition: int, begin: int, end: int) -> list[RecordedMessage]:
        """Returns what there is from offset `begin` to `end` (exclusive): the last may be a mark of Kafka's own."""
        kept = self._kept[topic, partition]
        while begin < end and (not kept or kept[-1].offset < end - 1) and (row := self._next(topic)) is not None:
            self._kept[topic, row.partition].append(row)
        return kept[bisect_left(kept, begin, key=_OFFSET) : bisect_left(kept, end, key=_OFFSET)]

    def give_up(self, topic: str, partition: int, before: int) -> None:
        """Forgets the rows with offsets below `before`."""
        kept = self._kept[topic, partition]
        del kept[: bisect_left(kept, before, key=_OFFSET)]

    def _next(self, topic: str) -> RecordedMessage | None:
        stream = self._streams.get(topic)
        if stream is None:
            stream = self._streams[topic] = self._recordings.rows([topic])
        return next(stream, None)


def _missing(topic: str, partition: int, first: int, last: int) -> MissingRowsError:
    return MissingRowsError(
        f"the recordings hold no {topic}-{partition} from offset {first} to {last}: name a recording of them too"
    )
