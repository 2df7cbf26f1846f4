"""A person replays onto the embedded broker: stops half-way, goes on, and everything is there once."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient, NewTopic
from support.embedded import embedded_kafka, running
from support.sinks import SHIPPED
from support.workers import TopicReader

from forestay.embedded.broker import EmbeddedBroker
from forestay.recording import open_recording
from forestay.settings import Settings

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    broker = EmbeddedBroker(log=tmp_path_factory.mktemp("broker") / "broker.log")
    with running(broker):
        yield Settings(kafka=embedded_kafka(broker.bootstrap_servers))


def replay(settings: Settings, *arguments: object) -> subprocess.Popen[str]:
    servers = settings.kafka.bootstrap_servers
    return subprocess.Popen(
        [sys.executable, "-m", "forestay", "replay", *map(str, arguments), "--json", "--bootstrap-servers", servers],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"FORESTAY_CORE": "plain"},
    )


def test_stopped_half_way_it_says_how_to_go_on_and_nothing_is_missing_or_there_twice(settings: Settings) -> None:
    topic = "stopped"
    with KafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers) as admin:
        admin.create_topics([NewTopic(topic, 4, 1)])
    command = (SHIPPED, "--topic", f"clickstream={topic}", "--until", 1_500)
    reader = TopicReader(settings, topic)
    stopped = replay(settings, *command, "--rate", 400)
    try:
        reader.await_count(100)
    finally:
        stopped.send_signal(signal.SIGINT)
        out, errors = stopped.communicate(timeout=30)
    assert stopped.returncode == 130, errors
    told: dict[str, Any] = json.loads(out)
    assert told["halted"]
    assert 100 <= told["sent"] == told["next_row"] < 1_500
    # Nobody has set that this broker has no idempotence: it is found out, and said.
    assert "this broker has no idempotent producers" in errors
    going_on = replay(settings, *command, "--from", told["next_row"])
    out, errors = going_on.communicate(timeout=60)
    assert going_on.returncode == 0, errors
    assert json.loads(out)["sent"] == 1_500 - told["sent"]
    reader.await_count(1_500)
    reader.close()
    found = sorted(reader.records, key=attrgetter("partition", "offset"))
    rows = sorted(open_recording(SHIPPED).messages(0, 1_500), key=attrgetter("partition", "offset"))
    assert [(record.partition, record.value) for record in found] == [(row.partition, row.value) for row in rows]
