"""A record as it was found on a topic after a run."""

from typing import NamedTuple


class ReadRecord(NamedTuple):
    """What was read of committed records; `timestamp` is Kafka's, in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
