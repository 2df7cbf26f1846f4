"""Several recordings as one: rows by time, and those of a partition as they came."""

from collections.abc import Callable, Collection, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from itertools import combinations, islice
from operator import itemgetter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forestay.recording import RecordedMessage, Recording, RecordingError, Span
from forestay.recording.messages import from_columns

#: Rows with their turns.
_Rows = Iterator[tuple[int, RecordedMessage]]
_Head = tuple[int, int, RecordedMessage, _Rows]


class Recorded:
    """Recordings in one order, rows counted from 0.

    A row's turn is the latest timestamp there is up to it in its recording. Rows are in the order of their turns,
    then of the recordings as given; those of one recording stay in their order. Of two recordings that hold the
    same partition, the one with the later offsets begins when the other has ended.
    """

    def __init__(self, recordings: Sequence[Recording]) -> None:
        """Takes opened recordings.

        Raises:
            RecordingError: two of them hold the same offsets.
        """
        self._recordings = recordings
        self._before = _before(recordings)
        self.paths = [recording.path for recording in recordings]

    def __len__(self) -> int:
        return sum(map(len, self._recordings))

    @property
    def counts(self) -> dict[str, int]:
        """Returns how many rows there are of each topic."""
        found: dict[str, int] = {}
        for span in self._spans:
            found[span.topic] = found.get(span.topic, 0) + span.records
        return dict(sorted(found.items()))

    @property
    def partitions(self) -> dict[str, int]:
        """Returns how many partitions the topics had, as far as the recordings say."""
        found: dict[str, int] = {}
        for recording in self._recordings:
            for topic, count in recording.metadata.partitions.items():
                found[topic] = max(count, found.get(topic, 0))
        return found

    @property
    def roles(self) -> dict[str, str]:
        """Returns what the topics were for, as far as the recordings say."""
        found: dict[str, str] = {}
        for recording in self._recordings:
            roles = recording.metadata.properties.get("roles")
            if isinstance(roles, dict):
                found |= {topic: role for topic, role in roles.items() if isinstance(role, str)}
        return found

    def messages(self, start: int = 0) -> Iterator[RecordedMessage]:
        """Yields the rows from number `start` on.

        Raises:
            RecordingError: a file was altered or cut off.
        """
        if len(self._recordings) == 1:
            return self._recordings[0].messages(start)
        return islice(self._merged(_with_turns), start, None)

    def of_topics(self, topics: Collection[str]) -> Iterator[RecordedMessage]:
        """Yields the rows of these topics alone, in the same order; the others are not turned into objects.

        Raises:
            RecordingError: a file was altered or cut off.
        """
        wanted = frozenset(topics)
        if len(self._recordings) == 1:
            return map(itemgetter(1), _of_topics(self._recordings[0], wanted))
        return self._merged(lambda recording: _of_topics(recording, wanted))

    @property
    def _spans(self) -> Iterator[Span]:
        for recording in self._recordings:
            yield from recording.spans

    def _merged(self, rows_of: Callable[[Recording], _Rows]) -> Iterator[RecordedMessage]:
        order = TopologicalSorter(self._before)
        order.prepare()
        heads: list[_Head] = []

        def advance(number: int, rows: _Rows) -> None:
            for turn, message in rows:
                heappush(heads, (turn, number, message, rows))
                return
            order.done(number)

        while order.is_active():
            for number in order.get_ready():
                advance(number, rows_of(self._recordings[number]))
            if heads:
                _, number, message, rows = heappop(heads)
                yield message
                advance(number, rows)


def _of_topics(recording: Recording, topics: frozenset[str]) -> _Rows:
    if topics.isdisjoint(span.topic for span in recording.spans):
        return
    turn = -1
    for batch in recording.batches():
        turns = np.maximum(np.maximum.accumulate(batch.column("timestamp").to_numpy()), turn)
        turn = int(turns[-1])
        wanted = pc.is_in(batch.column("topic"), pa.array(sorted(topics)))
        kept = turns[wanted.to_numpy(zero_copy_only=False)].tolist()
        yield from zip(kept, from_columns(batch.filter(wanted)), strict=True)


def _with_turns(recording: Recording) -> _Rows:
    turn = -1
    for message in recording:
        turn = max(turn, message.timestamp)
        yield turn, message


def _before(recordings: Sequence[Recording]) -> dict[int, set[int]]:
    """Returns, by the number of each recording, those that must have ended before it begins."""
    before: dict[int, set[int]] = {number: set() for number in range(len(recordings))}
    held = [{(span.topic, span.partition): span for span in recording.spans} for recording in recordings]
    for a, b in combinations(before, 2):
        for place in sorted(held[a].keys() & held[b].keys()):
            first, second = held[a][place], held[b][place]
            if first.last_offset < second.first_offset:
                before[b].add(a)
            elif second.last_offset < first.first_offset:
                before[a].add(b)
            else:
                raise RecordingError(
                    f"{recordings[a].path} and {recordings[b].path} hold the same offsets of {place[0]}-{place[1]}:"
                    " replay one after the other, or leave one out"
                )
    try:
        TopologicalSorter(before).prepare()
    except CycleError as error:
        names = " and ".join(str(recordings[number].path) for number in sorted(set(error.args[1])))
        raise RecordingError(f"each of {names} holds what comes before the other: replay each by itself") from error
    return before


def counted(recorded: Recorded, topics: Collection[str]) -> int:
    """Returns how many rows there are of `topics`."""
    return sum(count for topic, count in recorded.counts.items() if topic in topics)
