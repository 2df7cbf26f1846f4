"""Several recordings as one stream of the topics that a rerun needs."""

from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Protocol

from forestay.recording import RecordedMessage, open_recording
from forestay.replay.order import Recorded


class Rows(Protocol):
    """What is read of recordings."""

    @property
    def topics(self) -> list[str]:
        """Returns the topics there are, sorted."""

    def rows(self, topics: Collection[str]) -> Iterator[RecordedMessage]:
        """Yields the rows of these topics by time, and within a partition in the order of offsets."""


class Recordings:
    """Recordings in the order in which `forestay replay` takes them; one block of each is in memory."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Opens them.

        Raises:
            RecordingError: one is damaged, or two hold the same rows.
        """
        self.recordings = [open_recording(path) for path in paths]
        self._recorded = Recorded(self.recordings)

    @property
    def topics(self) -> list[str]:
        """See `Rows.topics`."""
        return sorted({span.topic for recording in self.recordings for span in recording.spans})

    def last_timestamp(self, topics: Collection[str]) -> int:
        """Returns the latest timestamp of the rows of these topics, in epoch milliseconds; -1 where there is none."""
        spans = chain.from_iterable(recording.spans for recording in self.recordings)
        return max((span.max_timestamp for span in spans if span.topic in topics), default=-1)

    def partitions(self, topic: str) -> int:
        """Returns how many partitions the topic had when it was recorded."""
        seen = (s.partition + 1 for recording in self.recordings for s in recording.spans if s.topic == topic)
        return max(self._recorded.partitions.get(topic, 0), max(seen, default=0))

    def rows(self, topics: Collection[str]) -> Iterator[RecordedMessage]:
        """See `Rows.rows`.

        Raises:
            RecordingError: a file was altered or cut off.
        """
        return self._recorded.of_topics(topics)
