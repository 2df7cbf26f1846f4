"""The clock of quiet partitions: tells the time where no user does anything (design D6)."""

import asyncio

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
        #: When a fetch of the clickstream had been answered at the last look, by partition (milliseconds).
        self._answered: dict[int, int] = {}

    async def run(self) -> None:
        """Tells the time until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            for number in list(self._engine.pipelines):
                await self.tell(number)

    async def tell(self, number: int) -> None:
        """Tells a partition a time before which nothing waits to be read, if there is one.

        That is not now: who was stopped for an hour believes to have read all until the next fetch is answered, and
        the answer that comes first may be an hour old. The fetch answered last was sent after the one before was
        answered: all that lay there then has been read.
        """
        reading = self._consumer.reading(TP(self._topics.clickstream, number))
        if reading is None or reading.answered is None:
            return
        before = self._answered.get(number, reading.answered)
        self._answered[number] = reading.answered
        if before != reading.answered and await self._caught_up(number):
            told = ClockRecord(ts=to_datetime(min(before, reading.answered)))
            record = OutputRecord(None, told.model_dump_json().encode())
            await self._publisher.publish(self._topics.clock, number, [record])

    async def _caught_up(self, number: int) -> bool:
        pipeline = self._engine.pipelines.get(number)
        if pipeline is None or not pipeline.idle:
            return False
        position = pipeline.core.positions.get(self._topics.clickstream, 0)
        return await self._consumer.caught_up(TP(self._topics.clickstream, number), position)
