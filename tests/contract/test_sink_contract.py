"""What every sink of a replay promises: run on the fake, on the embedded broker and on a real Apache Kafka."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from kafka.admin import NewTopic
from support.kafka import KafkaServer
from support.sinks import Kept, MemorySink

from forestay.embedded.broker import EmbeddedBroker
from forestay.recording import RecordedMessage
from forestay.replay.sink import KafkaSink, Sink
from forestay.settings import KafkaSettings
from forestay.shell.kafka_clients import connection_options
from forestay.shell.topics import admin_client

pytest_plugins = ("support.kafka_plugin",)

_NUMBERS = itertools.count()
EVERY_BYTE = bytes(range(256))


class Place(NamedTuple):
    """A sink, a topic of its own with 3 partitions, and a way to read what is in a partition of it."""

    sink: Sink
    topic: str
    read: Callable[[int], Awaitable[list[Kept]]]

    async def put(self, partition: int, messages: list[RecordedMessage], timestamp: int | None) -> list[int]:
        """Sends all; returns the offset of each batch."""
        sendings = []
        while messages:
            sending = await self.sink.send(self.topic, partition, messages, timestamp)
            assert 1 <= sending.records <= len(messages)
            sendings.append(sending)
            messages = messages[sending.records :]
        return [(await sending.placed).offset for sending in sendings]


@pytest_asyncio.fixture(
    params=[
        "fake",
        pytest.param("embedded", marks=pytest.mark.embedded),
        pytest.param("kafka", marks=pytest.mark.kafka),
    ]
)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    topic = f"sink-{next(_NUMBERS)}"
    if request.param == "fake":
        fake = MemorySink(batch=300)

        async def read(partition: int) -> list[Kept]:
            return fake.log[topic, partition]

        yield Place(fake, topic, read)
    elif request.param == "embedded":
        async with EmbeddedBroker(log=tmp_path / "broker.log") as broker:
            # As a person has it who sets nothing: this broker has no idempotence, and that is found out.
            kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
            async with KafkaSink(kafka) as sink:
                yield await on_kafka(kafka, sink, topic)
    else:
        server: KafkaServer = request.getfixturevalue("kafka_server")
        kafka = KafkaSettings(bootstrap_servers=server.bootstrap)
        async with KafkaSink(kafka) as sink:
            yield await on_kafka(kafka, sink, topic)


async def on_kafka(kafka: KafkaSettings, sink: Sink, topic: str) -> Place:
    def create() -> None:
        with admin_client(kafka) as admin:
            admin.create_topics([NewTopic(topic, 3, 1)])

    async def read(partition: int) -> list[Kept]:
        return await read_all(kafka, TopicPartition(topic, partition))

    await asyncio.to_thread(create)
    return Place(sink, topic, read)


async def read_all(kafka: KafkaSettings, tp: TopicPartition) -> list[Kept]:
    consumer = AIOKafkaConsumer(**connection_options(kafka), enable_auto_commit=False, fetch_max_wait_ms=50)
    await consumer.start()
    try:
        consumer.assign([tp])
        await consumer.seek_to_beginning(tp)
        found: list[Kept] = []
        while (end := consumer.highwater(tp)) is None or await consumer.position(tp) < end:
            records = (await consumer.getmany(tp, timeout_ms=100)).get(tp, [])
            found += [Kept(r.timestamp, r.key, r.value, tuple(r.headers)) for r in records]
        return found
    finally:
        await consumer.stop()


def row(value: bytes | None, timestamp: int = 1_000, key: bytes | None = b"k") -> RecordedMessage:
    return RecordedMessage("recorded", 9, 0, timestamp, key, value)


async def test_records_lie_in_the_order_in_which_they_were_taken(place: Place) -> None:
    rows = [row(b"%d " % number + b"v" * 1_000) for number in range(1_000)]
    first = await place.put(1, rows[:10], None)
    # More than goes together: several batches.
    more = await place.put(1, rows[10:], None)
    assert first == [0]
    assert more[0] == 10
    assert len(more) > 1
    assert more == sorted(more)
    assert [record.value for record in await place.read(1)] == [row.value for row in rows]
    assert await place.read(0) == await place.read(2) == []


async def test_whatever_a_record_may_hold_is_there_to_the_byte(place: Place) -> None:
    rows = [
        RecordedMessage("t", 0, 0, 5, None, None),
        RecordedMessage("t", 0, 1, 5, b"k", None, (("h", None), ("h", b""), ("ä", EVERY_BYTE))),
        RecordedMessage("t", 0, 2, 5, None, b""),
        RecordedMessage("t", 0, 3, 5, b"", EVERY_BYTE, (("", b"x"),)),
        RecordedMessage("t", 0, 4, 5, EVERY_BYTE, b"\x00" * 700_000),
    ]
    await place.put(0, rows, None)
    assert await place.read(0) == [Kept(5, row.key, row.value, row.headers) for row in rows]


async def test_records_carry_their_own_time_or_the_one_given(place: Place) -> None:
    await place.put(0, [row(b"a", 3_000), row(b"b", 1_000), row(b"c", 2_000)], None)
    await place.put(0, [row(b"d", 3_000), row(b"e", 1_000)], 7_000)
    assert [record.timestamp for record in await place.read(0)] == [3_000, 1_000, 2_000, 7_000, 7_000]
