"""The replay itself: every row when it is due, in the recorded order, each accounted for."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import Final

from forestay.recording import RecordedMessage, RecordingError
from forestay.replay.extent import Piece
from forestay.replay.outcome import Place, Progress, ReplayError, Summary
from forestay.replay.pace import Clock, MonotonicClock, Pace
from forestay.replay.routes import Route
from forestay.replay.sink import Sink, SinkError
from forestay.replay.window import Failure, Window

#: Seconds between two calls of `tell`.
_PULSE: Final = 0.25
#: What falls due within so many seconds goes out together: 200 requests a second at most to a broker.
_TICK: Final = 0.005
#: How long a batch may be under way (seconds).
_DEADLINE: Final = 60.0


class Replayer:
    """One replay.

    When a row is sent, every row before it was sent, and no more than `window.MAX_RECORDS` rows and one piece before
    it have not arrived yet: so far, and no further, may topics and partitions get ahead of each other.
    """

    def __init__(
        self,
        sink: Sink,
        routes: Mapping[str, Route],
        pace: Pace,
        *,
        keep_timestamps: bool = False,
        tell: Callable[[Progress], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`routes` are by recorded topic. Records carry the time of sending, or the recorded one if that is kept."""
        self._sink = sink
        self._routes = routes
        self._pace = pace
        self._keep_timestamps = keep_timestamps
        self._tell = tell or _tell_nobody
        self._clock = clock or MonotonicClock()
        self._window = Window(_DEADLINE)
        self._sent = 0
        self._next_row = 0
        self._first_timestamp: int | None = None
        self._began = self._told = self._clock.now()
        self._ticked = -math.inf

    async def run(self, pieces: Iterator[Piece], stop: asyncio.Event, first_row: int = 0) -> Summary:
        """Sends all `pieces`, from row `first_row` on, or those until `stop` is set; waits for what was sent.

        Raises:
            ReplayError: a record did not arrive, or the recording is damaged. Sending stops at the first.
        """
        self._next_row = first_row
        self._began = self._told = self._clock.now()
        halted, damage = False, None
        try:
            async with aclosing(_read_ahead(pieces)) as coming:
                async for piece in coming:
                    halted = not await self._play(piece, stop)
                    if halted:
                        break
        except RecordingError as error:
            damage = error
        await self._window.settle()
        self._report()
        failure = self._window.failure
        if failure is not None:
            self._next_row = failure.row
        summary = self._summary(halted=halted and failure is None)
        if failure is not None:
            topic, partition = failure.place
            raise ReplayError(f"row {failure.row} did not arrive on {topic}-{partition}: {failure.reason}", summary)
        if damage is not None:
            raise ReplayError(str(damage), summary) from damage
        return summary

    async def _play(self, piece: Piece, stop: asyncio.Event) -> bool:
        """Sends the rows of a piece as they fall due; says whether to go on."""
        start = 0
        if self._sent == 0:
            self._next_row = piece.numbers[0]
        while start < len(piece.messages):
            if stop.is_set() or self._window.failure is not None:
                return False
            end = self._due(piece.messages, start)
            if end == start or (end < len(piece.messages) and self._clock.now() < self._ticked + _TICK):
                await self._wait(piece.messages[start], stop)
            else:
                await self._window.make_room()
                await self._send(piece, start, end)
                start = end
            self._window.collect()
            if self._clock.now() - self._told >= _PULSE:
                self._report()
        return True

    def _due(self, messages: list[RecordedMessage], start: int) -> int:
        """Returns the first row from `start` on that is not due yet."""
        due, ahead = self._pace.due, self._sent - start
        began, now = self._began, self._clock.now()
        for row in range(start, len(messages)):
            if began + due(ahead + row, self._since_first(messages[row])) > now:
                return row
        return len(messages)

    def _since_first(self, message: RecordedMessage) -> int:
        """Returns milliseconds since the first recorded time; 0 for a record without one, which waits for nothing."""
        if message.timestamp < 0:
            return 0
        if self._first_timestamp is None:
            self._first_timestamp = message.timestamp
        return message.timestamp - self._first_timestamp

    async def _wait(self, message: RecordedMessage, stop: asyncio.Event) -> None:
        due = self._began + self._pace.due(self._sent, self._since_first(message))
        until = max(due, self._ticked + _TICK)
        await self._clock.wait(min(until - self._clock.now(), _PULSE), stop)

    async def _send(self, piece: Piece, start: int, end: int) -> None:
        """Sends rows `start` to `end`, all partitions at the same time."""
        self._ticked = self._clock.now()
        places: dict[Place, list[int]] = {}
        for row in range(start, end):
            message = piece.messages[row]
            route = self._routes[message.topic]
            places.setdefault((route.topic, route.partition(message)), []).append(row)
        now = round(time.time() * 1_000)
        await asyncio.gather(*(self._put(piece, place, rows, now) for place, rows in places.items()))
        self._next_row = piece.numbers[end - 1] + 1

    async def _put(self, piece: Piece, place: Place, rows: list[int], now: int) -> None:
        """Hands the rows of one partition to the sink; those whose topic had no times carry that of sending."""
        messages = [piece.messages[row] for row in rows]
        timestamp = None if self._keep_timestamps else now
        if self._keep_timestamps and any(message.timestamp < 0 for message in messages):
            messages = [row if row.timestamp >= 0 else row._replace(timestamp=now) for row in messages]
        taken = 0
        while taken < len(rows):
            number = piece.numbers[rows[taken]]
            try:
                sending = await self._sink.send(*place, messages[taken:] if taken else messages, timestamp)
            except SinkError as error:
                self._window.fail(Failure(number, place, str(error)))
                return
            self._window.add(number, place, sending)
            taken += sending.records
            self._sent += sending.records

    def _report(self) -> None:
        self._told = self._clock.now()
        self._tell(Progress(self._sent, self._window.acknowledged, self._told - self._began))

    def _summary(self, *, halted: bool) -> Summary:
        return Summary(
            sent=self._sent,
            acknowledged=self._window.acknowledged,
            seconds=self._clock.now() - self._began,
            halted=halted,
            next_row=self._next_row,
            arrived=dict(sorted(self._window.arrived.items())),
        )


async def _read_ahead(pieces: Iterator[Piece]) -> AsyncGenerator[Piece]:
    """Yields pieces, and reads the next meanwhile, in a thread: a block takes tenths of a second to be unpacked."""
    coming = asyncio.ensure_future(asyncio.to_thread(next, pieces, None))
    try:
        while (piece := await coming) is not None:
            coming = asyncio.ensure_future(asyncio.to_thread(next, pieces, None))
            yield piece
    finally:
        # A thread is not cancelled: its file is not to be closed under it.
        await asyncio.gather(coming, return_exceptions=True)


def _tell_nobody(_progress: Progress) -> None:
    """Where nobody watches."""
