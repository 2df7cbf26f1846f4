"""What only a real Apache Kafka has: transactions, deleted records, new partitions; and recorders that are killed."""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import NewPartitions, NewTopic
from support.embedded import Outgoing, send_records
from support.kafka import KafkaServer
from support.sinks import put, put_shipped

from forestay.cli.recording import Request, run
from forestay.core.errors import ForestayError
from forestay.recorder.recorder import Report
from forestay.recording import RecordedMessage, RecordingMetadata, open_recording, write_recording
from forestay.settings import KafkaSettings, RecordSettings, Settings

pytest_plugins = ("support.kafka_plugin",)
pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]


@pytest.fixture
def settings(kafka_server: KafkaServer) -> Settings:
    return Settings(
        kafka=KafkaSettings(bootstrap_servers=kafka_server.bootstrap), record=RecordSettings(part_minutes=0.002)
    )


def declare(settings: Settings, topic: str, partitions: int) -> None:
    with KafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers) as admin:
        admin.create_topics([NewTopic(topic, partitions, 1)])


def record(settings: Settings, out: Path, topic: str, **changed: Any) -> Report:
    asked = Request(
        out, [topic], [], start="earliest", until="now", limit=None, skip_gaps=False, form="parquet"
    )._replace(**changed)
    return run(settings, asked)


def values(path: Path) -> list[bytes | None]:
    return [row.value for row in open_recording(path)]


def numbered(count: int, first: int = 0) -> list[Outgoing]:
    return [Outgoing(b"%d" % number, partition=0) for number in range(first, first + count)]


def test_recorded_replayed_and_recorded_again_it_is_the_same(settings: Settings, tmp_path: Path) -> None:
    declare(settings, "first", 4)
    declare(settings, "second", 4)
    put_shipped(settings, "first", 10_000, 20_000, keep_timestamps=True)
    record(settings, tmp_path / "first", "first")
    put(settings, open_recording(tmp_path / "first"), "second", keep_timestamps=True)
    record(settings, tmp_path / "second", "second")
    digests = []
    for name in ("first", "second"):
        rows = (row._replace(topic="t") for row in open_recording(tmp_path / name))
        write_recording(tmp_path / f"{name}.parquet", rows, RecordingMetadata(description="compared"))
        digests.append(open_recording(tmp_path / f"{name}.parquet").digest)
    assert digests[0] == digests[1]
    assert len(open_recording(tmp_path / "second")) == 10_000


def test_aborted_records_are_left_out_and_open_ones_waited_for(settings: Settings, tmp_path: Path) -> None:
    declare(settings, "transactions", 1)

    servers = settings.kafka.bootstrap_servers
    with closing(KafkaProducer(bootstrap_servers=servers, transactional_id="recorded")) as producer:
        producer.init_transactions()
        for value, end in (
            (b"committed", producer.commit_transaction),
            (b"aborted", producer.abort_transaction),
            (b"open", producer.commit_transaction),
        ):
            producer.begin_transaction()
            producer.send("transactions", value).get(30)
            record(settings, tmp_path / "f", "transactions")
            assert value not in values(tmp_path / "f")
            end()
    record(settings, tmp_path / "f", "transactions")
    assert values(tmp_path / "f") == [b"committed", b"open"]
    assert [row.offset for row in open_recording(tmp_path / "f")] == [0, 4]


def test_records_deleted_before_they_were_recorded_are_counted(settings: Settings, tmp_path: Path) -> None:
    declare(settings, "deleted", 1)
    send_records(settings, "deleted", numbered(10))
    record(settings, tmp_path / "f", "deleted", limit=4)
    with KafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers) as admin:
        admin.delete_records({TopicPartition("deleted", 0): 7})
    with pytest.raises(
        ForestayError, match=r"3 offsets of deleted-0 are gone, 4 to 6: deleted before.*--on-gap skip"
    ):
        record(settings, tmp_path / "f", "deleted")
    report = record(settings, tmp_path / "f", "deleted", skip_gaps=True)
    assert report.gone == {("deleted", 0): 3}
    assert [row.offset for row in open_recording(tmp_path / "f")] == [0, 1, 2, 3, 7, 8, 9]


def test_what_compaction_has_taken_is_no_loss(settings: Settings, tmp_path: Path) -> None:
    """Before the first record, between two runs, and between two records."""
    compacted = {"cleanup.policy": "compact", "segment.ms": "1000", "min.cleanable.dirty.ratio": "0.01"}
    with KafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers) as admin:
        admin.create_topics([NewTopic("compacted", 1, 1, topic_configs=compacted)])
    now = round(time.time() * 1_000)
    rows = [Outgoing(b"%d" % n, b"k%d" % (n % 40), 0, now - 10_000) for n in range(400)]
    send_records(settings, "compacted", rows)
    record(settings, tmp_path / "f", "compacted", limit=5)
    # Later by more than segment.ms: they begin a new segment, and the one before may be compacted.
    send_records(settings, "compacted", [Outgoing(b"end", b"end", 0, now)])
    give_up = time.monotonic() + 60
    for attempt in itertools.count():
        path = tmp_path / f"{attempt}.parquet"
        report = record(settings, path, "compacted")
        assert report.gone == {}
        if report.records == 41:
            break
        assert report.records == 401, "compacted in part?"
        assert time.monotonic() < give_up
        time.sleep(0.2)
    newest = [*range(360, 400), 400]
    assert [row.offset for row in open_recording(path)] == newest
    report = record(settings, tmp_path / "f", "compacted")
    assert (report.resumed, report.gone) == (True, {})
    assert [row.offset for row in open_recording(tmp_path / "f")] == [0, 1, 2, 3, 4, *newest]


