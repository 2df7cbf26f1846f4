"""Offsets that are missing: a gap is believed only when the log itself has it, and nothing is skipped."""

from typing import Any, NamedTuple

import pytest
from faust.types import TP
from support.builders import DIGEST, MODEL, NOTHING_FOUND, SOURCES, TOPIC, catalogue, click, source, user
from support.fakes import FakePublisher, FakeScorer, hashing_model

from forestay.core.applied import Restored
from forestay.core.errors import StateError
from forestay.core.partition import Partition
from forestay.core.rules import Rules
from forestay.settings import TopicSettings, WorkerSettings
from forestay.shell.pipeline import Outside, Pipeline
from forestay.shell.placement import Placement
from forestay.shell.timings import Timings
from forestay.shell.transport import Chunk


class Log:
    """A consumer over a log with holes: fetches a few records at a time, seeks only between two fetches."""

    def __init__(self, offsets: list[int]) -> None:
        self.records = [source(click(f"e{offset}"), offset) for offset in offsets]
        self.position = 0
        self.seeks = 0
        self._wanted: int | None = None

    def seek_before_next_fetch(self, positions: dict[TP, int]) -> int:
        self._wanted = positions[TP(TOPIC, 0)]
        return self.seeks + 1

    async def commit_positions(self, positions: dict[TP, int]) -> bool:
        raise AssertionError(positions)

    def log_end(self, tp: TP) -> int:
        assert tp == TP(TOPIC, 0)
        return self.records[-1].offset + 1

    def fetch(self, count: int) -> Chunk:
        if self._wanted is not None:
            self.position, self._wanted = self._wanted, None
            self.seeks += 1
        found = [record for record in self.records if record.offset >= self.position][:count]
        self.position = found[-1].offset + 1 if found else self.position
        return Chunk(TOPIC, 0, self.seeks, found)


class Line(NamedTuple):
    log: Log
    pipeline: Pipeline

    async def take(self, chunk: Chunk) -> None:
        await self.pipeline._process(chunk)

    def applied(self) -> int:
        core = self.pipeline.core
        return sum(user(core, user_id).applied for user_id in core.users.ids())


def line(offsets: list[int]) -> Line:
    log = Log(offsets)
    core = Partition(0, SOURCES, Rules(), catalogue())
    scorer = FakeScorer(MODEL, hashing_model("a"))
    settings = WorkerSettings(commit_interval_seconds=60)
    outside: Any = Outside(
        scorer, FakePublisher(), log, TopicSettings(), settings, Timings(), Placement("murmur2", 1), DIGEST
    )
    return Line(log, Pipeline(core, Restored([], []), NOTHING_FOUND, 1, outside))


async def test_marks_of_transactions_are_passed_over_though_a_fetch_is_always_ahead() -> None:
    """Every third offset holds no record; a chunk is on its way while the one before is looked at."""
    offsets = [offset for offset in range(60) if offset % 3 != 2]
    way = line(offsets)
    chunk = way.log.fetch(2)
    for _ in range(200):
        following = way.log.fetch(2)
        if chunk.records:
            await way.take(chunk)
        chunk = following
    assert way.applied() == len(offsets)
    assert way.pipeline.core.positions[TOPIC] == 60 - 1


async def test_a_stale_chunk_from_further_on_skips_nothing() -> None:
    way = line(list(range(20)))
    way.log.position = 10
    stale = way.log.fetch(5)
    await way.take(stale)
    assert way.applied() == 0
    while way.applied() < 20:
        await way.take(way.log.fetch(5))


async def test_a_log_that_begins_later_is_read_from_its_beginning() -> None:
    way = line(list(range(100, 110)))
    await way.take(way.log.fetch(5))
    assert way.applied() == 0
    await way.take(way.log.fetch(5))
    await way.take(way.log.fetch(5))
    assert way.applied() == 10
    assert way.log.seeks == 1


async def test_what_was_applied_before_is_not_applied_again() -> None:
    way = line(list(range(10)))
    await way.take(way.log.fetch(10))
    way.log.position = 3
    await way.take(way.log.fetch(10))
    assert way.applied() == 10


async def test_a_topic_that_was_made_again_stops_the_line_before_anything_of_it_is_taken_in() -> None:
    way = line(list(range(10)))
    await way.take(way.log.fetch(10))
    old = way.log.records
    way.log.records = old[:3]
    with pytest.raises(StateError, match="ends at offset 3, but was read to 10"):
        await way.take(Chunk(TOPIC, 0, 0, old[:3]))
    assert way.applied() == 10


async def test_records_that_come_again_after_a_rebalance_are_passed_over() -> None:
    way = line(list(range(10)))
    await way.take(way.log.fetch(10))
    await way.take(Chunk(TOPIC, 0, 0, way.log.records[2:5]))
    assert way.applied() == 10
