"""Recordings replayed to a real Apache Kafka are on their topics as they were recorded."""

import asyncio
import json
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from support.embedded import Outgoing, send_records
from support.kafka import KafkaServer
from support.sinks import SHIPPED, put
from typer.testing import CliRunner, Result

from forestay.cli.main import app
from forestay.core.record import Headers
from forestay.recording import RecordedMessage, Recording, RecordingMetadata, open_recording, write_recording
from forestay.recording.clock import send_clock
from forestay.replay.extent import Extent
from forestay.replay.order import Recorded
from forestay.replay.outcome import Progress, ReplayError
from forestay.replay.pace import Steady
from forestay.replay.run import find_routes, replay
from forestay.settings import KafkaSettings, Settings

pytest_plugins = ("support.kafka_plugin",)
pytestmark = pytest.mark.kafka

#: Rows with a broken record among them (14,611) and a repeat (10,688).
START, STOP = 10_000, 15_000


def settings_of(server: KafkaServer) -> Settings:
    return Settings(kafka=KafkaSettings(bootstrap_servers=server.bootstrap))


def run(server: KafkaServer, *arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments), "--json", "--bootstrap-servers", server.bootstrap])


def done(server: KafkaServer, *arguments: object) -> dict[str, Any]:
    result = run(server, *arguments)
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


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
    summary = put(settings_of(kafka_server), recording, "replayed", START, STOP, keep_timestamps=True)
    found = read(kafka_server, "replayed")
    assert [m._replace(topic="", offset=0) for m in found] == [m._replace(topic="", offset=0) for m in rows]
    assert summary.acknowledged == STOP - START
    for number, group in groupby(found, attrgetter("partition")):
        offsets = [message.offset for message in group]
        arrived = summary.arrived["replayed", number]
        assert (arrived.records, arrived.first_offset, arrived.last_offset) == (len(offsets), offsets[0], offsets[-1])


def test_on_more_partitions_users_stay_together_and_keep_their_order(
    kafka_server: KafkaServer, recording: Recording, rows: list[RecordedMessage]
) -> None:
    declare(kafka_server, "wider", 6)
    put(settings_of(kafka_server), recording, "wider", START, STOP)
    found = read(kafka_server, "wider")
    homes: dict[bytes | None, set[int]] = {}
    for message in found:
        homes.setdefault(message.key, set()).add(message.partition)
    assert all(len(partitions) == 1 for partitions in homes.values())
    for key in homes:
        assert [m.value for m in found if m.key == key] == [m.value for m in rows if m.key == key]
    assert all(message.timestamp > recording.last_timestamp for message in found), "they carry the time of sending"


def test_a_topic_that_is_not_there_is_made_when_asked_for(kafka_server: KafkaServer) -> None:
    command = ("replay", SHIPPED, "--limit", 100, "--topic", "clickstream=made", "--keep-timestamps")
    for _ in range(2):
        result = run(kafka_server, *command)
        assert result.exit_code == 1
        assert "there is no topic made: `forestay topics declare` makes Forestay's own, --create any" in result.stderr
    told = done(kafka_server, *command, "--create")
    assert told["sent"] == 100
    assert sorted(told["topics"]["made"]["partitions"]) == ["0", "1", "2", "3"]


