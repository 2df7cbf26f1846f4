"""Records sent and not yet acknowledged: every one is accounted for."""

import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from kafka.errors import KafkaError

#: How much may be under way at once. kafka-python itself sets no bound to what it holds.
MAX_RECORDS: Final = 20_000
MAX_BYTES: Final = 32 * 2**20


@dataclass
class Arrived:
    """What one partition acknowledged; offsets are those the broker gave."""

    records: int
    first_offset: int
    last_offset: int


class Failure(NamedTuple):
    """The first record that did not arrive."""

    row: int
    error: Exception


class _Sent(NamedTuple):
    row: int
    size: int
    future: Any


class Outstanding:
    """Keeps the future of every record under way until it is known what became of it."""

    def __init__(self, timeout: float) -> None:
        """Takes how long one record may be under way, in seconds."""
        self.arrived: dict[int, Arrived] = {}
        self.failure: Failure | None = None
        self._timeout = timeout
        self._sent: deque[_Sent] = deque()
        self._bytes = 0

    @property
    def acknowledged(self) -> int:
        """Returns how many records have arrived."""
        return sum(partition.records for partition in self.arrived.values())

    def add(self, row: int, size: int, future: Any) -> None:
        """Takes a record just sent; waits while too much is under way."""
        self._sent.append(_Sent(row, size, future))
        self._bytes += size
        self.collect()
        while len(self._sent) > MAX_RECORDS or self._bytes > MAX_BYTES:
            self._take(time.monotonic() + self._timeout)

    def collect(self) -> None:
        """Takes in what is known by now, in the order of sending."""
        while self._sent and self._sent[0].future.is_done:
            self._take(0)

    def settle(self) -> None:
        """Waits until it is known of every record whether it arrived."""
        deadline = time.monotonic() + self._timeout
        while self._sent:
            self._take(deadline)

    def _take(self, deadline: float) -> None:
        row, size, future = self._sent.popleft()
        self._bytes -= size
        try:
            metadata = future.get(max(deadline - time.monotonic(), 0))
        except KafkaError as error:
            self.failure = self.failure or Failure(row, error)
            return
        partition = self.arrived.get(metadata.partition)
        if partition is None:
            self.arrived[metadata.partition] = Arrived(1, metadata.offset, metadata.offset)
        else:
            partition.records += 1
            partition.last_offset = max(partition.last_offset, metadata.offset)
            partition.first_offset = min(partition.first_offset, metadata.offset)
