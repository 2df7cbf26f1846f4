"""A source record as the core sees it, and what the core wants written."""

from collections.abc import Sequence
from typing import NamedTuple

Headers = Sequence[tuple[str, bytes | None]]


class SourceRecord(NamedTuple):
    """One record of a source topic: bytes as they came, with coordinates; `timestamp` in epoch ms."""

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
