"""What comes out of a rerun: counted and digested as it comes, and written down as a recording."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from forestay.core.record import OutputRecord
from forestay.recording import RecordedMessage
from forestay.recording.output import Output


class Kind(StrEnum):
    """What a worker writes, by the name of its setting."""

    DECISIONS = "decisions"
    ACTIONS = "actions"
    DEAD_LETTERS = "dead_letters"
    FEATURES = "features"
    OUTCOMES = "outcomes"


class Made(NamedTuple):
    """Records of one kind and partition, in order, each with its time in epoch milliseconds, -1 for none."""

    kind: Kind
    partition: int
    records: Sequence[OutputRecord]
    timestamps: Sequence[int]


class Sink(Protocol):
    """Takes what is made."""

    def take(self, made: Made) -> None:
        """Takes the next records of a partition."""


class Tee:
    """Gives what it takes to several sinks."""

    def __init__(self, *sinks: Sink) -> None:
        """`sinks` take it in this order."""
        self._sinks = sinks

    def take(self, made: Made) -> None:
        """See `Sink.take`."""
        for sink in self._sinks:
            sink.take(made)


class Digest(NamedTuple):
    """How many records there are, and the SHA-256 of their digests by partition."""

    records: int
    sha256: str


class Digests:
    """Counts and digests, by kind; memory does not grow with the records.

    A partition's digest is the SHA-256 of its values, each with a line feed; that of a kind is the SHA-256 of
    those of its partitions, in hexadecimal, each with a line feed, in the order of the partitions.
    """

    def __init__(self) -> None:
        """Starts with none."""
        self._counts: dict[Kind, int] = defaultdict(int)
        self._hashes: dict[tuple[Kind, int], Any] = defaultdict(hashlib.sha256)

    def take(self, made: Made) -> None:
        """See `Sink.take`."""
        self._counts[made.kind] += len(made.records)
        digest = self._hashes[made.kind, made.partition]
        for record in made.records:
            digest.update(record.value or b"")
            digest.update(b"\n")

    def found(self) -> dict[Kind, Digest]:
        """Returns the digest of every kind."""
        return {kind: Digest(self._counts[kind], self._of(kind)) for kind in Kind}

    def _of(self, kind: Kind) -> str:
        parts = sorted((number, digest) for (other, number), digest in self._hashes.items() if other == kind)
        return hashlib.sha256("".join(f"{digest.hexdigest()}\n" for _, digest in parts).encode()).hexdigest()


class Writing:
    """Writes what is made to a recording; offsets count from 0 in each partition of a topic."""

    def __init__(self, output: Output, topics: Mapping[Kind, str]) -> None:
        """`topics` names the topic of each kind; `output` is open, and its owner finishes it."""
        self._output = output
        self._topics = topics
        self._offsets: dict[tuple[Kind, int], int] = defaultdict(int)

    def take(self, made: Made) -> None:
        """See `Sink.take`.

        Raises:
            RecordingError: there is no room, or writing failed.
        """
        self._output.take(list(self._rows(made)))

    def _rows(self, made: Made) -> Iterator[RecordedMessage]:
        place = made.kind, made.partition
        topic, first = self._topics[made.kind], self._offsets[place]
        self._offsets[place] += len(made.records)
        pairs = zip(made.records, made.timestamps, strict=True)
        for offset, (record, timestamp) in enumerate(pairs, start=first):
            yield RecordedMessage(
                topic, made.partition, offset, timestamp, record.key, record.value, tuple(record.headers)
            )
