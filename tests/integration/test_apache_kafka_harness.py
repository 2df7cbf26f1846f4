"""The real Apache Kafka of the tests: it starts, keeps what it was given, and never outlives its tests."""

import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from support import kafka as harness
from support.java import JavaFailedError, JavaUnavailableError
from support.kafka import KafkaServer, kafka_jars

pytest_plugins = ("support.kafka_plugin",)

TESTS = Path(__file__).parents[1]

#: Starts a broker, says where, and waits to be killed.
SCRIPT = """
import pathlib, sys, time
from support.kafka import KafkaServer
with KafkaServer(pathlib.Path(sys.argv[1])) as server:
    print(server.pid, flush=True)
    time.sleep(60)
"""


def declare(bootstrap: str, topic: str, partitions: int = 1) -> None:
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        admin.create_topics([NewTopic(topic, partitions, 1)])


@pytest.mark.kafka
def test_records_go_in_and_come_out_through_a_group(kafka_server: KafkaServer) -> None:
    declare(kafka_server.bootstrap, "harness-group", 2)
    producer = KafkaProducer(bootstrap_servers=kafka_server.bootstrap)
    for partition in (0, 1):
        producer.send("harness-group", b"value", partition=partition).get(10)
    producer.close()
    consumer = KafkaConsumer(
        "harness-group",
        bootstrap_servers=kafka_server.bootstrap,
        group_id="harness",
        auto_offset_reset="earliest",
        consumer_timeout_ms=20_000,
    )
    found = [next(consumer), next(consumer)]
    consumer.close()
    assert {record.partition for record in found} == {0, 1}
    assert {record.value for record in found} == {b"value"}


@pytest.mark.kafka
def test_killed_and_started_again_it_has_what_it_acknowledged(tmp_path: Path, kafka_server: KafkaServer) -> None:
    del kafka_server  # its fixture skips, or fails, where Kafka cannot be had
    server = KafkaServer(tmp_path)
    with server:
        declare(server.bootstrap, "kept")
        producer = KafkaProducer(bootstrap_servers=server.bootstrap)
        producer.send("kept", b"value").get(10)
        producer.close()
        server.kill()
        server.start()
        consumer = KafkaConsumer(
            "kept", bootstrap_servers=server.bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=20_000
        )
        assert next(consumer).value == b"value"
        consumer.close()
    host, port = server.bootstrap.split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=1)


@pytest.mark.kafka
def test_it_dies_with_the_process_that_started_it(tmp_path: Path, kafka_server: KafkaServer) -> None:
    del kafka_server
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as script:
        assert script.stdout is not None
        broker = os.pidfd_open(int(script.stdout.readline()))
        script.send_signal(signal.SIGKILL)
    readable, _, _ = select.select([broker], [], [], 20)
    os.close(broker)
    assert readable, "the broker outlived the process that started it"


def test_without_java_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(JavaUnavailableError, match=r"Java is missing.*apt install"):
        kafka_jars()


def test_without_maven_and_without_jars_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "java").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(JavaUnavailableError, match=r"Maven is missing.*apt install"):
        kafka_jars()


def test_a_maven_that_fails_leaves_no_half_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "java").touch(mode=0o755)
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\necho no route to Maven Central\nexit 1\n")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(JavaFailedError, match="no route to Maven Central"):
        kafka_jars()
    assert list((tmp_path / "cache" / "forestay").iterdir()) == []


def test_a_broker_that_ends_at_once_shows_its_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(harness, "_java", lambda _main: ["/bin/sh", "-c", "echo out of luck; exit 3"])
    (tmp_path / "data").mkdir()
    with pytest.raises(JavaFailedError, match=r"status 3:\nout of luck"):
        KafkaServer(tmp_path).start()
