"""What every publisher promises: on the fake, the embedded broker and a real Apache Kafka, fenced there or not."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from kafka.admin import NewTopic
from support.fakes import FakePublisher
from support.kafka import KafkaServer

from forestay.core.record import OutputRecord
from forestay.embedded.broker import EmbeddedBroker
from forestay.settings import KafkaSettings
from forestay.shell.kafka_clients import connection_options
from forestay.shell.producer_ids import ProducerIds
from forestay.shell.publisher import KafkaPublisher, Publisher, PublishError
from forestay.shell.topics import admin_client

pytest_plugins = ("support.kafka_plugin",)

PARTITIONS = 3
_NUMBERS = itertools.count()


class Place(NamedTuple):
    """A publisher, a topic of its own whose offsets begin at `first`, and a way to read what is in a partition."""

    publisher: Publisher
    topic: str
    read: Callable[[int], Awaitable[list[OutputRecord]]]
    first: int = 0


@pytest_asyncio.fixture(
    params=[
        "fake",
        pytest.param("embedded", marks=pytest.mark.embedded),
        pytest.param("kafka", marks=pytest.mark.kafka),
        pytest.param("fenced", marks=pytest.mark.kafka),
    ]
)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    topic = f"publisher-{next(_NUMBERS)}"
    if request.param == "fake":
        fake = FakePublisher()

        async def read(partition: int) -> list[OutputRecord]:
            return fake.log[topic, partition]

        yield Place(fake, topic, read)
    elif request.param == "embedded":
        async with EmbeddedBroker(log=tmp_path / "broker.log") as broker:
            kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, idempotent_producer=False)
            async with KafkaPublisher(kafka, deadline=10) as publisher:
                yield await on_kafka(kafka, publisher, topic)
    else:
        server: KafkaServer = request.getfixturevalue("kafka_server")
        kafka = KafkaSettings(bootstrap_servers=server.bootstrap)
        async with KafkaPublisher(kafka, deadline=10) as publisher:
            place = await on_kafka(kafka, publisher, topic)
            if request.param == "kafka":
                yield place
            else:
                partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
                async with ProducerIds(kafka) as ids:
                    publisher.write_as(await ids.claim(topic, partitions), partitions)
                # The mark of the claim comes first.
                yield place._replace(first=1)


async def on_kafka(kafka: KafkaSettings, publisher: Publisher, topic: str) -> Place:
    await asyncio.to_thread(create, kafka, topic, {})

    async def read(partition: int) -> list[OutputRecord]:
        return await read_all(kafka, TopicPartition(topic, partition))

    return Place(publisher, topic, read)


def create(kafka: KafkaSettings, topic: str, configs: dict[str, str]) -> None:
    with admin_client(kafka) as admin:
        admin.create_topics([NewTopic(topic, PARTITIONS, 1, topic_configs=configs)])


async def read_all(kafka: KafkaSettings, tp: TopicPartition) -> list[OutputRecord]:
    consumer = AIOKafkaConsumer(**connection_options(kafka), enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([tp])
        await consumer.seek_to_beginning(tp)
        end = (await consumer.end_offsets([tp]))[tp]
        found: list[OutputRecord] = []
        while await consumer.position(tp) < end:
            records = (await consumer.getmany(tp, timeout_ms=1_000)).get(tp, [])
            found += [OutputRecord(record.key, record.value, tuple(record.headers)) for record in records]
        return found
    finally:
        await consumer.stop()


def numbered(count: int, size: int = 10) -> list[OutputRecord]:
    return [OutputRecord(b"k%d" % n, b"%d " % n + b"v" * size) for n in range(count)]


async def test_records_are_there_in_order_when_publish_returns(place: Place) -> None:
    assert await place.publisher.publish(place.topic, 1, numbered(50)) == place.first + 50
    assert await place.read(1) == numbered(50)
    assert await place.read(0) == await place.read(2) == []


async def test_the_offset_after_the_last_record_goes_on_from_call_to_call(place: Place) -> None:
    ends = [await place.publisher.publish(place.topic, 0, numbered(count)) for count in (1, 3, 5)]
    assert [end - place.first for end in ends] == [1, 4, 9]
    assert await place.publisher.publish(place.topic, 2, numbered(2)) == place.first + 2


async def test_publishing_nothing_writes_nothing(place: Place) -> None:
    assert await place.publisher.publish(place.topic, 0, []) == 0
    assert await place.read(0) == []


async def test_keys_values_and_headers_are_untouched(place: Place) -> None:
    every_byte = bytes(range(256))
    records = [
        OutputRecord(None, b"", ()),
        OutputRecord(b"", every_byte, (("h", b""), ("h", every_byte), ("h", None), ("forestay-ä", b"x"))),
        OutputRecord(every_byte, b"null", ()),
        OutputRecord("žluť".encode(), None, (("h", b"tombstone"),)),
    ]
    assert await place.publisher.publish(place.topic, 0, records) == place.first + 4
    assert await place.read(0) == records


async def test_more_than_one_produce_batch_stays_in_order(place: Place) -> None:
    records = numbered(3_000, size=500)
    assert await place.publisher.publish(place.topic, 0, records) == place.first + 3_000
    assert await place.read(0) == records


async def test_one_record_may_be_larger_than_a_produce_batch(place: Place) -> None:
    records = [*numbered(2), OutputRecord(b"big", b"x" * 900_000), *numbered(2)]
    assert await place.publisher.publish(place.topic, 0, records) == place.first + 5
    assert await place.read(0) == records


async def test_calls_side_by_side_keep_each_others_order(place: Place) -> None:
    calls = [place.publisher.publish(place.topic, partition, numbered(200)) for partition in range(PARTITIONS)]
    assert await asyncio.gather(*calls) == [place.first + 200] * PARTITIONS
    for partition in range(PARTITIONS):
        assert await place.read(partition) == numbered(200)


async def test_the_fake_can_fail_in_the_middle_of_a_call() -> None:
    publisher = FakePublisher(fail_after=3)
    with pytest.raises(PublishError):
        await publisher.publish("t", 0, numbered(5))
    assert publisher.log["t", 0] == numbered(5)[:3]


@pytest.mark.kafka
async def test_records_a_broker_refuses_raise_and_name_what_is_not_durable(kafka_server: KafkaServer) -> None:
    kafka = KafkaSettings(bootstrap_servers=kafka_server.bootstrap)
    await asyncio.to_thread(create, kafka, "publisher-small", {"max.message.bytes": "1000"})
    async with KafkaPublisher(kafka, deadline=10) as publisher:
        with pytest.raises(PublishError, match="publisher-small-0"):
            await publisher.publish("publisher-small", 0, [OutputRecord(b"k", b"x" * 5_000)])
        assert await publisher.publish("publisher-small", 1, numbered(1)) == 1


@pytest.mark.kafka
async def test_a_clock_too_far_ahead_for_the_broker_is_called_so(
    kafka_server: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka = KafkaSettings(bootstrap_servers=kafka_server.bootstrap)
    await asyncio.to_thread(create, kafka, "publisher-early", {})
    async with KafkaPublisher(kafka, deadline=10) as publisher:
        tomorrow = time.time() + 86_400
        monkeypatch.setattr("forestay.shell.publisher.time.time", lambda: tomorrow)
        with pytest.raises(PublishError, match="this machine's clock"):
            await publisher.publish("publisher-early", 0, numbered(1))


@pytest.mark.embedded
async def test_a_broker_that_is_gone_raises_within_the_deadline(tmp_path: Path) -> None:
    broker = EmbeddedBroker(log=tmp_path / "broker.log")
    async with broker:
        kafka = KafkaSettings(
            bootstrap_servers=broker.bootstrap_servers, idempotent_producer=False, request_timeout_seconds=1
        )
        await asyncio.to_thread(create, kafka, "gone", {})
        publisher = KafkaPublisher(kafka, deadline=1)
        await publisher.__aenter__()
        assert await publisher.publish("gone", 0, numbered(1)) == 1
    async with asyncio.timeout(5):
        with pytest.raises(PublishError, match="not durable after 1 s"):
            await publisher.publish("gone", 0, numbered(1))
    await publisher.__aexit__(None, None, None)
