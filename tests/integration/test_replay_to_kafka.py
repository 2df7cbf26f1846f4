"""A recording replayed to a real Apache Kafka is on the topic as it was recorded."""

from itertools import groupby
from operator import attrgetter
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from support.kafka import KafkaServer

from forestay.recording import RecordedMessage, Recording, RecordingMetadata, open_recording, write_recording
from forestay.recording.clock import send_clock
from forestay.recording.replay import ReplayError, replay

pytest_plugins = ("support.kafka_plugin",)
pytestmark = pytest.mark.kafka

SHIPPED = Path(__file__).parents[2] / "recordings" / "online-retail-ii.parquet"
#: Rows with a broken record among them (14,611) and a repeat (10,688).
START, STOP = 10_000, 15_000


def declare(server: KafkaServer, topic: str, partitions: int) -> None:
    with KafkaAdminClient(bootstrap_servers=server.bootstrap) as admin:
        admin.create_topics([NewTopic(topic, partitions, 1)])


def read(server: KafkaServer, topic: str) -> list[RecordedMessage]:
    """Returns all there is on `topic`, partition by partition."""
    consumer = KafkaConsumer(bootstrap_servers=server.bootstrap, auto_offset_reset="earliest", max_poll_records=5_000)
    partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    missing = sum(consumer.end_offsets(partitions).values())
    found: list[RecordedMessage] = []
    while len(found) < missing:
        for records in consumer.poll(10_000).values():
            found += (
                RecordedMessage(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, tuple(r.headers))
                for r in records
            )
    consumer.close()
    return sorted(found, key=attrgetter("partition", "offset"))


@pytest.fixture(scope="module")
def recording() -> Recording:
    return open_recording(SHIPPED)


@pytest.fixture(scope="module")
def rows(recording: Recording) -> list[RecordedMessage]:
    """The rows replayed here, partition by partition."""
    return sorted(recording.messages(START, STOP), key=attrgetter("partition", "offset"))


def test_keys_values_headers_and_order_are_kept(
    kafka_server: KafkaServer, recording: Recording, rows: list[RecordedMessage]
) -> None:
    declare(kafka_server, "replayed", 4)
    options = {"bootstrap_servers": kafka_server.bootstrap}
    summary = replay(recording, options, "replayed", start=START, stop=STOP, keep_timestamps=True)
    found = read(kafka_server, "replayed")
    assert [m._replace(topic="", offset=0) for m in found] == [m._replace(topic="", offset=0) for m in rows]
    assert summary.acknowledged == STOP - START
    for number, group in groupby(found, attrgetter("partition")):
        offsets = [message.offset for message in group]
        arrived = summary.partitions[number]
        assert (arrived.records, arrived.first_offset, arrived.last_offset) == (len(offsets), offsets[0], offsets[-1])


def test_on_more_partitions_users_stay_together_and_keep_their_order(
    kafka_server: KafkaServer, recording: Recording, rows: list[RecordedMessage]
) -> None:
    declare(kafka_server, "wider", 6)
    replay(recording, {"bootstrap_servers": kafka_server.bootstrap}, "wider", start=START, stop=STOP)
    found = read(kafka_server, "wider")
    homes: dict[bytes | None, set[int]] = {}
    for message in found:
        homes.setdefault(message.key, set()).add(message.partition)
    assert all(len(partitions) == 1 for partitions in homes.values())
    for key in homes:
        assert [m.value for m in found if m.key == key] == [m.value for m in rows if m.key == key]
    assert all(message.timestamp > recording.last_timestamp for message in found), "they carry the time of sending"


def test_a_topic_that_is_not_there_is_not_made(kafka_server: KafkaServer, recording: Recording) -> None:
    options = {"bootstrap_servers": kafka_server.bootstrap, "max_block_ms": 500}
    with pytest.raises(ReplayError, match="there is no topic nowhere"):
        replay(recording, options, "nowhere")


def test_a_record_the_broker_refuses_is_named(kafka_server: KafkaServer, tmp_path: Path) -> None:
    declare(kafka_server, "refusing", 1)
    rows = [RecordedMessage("t", 0, number, 0, b"k", bytes(size)) for number, size in enumerate((1, 1_200_000, 1))]
    write_recording(tmp_path / "large.parquet", rows, RecordingMetadata(description="a record above the bound"))
    options = {"bootstrap_servers": kafka_server.bootstrap, "max_request_size": 4_000_000}
    with pytest.raises(ReplayError, match="row 1 did not arrive on refusing") as caught:
        replay(open_recording(tmp_path / "large.parquet"), options, "refusing")
    assert caught.value.summary is not None
    assert caught.value.summary.acknowledged >= 1


def test_the_clock_reaches_every_partition(kafka_server: KafkaServer) -> None:
    declare(kafka_server, "clock", 3)
    producer = KafkaProducer(bootstrap_servers=kafka_server.bootstrap)
    offsets = send_clock(producer, "clock", range(3), 1_291_924_860_000)
    producer.close()
    assert offsets == {0: 0, 1: 0, 2: 0}
    assert [(m.partition, m.key, m.value) for m in read(kafka_server, "clock")] == [
        (partition, None, b'{"ts":"2010-12-09T20:01:00.000Z"}') for partition in range(3)
    ]
