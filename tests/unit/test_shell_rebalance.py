"""A rebalance while the worker is full: Faust empties its queues, and the fetcher must live through it, or end."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiokafka.errors import IllegalStateError
from faust.transport.consumer import Fetcher
from faust.types import TP
from support.builders import TOPIC, click, configuration, source

from forestay.settings import Settings
from forestay.shell.app import RetentionApp
from forestay.shell.transport import Chunk, ChunkConsumer

CLICKS = TP(TOPIC, 0)


class FullWorker:
    """An app whose agent takes nothing, so that its fetcher waits for room; nothing is connected."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.app = RetentionApp(Settings(), configuration(), 1)
        self.chunks: Any = aiter(self.app._chunks)
        self.fetched: deque[int] = deque(range(100))
        self.may_fetch = asyncio.Event()
        self.may_fetch.set()
        self.fetcher = Fetcher(self.app)
        consumer = self.app.consumer
        assert isinstance(consumer, ChunkConsumer)
        monkeypatch.setattr(consumer, "_wait_next_records", self._fetch)

    async def _fetch(self, **_: object) -> tuple[Any, None]:
        offset = self.fetched.popleft()
        await self.may_fetch.wait()
        return {CLICKS: [source(click(f"e{offset}"), offset)]}, None

    async def fill(self) -> None:
        """Returns when the fetcher waits for room."""
        self.app.flow_control.resume()
        await self.fetcher.start()
        await self.waiting()

    async def waiting(self) -> None:
        while not self.chunks.queue._putters:  # noqa: ASYNC110 (a queue has no event for it)
            await asyncio.sleep(0)

    def revoke(self) -> None:
        """What Faust does on revocation, before it tells us (`App._on_partitions_revoked`)."""
        self.app.on_rebalance_start()
        self.app.consumer.stop_flow()
        self.app.flow_control.suspend()
        self.app.flow_control.clear()

    def resume(self) -> None:
        """What Faust does once the new assignment is taken over (`Recovery._resume_streams`)."""
        self.app.flow_control.resume()
        self.app.consumer.resume_flow()
        self.app.on_rebalance_end()

    async def next_offset(self) -> int:
        chunk: Chunk = await self.chunks.queue.get()
        return chunk.records[0].offset


async def turns() -> None:
    """Gives every task of the loop its turn, several times."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest_asyncio.fixture
async def full(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FullWorker]:
    worker = FullWorker(monkeypatch)
    await worker.fill()
    async with asyncio.timeout(10):
        yield worker
    await worker.fetcher.stop()


async def test_a_fetcher_that_waits_for_room_lives_through_a_rebalance(full: FullWorker) -> None:
    before = full.fetched[0]
    full.revoke()
    await turns()
    assert full.chunks.queue.empty()
    full.resume()
    # The one that waited is gone, like those before it: the consumer has been sought to where durable state ends.
    assert await full.next_offset() >= before
    await full.waiting()
    assert not full.fetcher.crashed
    assert not full.app.crashed


async def test_a_fetcher_told_to_stop_in_a_rebalance_ends_and_takes_nobody_along(full: FullWorker) -> None:
    full.revoke()
    await full.fetcher.stop()
    assert not full.fetcher.tracebacks()
    assert not full.fetcher.crashed
    assert not full.app.crashed


async def test_a_fetch_that_ends_in_a_rebalance_is_delivered_after_it(full: FullWorker) -> None:
    """It may have begun after the seek already: dropped, it would be missed until more comes on the partition."""
    full.may_fetch.clear()
    fetching = full.fetched[0]
    await full.next_offset()
    await turns()
    assert full.fetched[0] == fetching + 1
    full.revoke()
    full.may_fetch.set()
    await turns()
    full.resume()
    assert await full.next_offset() == fetching


async def test_a_seek_asked_for_a_partition_that_has_left_is_left_out(
    full: FullWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves between the look at the assignment and the seek, which is the consumer thread's."""

    async def leave(positions: object) -> None:
        asked.set_result(positions)
        raise IllegalStateError("No current assignment for partition")

    asked = asyncio.get_running_loop().create_future()
    consumer = full.app.consumer
    monkeypatch.setattr(consumer, "assignment", lambda: {CLICKS})
    monkeypatch.setattr(consumer, "seek_wait", leave)
    full.app.seek_before_next_fetch({CLICKS: 7})
    await full.next_offset()
    assert await asked == {CLICKS: 7}
    await full.waiting()
    assert not full.app.crashed


async def test_a_delivery_that_is_cancelled_itself_ends(full: FullWorker) -> None:
    delivering = asyncio.create_task(full.app.deliver(Chunk(TOPIC, 0, 0, [source(click("e"), 0)])))
    await asyncio.sleep(0)
    delivering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await delivering
