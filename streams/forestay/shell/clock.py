"""The clock of quiet partitions: tells the time where no user does anything (design D6)."""

import asyncio
import time

from faust.types import TP

from forestay.core.record import OutputRecord
from forestay.core.units import to_datetime
from forestay.settings import TopicSettings
from forestay.shell.engine import Engine
from forestay.shell.publisher import Publisher
from forestay.shell.transport import ChunkConsumer
from forestay_schemas.clock_record import ClockRecord


class ClockTeller:
    """Writes the wall clock's time to the clock topic of each partition that has caught up.

    While events wait to be read, their users are not silent: such a partition is told nothing.
    """

    def __init__(
        self, engine: Engine, publisher: Publisher, consumer: ChunkConsumer, topics: TopicSettings, interval: float
    ) -> None:
        """`interval`: seconds between two records of a partition."""
        self._engine = engine
        self._publisher = publisher
        self._consumer = consumer
        self._topics = topics
        self._interval = interval

    async def run(self) -> None:
        """Tells the time until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            now = ClockRecord(ts=to_datetime(round(time.time() * 1000)))
            record = OutputRecord(None, now.model_dump_json().encode())
            for number in list(self._engine.pipelines):
                if await self._caught_up(number):
                    await self._publisher.publish(self._topics.clock, number, [record])

    async def _caught_up(self, number: int) -> bool:
        pipeline = self._engine.pipelines.get(number)
        if pipeline is None or not pipeline.idle:
            return False
        position = pipeline.core.positions.get(self._topics.clickstream, 0)
        return await self._consumer.caught_up(TP(self._topics.clickstream, number), position)
