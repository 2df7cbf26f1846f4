"""Partitions change hands: what was read before a handover is never worked from after it."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any
from unittest.mock import AsyncMock

import pytest
from faust.types import TP
from support.builders import DIGEST, MODEL, configuration
from support.fakes import FakePublisher, FakeScorer, hashing_model

from forestay.core.errors import ForestayError, StateError
from forestay.core.state.mark import PartitionMark
from forestay.settings import Settings
from forestay.shell import engine as module
from forestay.shell.engine import Engine, HandoverError
from forestay.shell.pipeline import Outside
from forestay.shell.placement import Placement
from forestay.shell.producer_ids import FencedError, FenceError
from forestay.shell.publisher import PublishError
from forestay.shell.recovery.keeping import Ends
from forestay.shell.recovery.recover import Recovered
from forestay.shell.timings import Timings


class Changelog:
    """A recovery that ends when it is let; each reading knows more than the one before."""

    def __init__(self) -> None:
        self.readings = 0
        self.reading = asyncio.Event()
        self.may_end = asyncio.Event()
        #: Partitions of which others have written since they were kept.
        self.changed: set[int] = set()
        self.looked_at: list[list[int]] = []

    async def recover(
        self, _kafka: object, _topics: object, partitions: Iterable[int], _progress: object
    ) -> dict[int, Recovered]:
        self.readings += 1
        self.reading.set()
        position = 100 * self.readings
        await self.may_end.wait()
        mark = PartitionMark({"clickstream": position}, 0, 0, self.readings, 0)
        return {number: Recovered({}, mark, [], 0) for number in partitions}

    async def as_left(self, _kafka: object, kept: Mapping[int, Ends]) -> dict[int, Ends]:
        self.looked_at.append(sorted(kept))
        return {number: ends for number, ends in kept.items() if number not in self.changed}


@pytest.fixture
def changelog(monkeypatch: pytest.MonkeyPatch) -> Changelog:
    log = Changelog()
    monkeypatch.setattr(module, "recover", log.recover)
    monkeypatch.setattr(module, "as_left", log.as_left)
    return log


class FakeFence:
    """A fence that keeps what it was asked, and breaks when told."""

    def __init__(self) -> None:
        self.taken: list[list[int]] = []
        self.renewed: asyncio.Queue[list[int]] = asyncio.Queue()
        self.breaks: ForestayError | None = None
        self.may_take = asyncio.Event()
        self.may_take.set()

    async def take(self, partitions: Iterable[int]) -> None:
        self.taken.append(list(partitions))
        await self.may_take.wait()
        if self.breaks is not None:
            raise self.breaks

    async def renew(self, partitions: Iterable[int]) -> None:
        self.renewed.put_nowait(list(partitions))
        if self.breaks is not None:
            raise self.breaks


def engine_for(failures: list[BaseException], fence: FakeFence | None = None) -> Engine:
    settings = Settings()
    source: Any = AsyncMock()
    source.commit_positions.return_value = True
    scorer = FakeScorer(MODEL, hashing_model("a"))
    outside = Outside(
        scorer, FakePublisher(), source, settings.topics, settings.worker, Timings(), Placement("murmur2", 1), DIGEST
    )
    return Engine(settings, configuration(), outside, failures.append, fence or FakeFence())


async def test_a_handover_during_recovery_starts_nothing_and_the_next_assignment_reads_anew(
    changelog: Changelog,
) -> None:
    failures: list[BaseException] = []
    engine = engine_for(failures)
    first = asyncio.create_task(engine.take_over([0, 1, 2, 3], 1))
    await changelog.reading.wait()
    await engine.hand_over(1)
    # What was being read is another's by now: it is not read to its end.
    await first
    assert engine.pipelines == {}
    changelog.may_end.set()
    await engine.take_over([0, 1], 2)
    assert sorted(engine.pipelines) == [0, 1]
    assert engine.start_positions([TP("clickstream", 0)]) == {TP("clickstream", 0): 200}
    await engine.hand_over(1)
    assert failures == []


async def test_a_handover_lets_a_claim_end_before_others_may_claim(changelog: Changelog) -> None:
    """A late one would shut out the new owner."""
    changelog.may_end.set()
    fence = FakeFence()
    fence.may_take.clear()
    engine = engine_for([], fence)
    taking = asyncio.create_task(engine.take_over([0], 1))
    handing = asyncio.create_task(engine.hand_over(10))
    _, waiting = await asyncio.wait([taking, handing], timeout=0.05)
    assert waiting == {taking, handing}
    fence.may_take.set()
    await asyncio.gather(taking, handing)
    assert engine.pipelines == {}


async def test_a_handover_during_a_claim_lets_nothing_be_read(changelog: Changelog) -> None:
    """By then another owner may write, and a reading that meets it half-written would end this worker."""
    changelog.may_end.set()
    fence = FakeFence()
    fence.may_take.clear()
    engine = engine_for([], fence)
    taking = asyncio.create_task(engine.take_over([0], 1))
    handing = asyncio.create_task(engine.hand_over(10))
    await asyncio.wait([taking, handing], timeout=0.05)
    assert fence.taken == [[0]]
    fence.may_take.set()
    await asyncio.gather(taking, handing)
    assert (changelog.readings, engine.pipelines) == (0, {})


async def test_what_is_wrong_with_anothers_state_does_not_end_this_worker(
    changelog: Changelog, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def recover(*_: object) -> dict[int, Recovered]:
        changelog.reading.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise StateError("its new owner has begun to write")

    monkeypatch.setattr(module, "recover", recover)
    engine = engine_for([])
    taking = asyncio.create_task(engine.take_over([0], 1))
    await changelog.reading.wait()
    await engine.hand_over(1)
    await taking
    assert engine.pipelines == {}


async def test_a_claim_that_does_not_end_is_no_handover(changelog: Changelog) -> None:
    changelog.may_end.set()
    fence = FakeFence()
    fence.may_take.clear()
    engine = engine_for([], fence)
    taking = asyncio.create_task(engine.take_over([0], 1))
    await asyncio.sleep(0)
    with pytest.raises(HandoverError, match="claim"):
        await engine.hand_over(0.01)
    fence.may_take.set()
    await taking


@pytest.mark.parametrize("broken", [FencedError("partition 0"), FenceError("late")])
async def test_a_claim_that_fails_after_a_handover_is_no_failure(changelog: Changelog, broken: ForestayError) -> None:
    """Whoever got the partition has claimed it meanwhile."""
    changelog.may_end.set()
    fence = FakeFence()
    fence.breaks = broken
    fence.may_take.clear()
    engine = engine_for([], fence)
    taking = asyncio.create_task(engine.take_over([0], 1))
    handing = asyncio.create_task(engine.hand_over(10))
    await asyncio.sleep(0)
    fence.may_take.set()
    await asyncio.gather(taking, handing)
    assert engine.pipelines == {}
    with pytest.raises(type(broken)):
        await engine.take_over([0], 2)


async def test_partitions_it_does_not_own_have_no_position_to_read_from(changelog: Changelog) -> None:
    changelog.may_end.set()
    engine = engine_for([])
    await engine.take_over([1], 1)
    assert engine.start_positions([TP("clickstream", 0), TP("clickstream", 1)]) == {TP("clickstream", 1): 100}
    await engine.hand_over(1)


async def test_what_is_given_back_as_it_was_left_is_not_read_again(changelog: Changelog) -> None:
    changelog.may_end.set()
    fence = FakeFence()
    engine = engine_for([], fence)
    await engine.take_over([0, 1, 2], 1)
    cores = {number: pipeline.core for number, pipeline in engine.pipelines.items()}
    await engine.hand_over(1)
    changelog.changed = {1}
    await engine.take_over([0, 1], 2)
    assert fence.taken[-1] == [0, 1]
    assert changelog.looked_at[-1] == [0, 1]
    assert engine.pipelines[0].core is cores[0]
    assert engine.pipelines[1].core is not cores[1]
    assert engine.start_positions([TP("clickstream", 1)]) == {TP("clickstream", 1): 200}
    await engine.hand_over(1)
    # Partition 2 was another's by then.
    await engine.take_over([2], 3)
    assert changelog.looked_at[-1] == []
    await engine.hand_over(1)


async def test_what_a_pipeline_that_failed_remembers_is_forgotten(
    changelog: Changelog, monkeypatch: pytest.MonkeyPatch
) -> None:
    changelog.may_end.set()
    failures = list[BaseException]()
    engine = engine_for(failures)
    await engine.take_over([0], 1)

    async def fail(*_: object) -> None:
        raise PublishError("full")

    monkeypatch.setattr(engine.pipelines[0], "_finish_commit", fail)
    await engine.hand_over(1)
    assert len(failures) == 1
    await engine.take_over([0], 2)
    assert changelog.looked_at[-1] == []
    await engine.hand_over(1)


async def test_former_owners_are_shut_out_before_their_records_are_read(changelog: Changelog) -> None:
    fence = FakeFence()
    engine = engine_for([], fence)
    taking = asyncio.create_task(engine.take_over([0, 2], 1))
    await changelog.reading.wait()
    assert (fence.taken, changelog.readings) == ([[0, 2]], 1)
    changelog.may_end.set()
    await taking
    # What stays ours is not taken again: its records are on their way.
    await engine.take_over([0, 1, 2], 2)
    assert fence.taken == [[0, 2], [1]]
    await engine.hand_over(1)


async def test_a_fence_that_cannot_be_reached_is_tried_again_and_one_that_is_broken_is_a_failure(
    changelog: Changelog,
) -> None:
    changelog.may_end.set()
    fence, failures = FakeFence(), list[BaseException]()
    engine = engine_for(failures, fence)
    await engine.take_over([0, 1], 1)
    fence.breaks = FenceError("no coordinator")
    keeping = asyncio.create_task(engine.keep_fence(1e-6))
    for _ in range(3):
        assert await fence.renewed.get() == [0, 1]
    assert not failures
    broken = fence.breaks = FencedError("partition 1")
    await keeping
    assert failures == [broken]
    await engine.hand_over(1)


async def test_a_fence_broken_after_a_handover_is_the_successors(changelog: Changelog) -> None:
    changelog.may_end.set()
    fence, failures = FakeFence(), list[BaseException]()
    engine = engine_for(failures, fence)
    await engine.take_over([0], 1)

    async def hand_over(partitions: Iterable[int]) -> None:
        fence.renewed.put_nowait(list(partitions))
        await engine.hand_over(1)
        raise FencedError("partition 0")

    fence.renew = hand_over  # type: ignore[method-assign]
    keeping = asyncio.create_task(engine.keep_fence(1e-6))
    assert await fence.renewed.get() == [0]
    assert await fence.renewed.get() == []
    keeping.cancel()
    assert failures == []
