"""The embedded broker comes up, is told from others, goes away, and is what the decision record says it is."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import UnknownError
from aiokafka.structs import OffsetAndMetadata
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic

from forestay.embedded.broker import EmbeddedBroker
from forestay.embedded.errors import EmbeddedError
from forestay.embedded.ports import LOOPBACK

pytestmark = [pytest.mark.embedded, pytest.mark.asyncio(loop_scope="module")]

WITHIN = 10.0  # seconds for what takes milliseconds
PRODUCED_AT = 1_700_000_000_000


def listens(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def cluster(address: str) -> str:
    admin = KafkaAdminClient(bootstrap_servers=address)
    try:
        return str(admin.describe_cluster()["cluster_id"])
    finally:
        admin.close()


async def test_two_at_once_are_two_brokers_and_none_is_left(tmp_path: Path) -> None:
    async with EmbeddedBroker(log=tmp_path / "1.log") as one, EmbeddedBroker(log=tmp_path / "2.log") as two:
        addresses = [one.bootstrap_servers, two.bootstrap_servers]
        names = await asyncio.gather(*(asyncio.to_thread(cluster, address) for address in addresses))
        assert len(set(names)) == len(set(addresses)) == 2
        assert all(address.startswith(f"{LOOPBACK}:") for address in addresses)
    assert not any(listens(address) for address in addresses)


async def test_stops_at_once_while_clients_are_connected(tmp_path: Path) -> None:
    async with EmbeddedBroker(log=tmp_path / "broker.log") as own:
        consumer = AIOKafkaConsumer(bootstrap_servers=own.bootstrap_servers)
        await consumer.start()
        started = time.monotonic()
        await own.stop()
        assert time.monotonic() - started < 3
        await consumer.stop()


async def test_a_port_that_is_asked_for_is_used_or_refused_by_name(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as holder:
        port = holder.getsockname()[1]
        broker = EmbeddedBroker(log=tmp_path / "broker.log", port=port)
        with pytest.raises(EmbeddedError, match=f"Port {port} cannot be used"):
            await broker.start()
    async with broker:
        assert broker.bootstrap_servers == f"{LOOPBACK}:{port}"
        assert listens(broker.bootstrap_servers)


async def test_a_missing_program_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", str(tmp_path / "absent"))
    with pytest.raises(EmbeddedError, match="no program for this machine"):
        await EmbeddedBroker(log=tmp_path / "broker.log").start()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedBroker]:
    async with EmbeddedBroker(log=tmp_path_factory.mktemp("log") / "broker.log") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def topic(broker: EmbeddedBroker, request: pytest.FixtureRequest) -> str:
    name = request.node.name
    await asyncio.to_thread(declare, broker.bootstrap_servers, NewTopic(name, 2, 1))
    return str(name)


def declare(address: str, topic: NewTopic) -> None:
    admin = KafkaAdminClient(bootstrap_servers=address)
    try:
        admin.create_topics([topic])
    finally:
        admin.close()


@pytest_asyncio.fixture(loop_scope="module")
async def producer(broker: EmbeddedBroker) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, acks="all") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def consumer(broker: EmbeddedBroker) -> AsyncIterator[AIOKafkaConsumer]:
    async with AIOKafkaConsumer(
        bootstrap_servers=broker.bootstrap_servers,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=10,
    ) as running:
        yield running


async def send_batch(producer: AIOKafkaProducer, topic: str, count: int) -> int:
    """Send ``count`` records to partition 1 in one batch; return the offset of the first."""
    batch = producer.create_batch()
    for number in range(count):
        appended = batch.append(
            key=b"user",
            value=b"%d" % number,
            timestamp=PRODUCED_AT + number,
            headers=[("kind", b"x"), ("none", None)],
        )
        assert appended is not None
    return int((await (await producer.send_batch(batch, topic, partition=1))).offset)


async def read(consumer: AIOKafkaConsumer, count: int) -> list[Any]:
    records: list[Any] = []
    async with asyncio.timeout(WITHIN):
        while len(records) < count:
            for found in (await consumer.getmany(timeout_ms=200)).values():
                records += found
    return records


async def test_a_batch_keeps_partition_order_timestamps_and_headers(
    producer: AIOKafkaProducer, consumer: AIOKafkaConsumer, topic: str
) -> None:
    assert [await send_batch(producer, topic, 100), await send_batch(producer, topic, 5)] == [0, 100]
    consumer.assign([TopicPartition(topic, 1)])
    records = await read(consumer, 105)
    assert [record.offset for record in records] == list(range(105))
    assert [record.timestamp - PRODUCED_AT for record in records] == [*range(100), *range(5)]
    assert records[7].key == b"user"
    assert records[7].value == b"7"
    assert records[7].headers == (("kind", b"x"), ("none", None))


async def test_the_end_is_told_by_fetch_and_not_by_list_offsets(
    producer: AIOKafkaProducer, consumer: AIOKafkaConsumer, topic: str
) -> None:
    await send_batch(producer, topic, 10)
    partition = TopicPartition(topic, 1)
    consumer.assign([partition])
    assert await consumer.end_offsets([partition]) == {partition: 1}, "ListOffsets has been mended: use it again"
    await read(consumer, 10)
    assert consumer.highwater(partition) == 10


async def test_committed_offsets_stay_without_their_metadata(
    broker: EmbeddedBroker, producer: AIOKafkaProducer, topic: str
) -> None:
    await send_batch(producer, topic, 10)
    partition = TopicPartition(topic, 1)
    async with AIOKafkaConsumer(
        bootstrap_servers=broker.bootstrap_servers, group_id="commits", enable_auto_commit=False
    ) as member:
        member.assign([partition])
        await member.commit({partition: OffsetAndMetadata(4, "kept?")})
        assert await member.committed(partition) == 4
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    try:
        offsets = admin.list_group_offsets(["commits"])["commits"]
        assert [(entry.offset, entry.metadata) for entry in offsets.values()] == [(4, None)]
    finally:
        admin.close()


async def test_an_idempotent_producer_is_for_kafka_python_alone(broker: EmbeddedBroker, topic: str) -> None:
    ours = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, enable_idempotence=True)
    with pytest.raises(UnknownError):
        await ours.start()
    await ours.stop()
    theirs = KafkaProducer(bootstrap_servers=broker.bootstrap_servers, enable_idempotence=True)
    try:
        assert theirs.send(topic, b"value", partition=0).get(WITHIN).offset == 0
    finally:
        theirs.close()


async def test_gzip_passes(broker: EmbeddedBroker, consumer: AIOKafkaConsumer, topic: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, compression_type="gzip") as packing:
        await send_batch(packing, topic, 50)
    consumer.assign([TopicPartition(topic, 1)])
    assert [record.value for record in await read(consumer, 50)] == [b"%d" % number for number in range(50)]


async def test_topics_keep_their_configuration_and_can_be_deleted(broker: EmbeddedBroker) -> None:
    wanted = {"cleanup.policy": "compact", "retention.ms": "-1"}
    resource = ConfigResource(ConfigResourceType.TOPIC, "configured")
    await asyncio.to_thread(declare, broker.bootstrap_servers, NewTopic("configured", 3, 1, topic_configs=wanted))
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    try:
        told = admin.describe_configs([resource], config_filter="all")["topic"]["configured"]
        assert {name: entry["value"] for name, entry in told.items()} == wanted
        assert len(admin.describe_topics(["configured"])[0]["partitions"]) == 3
        admin.delete_topics(["configured"])
        assert "configured" not in admin.list_topics()
    finally:
        admin.close()


class Assignments(ConsumerRebalanceListener):  # type: ignore[misc]
    """Tells when a member has so many partitions."""

    def __init__(self) -> None:
        self.changed = asyncio.Condition()
        self.partitions: set[TopicPartition] = set()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        pass

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        async with self.changed:
            self.partitions = assigned
            self.changed.notify_all()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(WITHIN), self.changed:
            await self.changed.wait_for(lambda: len(self.partitions) == count)


async def test_a_group_of_two_shares_and_takes_over(broker: EmbeddedBroker, topic: str) -> None:
    def member() -> tuple[AIOKafkaConsumer, Assignments]:
        joining = AIOKafkaConsumer(
            bootstrap_servers=broker.bootstrap_servers,
            group_id="pair",
            enable_auto_commit=False,
            session_timeout_ms=2_000,  # a join is answered after half of it, in whole seconds
            heartbeat_interval_ms=200,
            metadata_max_age_ms=1_000,
        )
        heard = Assignments()
        joining.subscribe([topic], listener=heard)
        return joining, heard

    one, heard_by_one = member()
    two, heard_by_two = member()
    async with one:
        await heard_by_one.until(2)
        async with two:
            await asyncio.gather(heard_by_one.until(1), heard_by_two.until(1))
            assert not heard_by_one.partitions & heard_by_two.partitions
        await heard_by_one.until(2)
