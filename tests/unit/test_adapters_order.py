"""The order in which the adapter agent reads a backlog: by time, whatever the broker gives first."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest
from aiokafka import TopicPartition

from forestay.adapters.adapter import Adapter
from forestay.adapters.loading import load_profile
from forestay.core.record import OutputRecord, SourceRecord
from forestay.core.units import to_datetime
from forestay.settings import AdapterSettings, Settings
from forestay.shell.adapter.agent import AdapterAgent
from forestay.shell.adapter.order import TimestampOrder

START = 1_767_225_600_000
HOUR = 3_600_000
WEEK = 7 * 24 * HOUR
PARTITIONS, EACH, BATCH, FETCH = 4, 500, 200, 70


def tp(number: int) -> TopicPartition:
    return TopicPartition("foreign", number)


@dataclass
class FakeConsumer:
    """Gives a partition's records as aiokafka does: what is fetched, first partition first, up to a limit.

    A fetch brings `FETCH` records; after each, the partition has nothing for as many calls as its number says.
    """

    logs: dict[TopicPartition, list[SourceRecord]]
    silent: frozenset[TopicPartition] = frozenset()
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    committed: dict[TopicPartition, int] = field(default_factory=dict)
    fetching: dict[TopicPartition, int] = field(default_factory=dict)

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self.logs)

    async def position(self, partition: TopicPartition) -> int:
        return self.positions.get(partition, 0)

    def highwater(self, partition: TopicPartition) -> int | None:
        return None if partition in self.silent else len(self.logs[partition])

    last_stable_offset = highwater

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[SourceRecord]]:
        del timeout_ms
        given: dict[TopicPartition, list[SourceRecord]] = {}
        for partition in partitions or sorted(self.logs):
            if partition in self.silent or self.fetching.get(partition, partition.partition) > 0:
                self.fetching[partition] = self.fetching.get(partition, partition.partition) - 1
                continue
            start = self.positions.get(partition, 0)
            records = self.logs[partition][start : start + min(FETCH, max_records)]
            if records:
                given[partition] = records
                max_records -= len(records)
                self.positions[partition] = start + len(records)
                self.fetching[partition] = partition.partition
            if not max_records:
                break
        if not given:
            await asyncio.sleep(0)
        return given

    async def commit(self, positions: dict[TopicPartition, int]) -> None:
        assert all(self.committed.get(partition, 0) <= offset for partition, offset in positions.items())
        self.committed.update(positions)


@dataclass
class FakePublisher:
    """Keeps what it is given."""

    outputs: dict[tuple[str, int], list[OutputRecord]] = field(default_factory=dict)

    async def publish(self, topic: str, partition: int, records: Sequence[OutputRecord]) -> int:
        self.outputs.setdefault((topic, partition), []).extend(records)
        return len(self.outputs[topic, partition])


def record(number: int, offset: int, moment: int, timestamp: int | None = None) -> SourceRecord:
    call = {"type": "page", "userId": f"u{number}-{offset % 50}", "messageId": f"m{number}-{offset}"}
    value = json.dumps(call | {"timestamp": to_datetime(moment).isoformat()}).encode()
    return SourceRecord("foreign", number, offset, moment if timestamp is None else timestamp, None, value, [])


def week() -> dict[TopicPartition, list[SourceRecord]]:
    """Seven days in each of four partitions, the busier the higher its number."""
    return {
        tp(number): [
            record(number, offset, START + offset * WEEK // (EACH * (number + 1)))
            for offset in range(EACH * (number + 1))
        ]
        for number in range(PARTITIONS)
    }


def order(consumer: FakeConsumer) -> TimestampOrder:
    return TimestampOrder(consumer, BATCH, 0)


async def taken(source: TimestampOrder, consumer: FakeConsumer) -> list[SourceRecord]:
    """Returns all records in the order in which they are taken."""
    found: list[SourceRecord] = []
    total = sum(len(log) for partition, log in consumer.logs.items() if partition not in consumer.silent)
    for _ in range(total * 2):
        if len(found) == total:
            return found
        batch = [cast(SourceRecord, record) for run in await source.take() for record in run.records]
        assert len(batch) <= BATCH
        found += batch
    raise AssertionError(f"{len(found)} of {total} records were taken")


async def test_the_agent_writes_a_backlog_in_the_order_of_its_time() -> None:
    settings = Settings(adapter=AdapterSettings(topic="foreign", profile="segment", batch_records=BATCH))
    topics = settings.topics
    agent = AdapterAgent(settings, Adapter(load_profile("segment")), {topics.clickstream: 2, topics.dead_letters: 1})
    consumer, publisher = FakeConsumer(week()), FakePublisher()
    source = order(consumer)
    ends = {partition: len(log) for partition, log in consumer.logs.items()}
    for _ in range(sum(ends.values())):
        await agent.step(consumer, source, publisher)
        if consumer.committed == ends:
            break
    assert consumer.committed == ends
    assert agent.mapped == sum(ends.values())
    assert set(publisher.outputs) == {(topics.clickstream, 0), (topics.clickstream, 1)}
    for outputs in publisher.outputs.values():
        moments = [json.loads(output.value or b"")["ts"] for output in outputs]
        assert moments == sorted(moments)


async def test_offsets_of_a_partition_stay_in_order_where_its_timestamps_do_not() -> None:
    jumps = [5, 1, 9, 2, 3, 8]
    logs = {tp(n): [record(n, k, START + jump * HOUR) for k, jump in enumerate(jumps)] for n in range(2)}
    consumer = FakeConsumer(logs)
    records = await taken(order(consumer), consumer)
    for number in range(2):
        assert [r.offset for r in records if r.partition == number] == list(range(len(jumps)))


async def test_without_timestamps_the_partitions_take_turns() -> None:
    logs = {tp(n): [record(n, k, START, timestamp=-1) for k in range(EACH)] for n in range(2)}
    consumer = FakeConsumer(logs)
    offsets = [r.offset for r in await taken(order(consumer), consumer)]
    assert offsets == sorted(offsets)


async def test_a_timestamp_of_the_future_holds_its_partition_back_no_longer_than_until_now() -> None:
    logs = week()
    logs[tp(0)] = [record(0, 0, START, timestamp=2**42), *(record(0, k, START) for k in range(1, 5))]
    consumer = FakeConsumer(logs)
    records = await taken(order(consumer), consumer)
    assert len(records) == sum(map(len, logs.values()))


async def test_a_partition_that_gives_nothing_is_waited_for_and_then_left_behind(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = FakeConsumer(week(), silent=frozenset({tp(2)}))
    source = order(consumer)
    assert [await source.take() for _ in range(50)] == [[]] * 50
    assert caplog.messages == []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "time", lambda real=loop.time: real() + 61)
    records = await taken(source, consumer)
    assert {r.partition for r in records} == {0, 1, 3}
    assert [r.timestamp or 0 for r in records] == sorted(r.timestamp or 0 for r in records)
    (message,) = caplog.messages
    assert message.startswith("partition 2 has given nothing for 60 s")


async def test_nothing_held_outlives_a_rebalance() -> None:
    consumer = FakeConsumer(week())
    source = order(consumer)
    while not (first := [r for run in await source.take() for r in run.records]):
        pass
    source.clear()
    consumer.positions.clear()
    while not (again := [r for run in await source.take() for r in run.records]):
        pass
    assert again == first
