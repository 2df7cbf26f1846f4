"""Which partition a user's records are in: as the producers of the clickstream choose it."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal
from zlib import crc32

from kafka.partitioner import murmur2

from forestay.core.record import OutputRecord

Partitioner = Literal["murmur2", "crc32"]
#: Java's default clears the sign before it divides.
_POSITIVE = 0x7FFFFFFF


class Placement:
    """Keys to partitions, by murmur2 (Java, kafka-python, Forestay's own) or crc32 (librdkafka)."""

    def __init__(self, partitioner: Partitioner, partitions: int) -> None:
        """`partitions` is how many each topic has."""
        self._partitioner = partitioner
        self.partitions = partitions

    def partition(self, key: bytes) -> int:
        """Returns the partition of a key."""
        number = crc32(key) if self._partitioner == "crc32" else murmur2(key) & _POSITIVE
        return number % self.partitions

    def by_partition(self, records: Iterable[OutputRecord]) -> dict[int, list[OutputRecord]]:
        """Returns the records by the partition of their key, in order."""
        found: dict[int, list[OutputRecord]] = defaultdict(list)
        for record in records:
            found[self.partition(record.key or b"")].append(record)
        return found
