"""Looking at a worker: what its health is judged by, gathered from the engine and the consumer once a second."""

import asyncio
from collections.abc import Callable, Iterable

from faust.types import TP

from forestay.shell.engine import Engine
from forestay.shell.health import Health, PartitionSight, Sight, TopicSight
from forestay.shell.pipeline import Pipeline
from forestay.shell.transport import ChunkConsumer
from forestay.shell.web import Answer

#: Seconds between two looks: some microseconds a partition each.
_INTERVAL = 1.0


class Watch:
    """Looks at a worker once a second, and whenever somebody asks."""

    def __init__(
        self, health: Health, engine: Engine, consumer: Callable[[], ChunkConsumer], sources: Iterable[str]
    ) -> None:
        """`consumer` is asked for once partitions are at work: then there is one."""
        self._health = health
        self._engine = engine
        self._consumer = consumer
        self._topics = tuple(sources)

    async def run(self) -> None:
        """Looks until cancelled: standstills are logged whether or not anybody asks."""
        while True:
            self._health.look(self.sight())
            await asyncio.sleep(_INTERVAL)

    def live(self) -> Answer:
        """Says whether it would help to start this worker again."""
        self._health.look(self.sight())
        return self._health.live()

    def ready(self) -> Answer:
        """Says whether this worker has partitions, restored and at work, and how far it is."""
        self._health.look(self.sight())
        return self._health.ready()

    def sight(self) -> Sight:
        """Returns what is to be seen now."""
        pipelines = self._engine.pipelines
        if not pipelines:
            return Sight({})
        consumer = self._consumer()
        seen = {number: _partition(one, number, consumer, self._topics) for number, one in pipelines.items()}
        return Sight(seen, consumer.full)


def _partition(pipeline: Pipeline, number: int, consumer: ChunkConsumer, topics: Iterable[str]) -> PartitionSight:
    applied = pipeline.core.positions
    seen = {}
    for topic in topics:
        reading = consumer.reading(TP(topic, number))
        if reading is not None:
            at = applied.get(topic, 0)
            seen[topic] = TopicSight(reading.end, reading.position, reading.delivered, at, reading.answered)
    durable = sum(pipeline.durable.get(topic, 0) for topic in seen)
    return PartitionSight(seen, durable, not pipeline.idle)