def test_an_offset_that_is_not_there_yet_is_an_error(settings: Settings, tmp_path: Path) -> None:
    declare(settings, "short", 1)
    send_records(settings, "short", numbered(3))
    with pytest.raises(ForestayError, match=r"short-0 ends .* to be read from 30 on"):
        record(settings, tmp_path / "f", "short", start="30")


def test_from_the_end_nothing_is_missed_between_two_runs(settings: Settings, tmp_path: Path) -> None:
    declare(settings, "latest", 2)
    send_records(settings, "latest", numbered(3))
    assert record(settings, tmp_path / "f", "latest", start="latest").records == 0
    send_records(settings, "latest", [*numbered(3, 3), Outgoing(b"other", partition=1)])
    assert record(settings, tmp_path / "f", "latest", start="latest").resumed
    assert sorted(value or b"" for value in values(tmp_path / "f")) == [b"3", b"4", b"5", b"other"]


def test_times_choose_records(settings: Settings, tmp_path: Path) -> None:
    declare(settings, "timed", 3)
    now = round(time.time()) * 1_000
    sent = [Outgoing(b"%d" % n, partition=n % 3, timestamp=now - 60_000 + 1_000 * n) for n in range(60)]
    send_records(settings, "timed", sent)
    begin, end = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now / 1_000 - 60 + n)) for n in (10, 50))
    record(settings, tmp_path / "f.parquet", "timed", start=begin, until=end)
    assert values(tmp_path / "f.parquet") == [b"%d" % n for n in range(10, 50)]


def following(settings: Settings, folder: Path, topic: str) -> subprocess.Popen[str]:
    program = (
        "import sys, forestay.recorder.recorder as recorder; recorder._LOOK = 0.2;"
        " from forestay.cli.main import app; app(sys.argv[1:])"
    )
    options = ["--follow", "--json", "--bootstrap-servers", settings.kafka.bootstrap_servers]
    parts = ["--set", "record.part_minutes=0.002", "--set", "record.part_megabytes=1"]
    return subprocess.Popen(
        [sys.executable, "-c", program, "record", str(folder), topic, *options, *parts],
        stdout=subprocess.PIPE,
        text=True,
    )


def await_rows(folder: Path, wanted: Callable[[list[RecordedMessage]], bool]) -> None:
    """Waits until what is sealed is enough."""
    give_up = time.monotonic() + 60
    while not list(folder.glob("part-*")) or not wanted(list(open_recording(folder))):
        assert time.monotonic() < give_up
        time.sleep(0.1)


def test_partitions_that_come_are_recorded_from_their_beginning(settings: Settings, tmp_path: Path) -> None:
    declare(settings, "growing", 1)
    send_records(settings, "growing", numbered(5))
    recorder = following(settings, tmp_path / "f", "growing")
    try:
        await_rows(tmp_path / "f", lambda rows: len(rows) == 5)
        with KafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers) as admin:
            admin.create_partitions({"growing": NewPartitions(2)})
        send_records(settings, "growing", [Outgoing(b"early", partition=1)])
        await_rows(tmp_path / "f", lambda rows: any(row.partition == 1 for row in rows))
    finally:
        recorder.terminate()
        out, _ = recorder.communicate(timeout=60)
    assert recorder.returncode == 0
    assert json.loads(out)["next_offsets"] == {"growing": {"0": 5, "1": 1}}
    assert open_recording(tmp_path / "f").metadata.partitions == {"growing": 2}


def test_it_outlives_its_broker_and_is_stopped_in_order_without_one(
    kafka_server: KafkaServer, tmp_path: Path
) -> None:
    """`kafka_server` says whether there can be a Kafka; this one is killed."""
    del kafka_server
    (tmp_path / "kafka").mkdir()
    with KafkaServer(tmp_path / "kafka") as server:
        settings = Settings(kafka=KafkaSettings(bootstrap_servers=server.bootstrap))
        declare(settings, "outage", 2)
        send_records(settings, "outage", numbered(5))
        recorder = following(settings, tmp_path / "f", "outage")
        try:
            await_rows(tmp_path / "f", lambda rows: len(rows) == 5)
            server.kill()
            server.start()
            send_records(settings, "outage", numbered(5, 5))
            await_rows(tmp_path / "f", lambda rows: len(rows) == 10)
            server.kill()
        finally:
            recorder.terminate()
            out, _ = recorder.communicate(timeout=60)
    assert recorder.returncode == 0
    assert json.loads(out)["records"] == 10
    assert values(tmp_path / "f") == [b"%d" % number for number in range(10)]


def test_killed_again_and_again_it_has_every_record_once(settings: Settings, tmp_path: Path) -> None:
    declare(settings, "killed", 2)
    sent = [Outgoing(b"%d" % number, partition=number % 2) for number in range(40_000)]
    for start in range(0, len(sent), 10_000):
        recorder = following(settings, tmp_path / "f", "killed")
        try:
            send_records(settings, "killed", sent[start : start + 10_000])
            await_rows(tmp_path / "f", lambda rows, least=start // 2: len(rows) > least)  # type: ignore[misc]
        finally:
            recorder.kill()
            recorder.communicate(timeout=60)
    record(settings, tmp_path / "f", "killed")
    recording = open_recording(tmp_path / "f")
    assert sorted(int(row.value or b"") for row in recording) == list(range(40_000))
    assert not list((tmp_path / "f").glob(".*"))
