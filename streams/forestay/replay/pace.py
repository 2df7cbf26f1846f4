"""When each record of a replay is due, and the clock it is due by."""

import asyncio
import time
from typing import NamedTuple, Protocol


class Pace(Protocol):
    """Says when a record is due; times never fall from record to record, except by disorder in the recording."""

    def due(self, number: int, timestamp: int) -> float:
        """Returns seconds since the first record.

        `number` counts the records of this replay from 0; `timestamp` is the record's own, in milliseconds
        since that of the first.
        """
        ...


class Fastest(NamedTuple):
    """As fast as the broker takes them."""

    def due(self, number: int, timestamp: int) -> float:
        """Returns 0: at once."""
        del number, timestamp
        return 0.0


class Steady(NamedTuple):
    """At `rate` records a second, above 0, evenly spaced."""

    rate: float

    def due(self, number: int, timestamp: int) -> float:
        """Returns the record's place on the schedule: what came late does not shift what follows."""
        del timestamp
        return number / self.rate


class OwnPace(NamedTuple):
    """As the records came, `times` faster, above 0."""

    times: float = 1.0

    def due(self, number: int, timestamp: int) -> float:
        """Returns the record's own time, sped up."""
        del number
        return timestamp / (1_000 * self.times)


class Clock(Protocol):
    """What a schedule is kept by."""

    def now(self) -> float:
        """Returns seconds since some moment; they never fall."""
        ...

    async def wait(self, seconds: float, stop: asyncio.Event) -> None:
        """Returns after `seconds`, or when `stop` is set."""
        ...


class MonotonicClock:
    """The machine's."""

    def now(self) -> float:
        """Returns seconds since some moment."""
        return time.monotonic()

    async def wait(self, seconds: float, stop: asyncio.Event) -> None:
        """Returns after `seconds`, or when `stop` is set."""
        try:
            async with asyncio.timeout(seconds):
                await stop.wait()
        except TimeoutError:
            return
