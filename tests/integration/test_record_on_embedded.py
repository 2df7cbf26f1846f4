"""Recorded on the embedded broker, replayed, recorded again: the same bytes. And what a person meets on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient, NewTopic
from support.embedded import Outgoing, embedded_kafka, running, send_records
from support.sinks import SHIPPED, put, put_shipped

from forestay.embedded.broker import EmbeddedBroker
from forestay.recording import Recording, RecordingMetadata, open_recording, write_recording
from forestay.settings import Settings

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(120)]

#: Rows with a broken record among them (14,611) and a repeat (10,688).
START, STOP = 10_000, 15_000


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    broker = EmbeddedBroker(log=tmp_path_factory.mktemp("broker") / "broker.log")
    with running(broker):
        yield Settings(kafka=embedded_kafka(broker.bootstrap_servers))


def declare(settings: Settings, *topics: str) -> None:
    with KafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers) as admin:
        admin.create_topics([NewTopic(topic, 4, 1) for topic in topics])


def command(settings: Settings, *arguments: str) -> list[str]:
    servers = settings.kafka.bootstrap_servers
    return [sys.executable, "-m", "forestay", "record", *arguments, "--bootstrap-servers", servers]


def record(settings: Settings, *arguments: str) -> dict[str, Any]:
    done = subprocess.run([*command(settings, *arguments), "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def await_rows(folder: Path, count: int) -> None:
    """Waits until so many are sealed."""
    give_up = time.monotonic() + 40
    while not list(folder.glob("part-*")) or len(open_recording(folder)) < count:
        assert time.monotonic() < give_up
        time.sleep(0.05)


def digest_under_one_name(recording: Recording, path: Path) -> str:
    """The digest of the same rows, were they of one topic: all else is part of it, offsets and times included."""
    write_recording(path, (row._replace(topic="t") for row in recording), RecordingMetadata(description="compared"))
    return open_recording(path).digest


def test_recorded_replayed_and_recorded_again_it_is_the_same(settings: Settings, tmp_path: Path) -> None:
    declare(settings, "first", "second")
    put_shipped(settings, "first", START, STOP, keep_timestamps=True)
    report = record(settings, str(tmp_path / "first"), "first")
    assert report["records"] == STOP - START
    first = open_recording(tmp_path / "first")
    put(settings, first, "second", keep_timestamps=True)
    record(settings, str(tmp_path / "second.jsonl"), "second")
    second = open_recording(tmp_path / "second.jsonl")
    assert digest_under_one_name(first, tmp_path / "a.parquet") == digest_under_one_name(
        second, tmp_path / "b.parquet"
    )
    # The shipped rows are in the order of their times, of all partitions together: so is what was recorded.
    times = [row.timestamp for row in open_recording(SHIPPED).messages(START, STOP)]
    assert [row.timestamp for row in first] == times


def test_a_recorder_that_follows_is_stopped_in_order_and_goes_on(settings: Settings, tmp_path: Path) -> None:
    declare(settings, "live")
    folder = tmp_path / "live"
    rows = [Outgoing(b"%d" % number, b"k%d" % number) for number in range(300)]
    send_records(settings, "live", rows[:100])
    for number, end in ((signal.SIGTERM, 200), (signal.SIGINT, 300)):
        recorder = subprocess.Popen(
            [*command(settings, str(folder), "live", "--follow", "--json"), "--set", "record.part_minutes=0.001"],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"FORESTAY_CORE": "plain"},
        )
        try:
            send_records(settings, "live", rows[end - 100 : end])
            await_rows(folder, end)
        finally:
            recorder.send_signal(number)
            out, _ = recorder.communicate(timeout=30)
        assert recorder.returncode == 0
        assert json.loads(out)["halted"]
    assert sorted(int(row.value or b"") for row in open_recording(folder)) == list(range(300))


def test_a_topic_that_is_not_there_is_named_and_not_made(settings: Settings, tmp_path: Path) -> None:
    for _ in range(2):
        done = subprocess.run(
            command(settings, str(tmp_path / "f"), "nowhere"), capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert "forestay: there is no topic nowhere" in done.stderr


def test_the_first_records_after_a_time_make_a_fixture(settings: Settings, tmp_path: Path) -> None:
    declare(settings, "timed")
    send_records(settings, "timed", [Outgoing(b"%d" % n, partition=n % 4, timestamp=1_000 * n) for n in range(60)])
    path = tmp_path / "fixture.jsonl"
    record(settings, str(path), "--pattern", "^timed$", "--from", "1970-01-01T00:00:20Z", "--limit", "30")
    assert [int(row.value or b"") for row in open_recording(path)] == list(range(20, 50))
