"""What is under way: every record is accounted for."""

import asyncio
from collections import deque
from typing import Final, NamedTuple

from aiokafka.errors import KafkaError

from forestay.replay.outcome import Arrived, Place
from forestay.replay.sink import Sending

#: How much may be under way at once: what is sent is never further ahead than this of what has arrived.
MAX_RECORDS: Final = 20_000
MAX_BYTES: Final = 32 * 2**20


class Failure(NamedTuple):
    """A batch that did not arrive: the row it begins with, where it was to go, and why."""

    row: int
    place: Place
    reason: str


class _Sent(NamedTuple):
    row: int
    place: Place
    sending: Sending


class Window:
    """Batches in the order of sending, until it is known what became of them."""

    def __init__(self, deadline: float) -> None:
        """`deadline`: how long a batch may be under way, in seconds."""
        self.arrived: dict[Place, Arrived] = {}
        #: Of all that did not arrive, that which begins with the lowest row.
        self.failure: Failure | None = None
        self._deadline = deadline
        self._sent: deque[_Sent] = deque()
        self._records = self._bytes = 0

    @property
    def acknowledged(self) -> int:
        """Returns how many records have arrived."""
        return sum(arrived.records for arrived in self.arrived.values())

    def add(self, row: int, place: Place, sending: Sending) -> None:
        """Takes a batch just sent, which begins with `row`."""
        self._sent.append(_Sent(row, place, sending))
        self._records += sending.records
        self._bytes += sending.size

    def fail(self, failure: Failure) -> None:
        """Takes in that something did not arrive."""
        if self.failure is None or failure.row < self.failure.row:
            self.failure = failure

    def collect(self) -> None:
        """Takes in what is known by now, in the order of sending."""
        while self._sent and self._sent[0].sending.placed.done():
            self._take()

    async def make_room(self) -> None:
        """Waits while too much is under way."""
        self.collect()
        while self._records > MAX_RECORDS or self._bytes > MAX_BYTES:
            await self._await_first()

    async def settle(self) -> None:
        """Waits until it is known of every record whether it arrived."""
        while self._sent:
            await self._await_first()

    async def _await_first(self) -> None:
        await asyncio.wait([self._sent[0].sending.placed], timeout=self._deadline)
        self._take()

    def _take(self) -> None:
        row, place, sending = self._sent.popleft()
        self._records -= sending.records
        self._bytes -= sending.size
        if not sending.placed.done():
            self.fail(Failure(row, place, f"nothing was heard of it for {self._deadline:g} s"))
            # Whoever has waited so long once does not wait so long for the next.
            self._deadline = 0
            return
        try:
            first = sending.placed.result().offset
        except KafkaError as error:
            self.fail(Failure(row, place, repr(error)))
            return
        last = first + sending.records - 1
        arrived = self.arrived.setdefault(place, Arrived(0, first, last))
        arrived.records += sending.records
        arrived.last_offset = last
