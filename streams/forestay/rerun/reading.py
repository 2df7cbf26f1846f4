"""Rows of several recordings as one stream, in the order of their time."""

import heapq
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from forestay.recording import RecordedMessage, Recording, RecordingError, open_recording
from forestay.recording.messages import from_columns


class Recordings:
    """Recordings that are one: of different topics or partitions, or one after the other."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Opens them; those that hold the same partition of a topic are named in the order of its offsets.

        Raises:
            RecordingError: one is damaged, or two overlap.
        """
        self.recordings = [open_recording(path) for path in paths]
        self._chains = _chained(self.recordings)

    @property
    def topics(self) -> list[str]:
        """Returns the topics there are, sorted."""
        return sorted({span.topic for recording in self.recordings for span in recording.spans})

    def last_timestamp(self, topics: Collection[str]) -> int:
        """Returns the latest timestamp of the rows of these topics, in epoch milliseconds; -1 where there is none."""
        spans = chain.from_iterable(recording.spans for recording in self.recordings)
        return max((span.max_timestamp for span in spans if span.topic in topics), default=-1)

    def partitions(self, topic: str) -> int:
        """Returns how many partitions the topic had when it was recorded."""
        stated = (recording.metadata.partitions.get(topic, 0) for recording in self.recordings)
        seen = (s.partition + 1 for recording in self.recordings for s in recording.spans if s.topic == topic)
        return max(chain(stated, seen), default=0)

    def rows(self, topics: Collection[str]) -> Iterator[RecordedMessage]:
        """Yields the rows of these topics by time, and within a partition in the order of offsets.

        A row is of its timestamp, or of the latest before it in its recording. One block a recording is in memory.

        Raises:
            RecordingError: a file was altered or cut off.
        """
        streams = [chain.from_iterable(_selected(one, topics) for one in parts) for parts in self._chains]
        if len(streams) == 1:
            return streams[0]
        return map(itemgetter(1), heapq.merge(*map(_timed, streams), key=itemgetter(0)))


def _timed(rows: Iterator[RecordedMessage]) -> Iterator[tuple[int, RecordedMessage]]:
    latest = -1
    for row in rows:
        latest = max(latest, row.timestamp)
        yield latest, row


def _selected(recording: Recording, topics: Collection[str]) -> Iterator[RecordedMessage]:
    held = {span.topic for span in recording.spans}
    if not held & set(topics):
        return
    for batch in recording.batches():
        yield from from_columns(batch if held <= set(topics) else _of_topics(batch, topics))


def _of_topics(batch: pa.RecordBatch, topics: Collection[str]) -> pa.RecordBatch:
    return batch.filter(pc.is_in(batch.column("topic"), pa.array(sorted(topics))))


def _chained(recordings: Sequence[Recording]) -> list[list[Recording]]:
    """Returns the recordings in chains: the parts of a chain follow each other, chains are merged by time."""
    chains: list[list[Recording]] = []
    ends: dict[tuple[str, int], tuple[int, Recording]] = {}
    for recording in recordings:
        before: Recording | None = None
        for span in recording.spans:
            end, other = ends.get((span.topic, span.partition), (-1, recording))
            if span.first_offset <= end:
                raise RecordingError(
                    f"{recording.path}: begins {span.topic}-{span.partition} at offset {span.first_offset}, of which"
                    f" {other.path} holds {end}: name recordings once, and in the order of their offsets"
                )
            before = before or (None if other is recording else other)
            ends[span.topic, span.partition] = (span.last_offset, recording)
        following = next((parts for parts in chains if before in parts), None)
        if following is None:
            chains.append([recording])
        else:
            following.append(recording)
    return chains
