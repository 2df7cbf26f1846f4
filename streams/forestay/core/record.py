"""A source record as the core sees it, and what the core wants written."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

Headers = Sequence[tuple[str, bytes | None]]


class Record(Protocol):
    """One record of a source topic's partition, bytes as they came; `timestamp` in epoch milliseconds.

    What a Kafka client brings has these, so none is wrapped on its way here.
    """

    @property
    def offset(self) -> int:
        """Its place in the partition."""

    @property
    def timestamp(self) -> int | None:
        """Its own timestamp, of the producer or of the broker; None in the oldest of Kafka's formats."""

    @property
    def key(self) -> bytes | None:
        """Its key."""

    @property
    def value(self) -> bytes | None:
        """Its value."""

    @property
    def headers(self) -> Headers:
        """Its headers."""


class SourceRecord(NamedTuple):
    """A source record with its coordinates, as recordings hold it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class OutputRecord(NamedTuple):
    """One record to write to the same partition number of an output topic."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()
