"""What a worker holds while whoever comes next is slow: so many chunks, and no more; and that its health sees it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio
from faust.transport.consumer import Fetcher
from faust.types import TP
from support.builders import MODEL, NOTHING_FOUND, SOURCES, START, TOPIC, catalogue, click, configuration, source
from support.fakes import FakePublisher

from forestay.core.applied import Restored
from forestay.core.decision.answer import Answer
from forestay.core.partition import Partition
from forestay.core.rules import Rules
from forestay.settings import Settings
from forestay.shell.app import _CHUNKS, RetentionApp
from forestay.shell.health import Health, Phase
from forestay.shell.pipeline import _WAITING, Outside, Pipeline
from forestay.shell.placement import Placement
from forestay.shell.scoring.asked import Asked
from forestay.shell.sighting import Watch
from forestay.shell.timings import Timings
from forestay.shell.transport import ChunkConsumer, Reading

PARTITIONS = 6
#: Between the consumer and the agent; in the agent's hand and in the fetcher's; then what waits in front of each
#: partition and is in work there; and a fetch brings all partitions one more.
MOST = _CHUNKS + 2 + PARTITIONS * (_WAITING + 1) + PARTITIONS - 1


class SilentScorer:
    """A model that never answers, and nobody gives up on."""

    model = MODEL

    async def score(self, asked: Sequence[Asked]) -> list[Answer]:
        del asked
        return await asyncio.Future()


class SlowWorker:
    """A worker with partitions and an endless backlog on each; nothing is connected."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.app = RetentionApp(Settings(), configuration(), PARTITIONS)
        self.fetched = dict.fromkeys(range(PARTITIONS), 0)
        self.engine = self.app.engine
        outside = self._outside()
        for number in range(PARTITIONS):
            core = Partition(number, SOURCES, Rules(), catalogue())
            self.engine._pipelines[number] = Pipeline(core, Restored([], []), NOTHING_FOUND, 1, outside)
        self.fetcher = Fetcher(self.app)
        assert isinstance(self.app.consumer, ChunkConsumer)
        self.consumer = self.app.consumer
        monkeypatch.setattr(self.consumer, "_wait_next_records", self._fetch)
        monkeypatch.setattr(self.consumer, "reading", self._reading)

    def _outside(self) -> Outside:
        settings, nothing = self.app.settings, self.app
        placement = Placement("murmur2", PARTITIONS)
        return Outside(
            SilentScorer(),
            FakePublisher(),
            nothing,
            settings.topics,
            settings.worker,
            Timings(),
            placement,
            "0" * 32,
        )

    async def _fetch(self, **_: object) -> tuple[Any, None]:
        """Gives one record of each partition, as from a topic without an end."""
        records = {}
        for number, offset in self.fetched.items():
            record = source(click(f"e{offset}", f"u{number}", ts=START + offset), offset, partition=number)
            records[TP(TOPIC, number)] = [record]
            self.fetched[number] = offset + 1
        return records, None

    def _reading(self, tp: TP) -> Reading | None:
        fetched = self.fetched[tp.partition]
        return Reading(fetched, fetched, 1_000_000, 0) if tp.topic == TOPIC else None

    async def run(self) -> None:
        """Works until everybody waits for somebody."""
        self.app.flow_control.resume()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(pipeline.run()) for pipeline in self.engine.pipelines.values()]
            tasks.append(group.create_task(self.app._retention(aiter(self.app._chunks))))  # type: ignore[arg-type]
            await self.fetcher.start()
            before = -1
            while sum(self.fetched.values()) != before:
                before = sum(self.fetched.values())
                for _ in range(200):
                    await asyncio.sleep(0)
            for task in tasks:
                task.cancel()


@pytest_asyncio.fixture
async def slow(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SlowWorker]:
    worker = SlowWorker(monkeypatch)
    async with asyncio.timeout(20):
        yield worker
    await worker.fetcher.stop()


async def test_behind_a_model_that_does_not_answer_only_so_many_chunks_are_held(slow: SlowWorker) -> None:
    await slow.run()
    assert PARTITIONS * (_WAITING + 1) + _CHUNKS < sum(slow.fetched.values()) <= MOST
    assert slow.consumer.full


async def test_its_health_sees_the_partitions_stand_still(slow: SlowWorker) -> None:
    now = 0.0
    health = Health(Settings(), slow.engine.progress, lambda: now)
    watch = Watch(health, slow.engine, lambda: slow.consumer, SOURCES)
    health.enter(Phase.WORKING)
    await slow.run()
    for _ in range(70):
        now += 1
        answer = watch.live()
    assert not answer.yes
    assert len(answer.content["reasons"]) == PARTITIONS
    assert watch.ready().content["lag"]["0"] == {TOPIC: 999_999}
