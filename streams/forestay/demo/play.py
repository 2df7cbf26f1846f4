"""The replay itself: the recording fast, its last part at a steady rate, then days of silence."""

import asyncio
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from kafka import KafkaProducer

from forestay.core.errors import ForestayError
from forestay.core.units import DAY
from forestay.demo.meter import Meter, Sample
from forestay.demo.screen import Screen
from forestay.demo.shop import Shop
from forestay.demo.summary import Phase
from forestay.recording.clock import send_clock
from forestay.replay.extent import Extent
from forestay.replay.order import Recorded
from forestay.replay.outcome import Progress
from forestay.replay.pace import Fastest, Pace, Steady
from forestay.replay.run import find_routes, replay
from forestay.settings import Settings
from forestay.shell.kafka_clients import connection_options
from forestay.shell.topics import end_offsets

#: Between two looks at the lag (seconds).
_LOOK: Final = 0.2
#: A worker that commits nothing for so long while records wait is stuck (seconds).
_STALLED: Final = 60.0


class Pacing(NamedTuple):
    """Events a second in the last part, and days of silence told after the end."""

    rate: float
    silence_days: int


class Played(NamedTuple):
    """What the replay did; `steady_first` and `steady_ends` are the steady part's offsets by partition."""

    sent: int
    fast: Phase
    steady: Phase
    steady_first: dict[int, int]
    steady_ends: dict[int, int]


class Player:
    """Replays a shop and waits until the worker has done all of it."""

    def __init__(self, settings: Settings, shop: Shop, meter: Meter, screen: Screen, pacing: Pacing) -> None:
        """Takes what it plays, to whom, and who watches."""
        self._settings = settings
        self._shop = shop
        self._meter = meter
        self._screen = screen
        self._pacing = pacing

    async def play(self) -> Played:
        """Plays all three parts.

        Raises:
            ReplayError: a record could not be put on its topic.
            kafka.errors.KafkaError: the broker does not answer.
        """
        shop, topic = self._shop, self._settings.topics.clickstream
        self._screen.say(f"replaying {shop.steady_from:,} events as fast as the worker takes them")
        fast = await self._phase(0, shop.steady_from, Fastest())
        first = await asyncio.to_thread(self._ends, topic)
        rate = self._pacing.rate
        self._screen.say(f"replaying the last {shop.steady_events:,} at {rate:,.0f} events/s, for the latencies")
        steady = await self._phase(shop.steady_from, shop.events, Steady(rate))
        ends = await asyncio.to_thread(self._ends, topic)
        self._screen.say(f"nobody does anything for {self._pacing.silence_days} days: telling the clock")
        await asyncio.to_thread(self._tell_clock)
        await self._until_done()
        return Played(fast.events + steady.events, fast, steady, first, ends)

    def _ends(self, topic: str) -> dict[int, int]:
        return end_offsets(self._settings.kafka, {topic: self._meter.partitions})[topic]

    async def _phase(self, start: int, stop: int, pace: Pace) -> Phase:
        """Sends rows `start` to `stop` and waits until the worker has committed them."""
        began = time.monotonic()
        halt = asyncio.Event()
        sending = asyncio.create_task(self._send(Extent(first=start, stop=stop), pace, halt))
        try:
            await self._until_done(sending)
        except BaseException:
            halt.set()
            await asyncio.wait({sending})
            raise
        return Phase(sending.result(), round(time.monotonic() - began, 3))

    async def _send(self, extent: Extent, pace: Pace, halt: asyncio.Event) -> int:
        """Sends rows of the recording; returns how many have arrived."""
        sent, acknowledged = self._meter.sent, self._meter.acknowledged

        def count(progress: Progress) -> None:
            self._meter.sent = sent + progress.sent
            self._meter.acknowledged = acknowledged + progress.acknowledged

        settings, recorded = self._settings, Recorded([self._shop.recording])
        to = dict.fromkeys(recorded.counts, settings.topics.clickstream)
        found = await asyncio.to_thread(find_routes, settings, recorded, to)
        summary = await replay(recorded, settings.kafka, found, pace=pace, extent=extent, tell=count, stop=halt)
        return summary.acknowledged

    async def _until_done(self, sending: "asyncio.Task[int] | None" = None) -> None:
        """Shows samples until everything is sent and nothing waits.

        Raises:
            ForestayError: the worker has stopped doing anything.
        """
        done, moved = -1, time.monotonic()
        while True:
            sent_all = sending is None or sending.done()
            if sending is not None and sent_all:
                sending.result()
            sample = await _finish(self._meter.sample)
            self._screen.show(sample, self._shop.events)
            if sent_all and sample.lag == 0:
                return
            if sample.lag <= 0 or sample.done != done:
                done, moved = sample.done, time.monotonic()
            elif time.monotonic() - moved > _STALLED:
                raise ForestayError(
                    f"the worker has done nothing for {_STALLED:g} s while {sample.lag:,} records wait; see its log"
                )
            await asyncio.sleep(_LOOK)

    def _tell_clock(self) -> None:
        """Says on every partition, day by day, that time has passed."""
        producer = KafkaProducer(**connection_options(self._settings.kafka), acks="all")
        end = int(self._shop.times.max())
        try:
            for day in range(1, self._pacing.silence_days + 1):
                told = send_clock(
                    producer, self._settings.topics.clock, range(self._meter.partitions), end + day * DAY
                )
                self._meter.clocks += len(told)
        finally:
            producer.close()


async def _finish(look: Callable[[], Sample]) -> Sample:
    """Runs `look` in a thread, to its end even when cancelled: the next one must not meet it half-way."""
    task = asyncio.create_task(asyncio.to_thread(look))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
