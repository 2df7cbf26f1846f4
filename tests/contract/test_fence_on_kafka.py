"""The fence on a real Apache Kafka: a former owner writes nothing more, and what it wrote before can be read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from kafka.admin import NewTopic
from support.kafka import KafkaServer

from forestay.core.record import OutputRecord
from forestay.settings import KafkaSettings, TopicSettings
from forestay.shell.fence import KafkaFence
from forestay.shell.kafka_clients import connection_options
from forestay.shell.producer_ids import FencedError, FenceError, ProducerIds
from forestay.shell.publisher import KafkaPublisher, PublishError
from forestay.shell.topics import admin_client

pytest_plugins = ("support.kafka_plugin",)
pytestmark = [pytest.mark.kafka, pytest.mark.timeout(60)]

#: What only the owner of a partition writes.
OWN = ("decisions", "actions", "outcomes", "dead_letters", "features", "ledger", "state")


class Owner(NamedTuple):
    """What a worker writes with."""

    fence: KafkaFence
    publisher: KafkaPublisher


class World(NamedTuple):
    """A deployment's settings, and owners who come one after the other."""

    kafka: KafkaSettings
    topics: TopicSettings

    @asynccontextmanager
    async def owner(self) -> AsyncIterator[Owner]:
        async with (
            KafkaPublisher(self.kafka, deadline=10) as publisher,
            ProducerIds(self.kafka) as ids,
        ):
            yield Owner(KafkaFence(self.kafka, self.topics, ids, publisher), publisher)

    async def read(self, role: str, partition: int) -> list[bytes]:
        """Returns the values of a partition's records, as whoever reads committed ones alone sees them."""
        tp = TopicPartition(getattr(self.topics, role), partition)
        consumer = AIOKafkaConsumer(
            **connection_options(self.kafka), enable_auto_commit=False, isolation_level="read_committed"
        )
        async with consumer:
            consumer.assign([tp])
            await consumer.seek_to_beginning(tp)
            end = (await consumer.end_offsets([tp]))[tp]
            values: list[bytes] = []
            while await consumer.position(tp) < end:
                values += [record.value for record in (await consumer.getmany(tp, timeout_ms=1_000)).get(tp, [])]
            return values


def world_on(server: KafkaServer, name: str) -> World:
    """Topics of this test's own, each with two partitions."""
    kafka = KafkaSettings(bootstrap_servers=server.bootstrap, group_id=name)
    topics = TopicSettings(**{role: f"{name}-{role}" for role in OWN})
    with admin_client(kafka) as admin:
        admin.create_topics([NewTopic(f"{name}-{role}", 2, 1) for role in OWN])
    return World(kafka, topics)


def record(text: bytes) -> list[OutputRecord]:
    return [OutputRecord(b"u1", text)]


async def test_a_former_owner_writes_nothing_more_to_any_log_of_the_partition(kafka_server: KafkaServer) -> None:
    world = await asyncio.to_thread(world_on, kafka_server, "zombie")
    async with world.owner() as former, world.owner() as successor:
        await former.fence.take([0, 1])
        for role in OWN:
            await former.publisher.publish(getattr(world.topics, role), 0, record(b"former"))
        await successor.fence.take([0])
        for role in OWN:
            assert await world.read(role, 0) == [b"former"], "all it wrote before can be read when it is shut out"
            # Before the successor has written anything, and after.
            for _ in range(2):
                with pytest.raises(FencedError, match=f"taken over partition 0 .{getattr(world.topics, role)}"):
                    await former.publisher.publish(getattr(world.topics, role), 0, record(b"zombie"))
                await successor.publisher.publish(getattr(world.topics, role), 0, record(b"successor"))
            assert await world.read(role, 0) == [b"former", b"successor", b"successor"]
        # The other partition is still its own.
        await former.publisher.publish(world.topics.state, 1, record(b"former"))
        assert await world.read("state", 1) == [b"former"]


async def test_records_on_their_way_at_a_takeover_are_either_read_by_the_successor_or_refused(
    kafka_server: KafkaServer,
) -> None:
    world = await asyncio.to_thread(world_on, kafka_server, "race")
    async with AsyncExitStack() as stack:
        former = await stack.enter_async_context(world.owner())
        await former.fence.take([0])
        for number in range(10):
            writing = asyncio.create_task(write_until_refused(former, world.topics.decisions))
            await asyncio.sleep(0.001 * number)
            successor = await stack.enter_async_context(world.owner())
            await successor.fence.take([0])
            seen = await world.read("decisions", 0)
            accepted = await writing
            assert await world.read("decisions", 0) == seen, "nothing arrives after it was read"
            assert seen[len(seen) - accepted :] == [b"%d" % n for n in range(accepted)]
            former = successor


async def write_until_refused(owner: Owner, topic: str) -> int:
    """Returns how many records were taken."""
    count = 0
    while True:
        try:
            await owner.publisher.publish(topic, 0, record(b"%d" % count))
        except FencedError:
            return count
        count += 1


async def test_a_renewed_fence_stands_in_nobodys_way_and_a_former_owner_cannot_renew(
    kafka_server: KafkaServer,
) -> None:
    world = await asyncio.to_thread(world_on, kafka_server, "renewal")
    async with world.owner() as former, world.owner() as owner:
        await former.fence.take([0, 1])
        await owner.fence.take([0, 1])
        writing = asyncio.create_task(write_until_refused(owner, world.topics.state))
        for _ in range(5):
            await owner.fence.renew([0, 1])
        assert not writing.done()
        with pytest.raises(FencedError, match="renewal-partition-0"):
            await former.fence.renew([0])
        with pytest.raises(FencedError):
            await former.publisher.publish(world.topics.state, 0, record(b"zombie"))
        # It comes back, joins and is the owner again: under a new epoch its records count from the first.
        await former.fence.take([0])
        count = await writing
        assert await world.read("state", 0) == [b"%d" % n for n in range(count)]
        await former.publisher.publish(world.topics.state, 0, record(b"again"))
        assert (await world.read("state", 0))[-1] == b"again"


async def test_a_topic_that_is_not_there_is_told_within_the_deadline(kafka_server: KafkaServer) -> None:
    world = await asyncio.to_thread(world_on, kafka_server, "missing")
    impatient = world.kafka.model_copy(update={"request_timeout_seconds": 1})
    async with world.owner() as owner, ProducerIds(impatient) as ids:
        # By then a fresh broker has its coordinator.
        await owner.fence.take([0])
        with pytest.raises(FenceError, match="UnknownTopicOrPartitionError"):
            await ids.claim("missing-topic", [TopicPartition("missing-topic", 0)])


async def test_a_failure_that_is_no_takeover_stays_one(kafka_server: KafkaServer) -> None:
    world = await asyncio.to_thread(world_on, kafka_server, "large")
    async with world.owner() as owner:
        await owner.fence.take([0])
        with pytest.raises(PublishError, match="large-state-0"):
            await owner.publisher.publish(world.topics.state, 0, [OutputRecord(b"k", b"x" * 2_000_000)])