def test_several_topics_recorded_replayed_and_recorded_again_are_the_same(
    kafka_server: KafkaServer, tmp_path: Path
) -> None:
    """Keys, tombstones, records with nothing at all, and headers without values among them."""
    declare(kafka_server, "round-a", 2)
    declare(kafka_server, "round-b", 3)
    settings = settings_of(kafka_server)
    rows = [Outgoing(b"%d" % n, b"k%d" % (n % 7), n % 2, 1_700_000_000_000 + 10 * n) for n in range(500)]
    send_records(settings, "round-a", rows)
    kinds: list[tuple[bytes | None, bytes | None, Headers]] = [
        (None, None, ()),
        (b"k", None, ()),
        (None, b"", (("h", None), ("h", b"x"))),
        (b"", b"\xff", ()),
    ]
    odd = [
        RecordedMessage("round-b", n % 3, n, 1_700_000_000_005 + 20 * n, *kinds[n % len(kinds)]) for n in range(80)
    ]
    write_recording(tmp_path / "odd.parquet", odd, RecordingMetadata(description="odd", partitions={"round-b": 3}))
    done(kafka_server, "replay", tmp_path / "odd.parquet", "--keep-timestamps")
    done(kafka_server, "record", tmp_path / "first", "round-a", "round-b")
    renamed = ("--topic", "round-a=again-a", "--topic", "round-b=again-b")
    told = done(kafka_server, "replay", tmp_path / "first", *renamed, "--create", "--keep-timestamps")
    assert told["sent"] == told["next_row"] == 580
    done(kafka_server, "record", tmp_path / "second", "again-a", "again-b")
    first, second = (list(open_recording(tmp_path / name)) for name in ("first", "second"))
    assert [row._replace(topic=row.topic.replace("again", "round")) for row in second] == first
    assert [row.timestamp for row in first] == sorted(row.timestamp for row in first)
    # The same from two recordings, one a topic: they are one in the order of time.
    halves = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path, topic in zip(halves, ("round-a", "round-b"), strict=True):
        write_recording(path, (row for row in first if row.topic == topic), RecordingMetadata(description="half"))
    assert list(Recorded([open_recording(path) for path in halves]).messages()) == first


def test_a_record_the_broker_refuses_is_named(kafka_server: KafkaServer, tmp_path: Path) -> None:
    declare(kafka_server, "refusing", 1)
    rows = [RecordedMessage("t", 0, number, 0, b"k", bytes(size)) for number, size in enumerate((1, 1_200_000, 1))]
    write_recording(tmp_path / "large.parquet", rows, RecordingMetadata(description="a record above the bound"))
    with pytest.raises(ReplayError, match=r"row 1 did not arrive on refusing-0: MessageSizeTooLarge") as caught:
        put(settings_of(kafka_server), open_recording(tmp_path / "large.parquet"), "refusing")
    assert caught.value.summary is not None
    assert caught.value.summary.next_row == 1
    result = run(kafka_server, "replay", tmp_path / "large.parquet", "--topic", "t=refusing")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["next_row"] == 1
    assert "forestay: row 1 did not arrive on refusing-0" in result.stderr


async def test_a_broker_killed_meanwhile_has_every_record_once_and_in_order(
    kafka_server: KafkaServer, recording: Recording, tmp_path: Path
) -> None:
    """`kafka_server` says whether there can be a Kafka; this one is killed, with requests under way."""
    del kafka_server
    (tmp_path / "kafka").mkdir()
    recorded, under_way = Recorded([recording]), asyncio.Event()

    def tell(progress: Progress) -> None:
        if progress.acknowledged > 5_000:
            under_way.set()

    with KafkaServer(tmp_path / "kafka") as server:
        declare(server, "killed", 4)
        settings = settings_of(server)
        found = find_routes(settings, recorded, {"clickstream": "killed"})
        going = replay(recorded, settings.kafka, found, pace=Steady(20_000), extent=Extent(stop=40_000), tell=tell)
        sending = asyncio.create_task(going)
        await under_way.wait()
        assert not sending.done()
        server.kill()
        server.start()
        summary = await sending
        assert summary.acknowledged == 40_000
        kept = read(server, "killed")
    rows = sorted(recording.messages(0, 40_000), key=attrgetter("partition", "offset"))
    assert [(message.partition, message.value) for message in kept] == [(row.partition, row.value) for row in rows]


def test_the_clock_reaches_every_partition(kafka_server: KafkaServer) -> None:
    declare(kafka_server, "clock", 3)
    producer = KafkaProducer(bootstrap_servers=kafka_server.bootstrap)
    offsets = send_clock(producer, "clock", range(3), 1_291_924_860_000)
    producer.close()
    assert offsets == {0: 0, 1: 0, 2: 0}
    assert [(m.partition, m.key, m.value) for m in read(kafka_server, "clock")] == [
        (partition, None, b'{"ts":"2010-12-09T20:01:00.000Z"}') for partition in range(3)
    ]
