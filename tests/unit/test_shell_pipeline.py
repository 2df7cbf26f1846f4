"""What a partition writes to many partitions travels together: a hand-over has not long."""

import asyncio
from collections.abc import Sequence
from typing import Any

from support.builders import DIGEST, MODEL, NOTHING_FOUND, SOURCES, catalogue
from support.fakes import FakePublisher, FakeScorer, hashing_model

from forestay.core.applied import Restored
from forestay.core.partition import Partition
from forestay.core.record import OutputRecord
from forestay.core.rules import Rules
from forestay.settings import TopicSettings, WorkerSettings
from forestay.shell.pipeline import Outside, Pipeline
from forestay.shell.placement import Placement
from forestay.shell.timings import Timings

PARTITIONS = 4


class SlowPublisher(FakePublisher):
    """Answers no write before every partition has been written to."""

    def __init__(self) -> None:
        super().__init__()
        self._all = asyncio.Barrier(PARTITIONS)

    async def publish(self, topic: str, partition: int, records: Sequence[OutputRecord]) -> int:
        end = await super().publish(topic, partition, records)
        await self._all.wait()
        return end


async def test_identity_records_travel_to_all_partitions_at_once_and_stay_in_order_in_each() -> None:
    publisher, placement = SlowPublisher(), Placement("murmur2", PARTITIONS)
    source: Any = None
    scorer = FakeScorer(MODEL, hashing_model("a"))
    topics = TopicSettings()
    outside = Outside(scorer, publisher, source, topics, WorkerSettings(), Timings(), placement, DIGEST)
    pipeline = Pipeline(Partition(0, SOURCES, Rules(), catalogue()), Restored([], []), NOTHING_FOUND, 1, outside)
    records = [OutputRecord(f"u{n % 50}".encode(), str(n).encode()) for n in range(500)]
    async with asyncio.timeout(10):
        await pipeline._publish_identity(records)
    assert {number: publisher.log[topics.identity, number] for number in range(PARTITIONS)} == (
        placement.by_partition(records)
    )
