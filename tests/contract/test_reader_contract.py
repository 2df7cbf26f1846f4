"""What every reader of a topic promises, on the embedded broker and on a real Apache Kafka."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from kafka.admin import NewTopic
from support.kafka import KafkaServer

from forestay.embedded.broker import EmbeddedBroker
from forestay.settings import KafkaSettings
from forestay.shell.kafka_clients import connection_options
from forestay.shell.record_batches import RecordConsumer
from forestay.shell.topics import admin_client

pytest_plugins = ("support.kafka_plugin",)

_NUMBERS = itertools.count()
Seen = tuple[int, int | None, bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]


@pytest_asyncio.fixture(
    params=[pytest.param("embedded", marks=pytest.mark.embedded), pytest.param("kafka", marks=pytest.mark.kafka)]
)
async def kafka(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[KafkaSettings]:
    if request.param == "embedded":
        async with EmbeddedBroker(log=tmp_path / "broker.log") as broker:
            yield KafkaSettings(bootstrap_servers=broker.bootstrap_servers, idempotent_producer=False)
    else:
        server: KafkaServer = request.getfixturevalue("kafka_server")
        yield KafkaSettings(bootstrap_servers=server.bootstrap)


async def new_topic(kafka: KafkaSettings, partitions: int = 1) -> str:
    def create() -> None:
        with admin_client(kafka) as admin:
            admin.create_topics([NewTopic(name, partitions, 1)])

    name = f"reader-{next(_NUMBERS)}"
    await asyncio.to_thread(create)
    return name


@asynccontextmanager
async def producer(kafka: KafkaSettings, **options: Any) -> AsyncIterator[Any]:
    sender = AIOKafkaProducer(**connection_options(kafka), acks="all", **options)
    await sender.start()
    try:
        yield sender
    finally:
        await sender.stop()


@asynccontextmanager
async def reader(kafka: KafkaSettings, kind: type[AIOKafkaConsumer] = RecordConsumer) -> AsyncIterator[Any]:
    consumer = kind(
        **connection_options(kafka),
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=20,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


def seen(record: Any) -> Seen:
    return record.offset, record.timestamp, record.key, record.value, tuple(record.headers)


async def read(consumer: Any, tp: TopicPartition, start: int) -> list[Seen]:
    """Reads from `start` until the position is at the end, as the high watermark of a fetch tells it."""
    consumer.assign([tp])
    consumer.seek(tp, start)
    found: list[Seen] = []
    async with asyncio.timeout(20):
        while consumer.highwater(tp) is None or await consumer.position(tp) < consumer.highwater(tp):
            for records in (await consumer.getmany(timeout_ms=100)).values():
                found += map(seen, records)
    return found


async def send(sender: Any, topic: str, numbers: range) -> None:
    batch = sender.create_batch()
    for number in numbers:
        key = None if number % 5 == 0 else b"k%d" % number
        value = None if number % 7 == 0 else b"v%d " % number + b"x" * 50
        batch.append(key=key, value=value, timestamp=10_000 + number, headers=[("h", b"%d" % number), ("n", None)])
    await (await sender.send_batch(batch, topic, partition=0))


@pytest.mark.parametrize("compression", [None, "gzip", "snappy", "lz4", "zstd"])
async def test_records_come_as_they_were_sent_from_any_position(
    kafka: KafkaSettings, compression: str | None
) -> None:
    topic = await new_topic(kafka)
    tp = TopicPartition(topic, 0)
    async with producer(kafka, compression_type=compression, enable_idempotence=False) as sender:
        await send(sender, topic, range(30))
        await send(sender, topic, range(30, 50))
    async with reader(kafka) as consumer:
        all_of_them = await read(consumer, tp, 0)
    assert [record[0] for record in all_of_them] == list(range(50))
    assert all_of_them[7] == (7, 10_007, b"k7", None, (("h", b"7"), ("n", None)))
    for start in (0, 17, 30, 49, 50):
        async with reader(kafka) as consumer:
            assert await read(consumer, tp, start) == all_of_them[start:]
            assert await consumer.position(tp) == 50


async def test_a_large_partition_comes_in_full_and_in_order(kafka: KafkaSettings) -> None:
    topic = await new_topic(kafka)
    async with producer(kafka, compression_type="lz4", enable_idempotence=False) as sender:
        for start in range(0, 20_000, 100):
            await send(sender, topic, range(start, start + 100))
    async with reader(kafka) as consumer:
        found = await read(consumer, TopicPartition(topic, 0), 0)
    assert [record[0] for record in found] == list(range(20_000))


@pytest.mark.kafka
async def test_records_of_aborted_transactions_are_never_seen(kafka_server: KafkaServer) -> None:
    kafka = KafkaSettings(bootstrap_servers=kafka_server.bootstrap)
    topic = await new_topic(kafka)
    async with producer(kafka, transactional_id="reader-test") as sender:
        for start, keep in ((0, True), (10, False), (20, True), (30, False)):
            await sender.begin_transaction()
            await send(sender, topic, range(start, start + 10))
            await (sender.commit_transaction() if keep else sender.abort_transaction())
    tp = TopicPartition(topic, 0)
    for start in (0, 5, 11, 15, 40):
        async with reader(kafka) as ours, reader(kafka, AIOKafkaConsumer) as theirs:
            found = await read(ours, tp, start)
            assert found == await read(theirs, tp, start)
            # Ten records and a mark a transaction.
            assert [record[0] for record in found] == [n for n in (*range(10), *range(22, 32)) if n >= start]
            assert await ours.position(tp) == await theirs.position(tp) == 44
