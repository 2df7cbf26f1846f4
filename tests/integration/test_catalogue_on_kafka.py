"""The catalogue's topic on Apache Kafka: of many who push at once one wins, and compaction takes no revision."""

import asyncio
import json
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from support.builders import catalogue, offer
from support.embedded import Outgoing, send_records
from support.kafka import KafkaServer
from support.own_topics import own_topics
from support.workers import environment
from typer.testing import CliRunner

from forestay.cli.main import app
from forestay.core.decision.catalogue import Catalogue
from forestay.core.errors import ForestayError
from forestay.settings import KafkaSettings, Settings
from forestay.shell.catalogue_pushing import Said, push, read_history
from forestay.shell.topics import admin_client, declare

pytest_plugins = ("support.kafka_plugin",)
pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

PUSHERS = 6


@pytest.fixture
def settings(kafka_server: KafkaServer) -> Settings:
    prefix = uuid.uuid4().hex[:8]
    found = Settings(
        kafka=KafkaSettings(bootstrap_servers=kafka_server.bootstrap), topics=own_topics(prefix, partitions=1)
    )
    declare(found.kafka, found.topics)
    return found


def shop(name: str) -> Catalogue:
    return catalogue(offer(name))


async def test_of_many_who_push_at_once_one_wins_and_the_others_are_told(settings: Settings) -> None:
    for after in range(3):
        outcomes = await asyncio.gather(
            *(push(settings, shop(f"{n}-{after}"), Said(f"pusher {n}", "first!"), after) for n in range(PUSHERS)),
            return_exceptions=True,
        )
        won = [n for n, one in enumerate(outcomes) if one == after + 1]
        lost = [one for one in outcomes if isinstance(one, ForestayError)]
        assert (len(won), len(lost)) == (1, PUSHERS - 1)
        assert all(f"revision {after + 1} was pushed meanwhile" in str(one) for one in lost)
        history = await read_history(settings)
        assert history.current == shop(f"{won[0]}-{after}")
        assert history.revision == after + 1


def test_a_topic_that_deletes_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    follows = {"FORESTAY_WORKER__CATALOGUE_SOURCE": "topic"}
    for name, value in (environment(settings) | follows).items():
        monkeypatch.setenv(name, value)

    def look() -> dict[str, Any]:
        checks = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)["checks"]
        (found,) = [check for check in checks if check["name"] == "compaction"]
        return dict(found)

    assert look()["status"] == "ok"
    by_default = ConfigResource(
        ConfigResourceType.TOPIC, settings.topics.catalogue, configs={"cleanup.policy": "delete"}
    )
    with admin_client(settings.kafka) as admin:
        admin.alter_configs([by_default])
    found = look()
    assert (found["status"], f"{settings.topics.catalogue} has cleanup.policy=delete" in found["detail"]) == (
        "failed",
        True,
    )
    assert f"--topic {settings.topics.catalogue} --add-config" in found["advice"]


def test_compaction_takes_no_revision(settings: Settings) -> None:
    """The broker is asked to compact at once; a record that is repeated under its key is what it takes."""
    topic = settings.topics.catalogue
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers)
    eager = {"min.cleanable.dirty.ratio": "0.01", "segment.ms": "100", "max.compaction.lag.ms": "100"}
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=eager)])
    admin.close()
    for after in range(5):
        assert asyncio.run(push(settings, shop(f"o{after}"), Said("me", f"number {after}"), after)) == after + 1
    deadline, pause = time.monotonic() + 120, threading.Event()
    offsets = []
    while True:
        # Records of one key that say nothing: the first of them is gone once the log was compacted.
        send_records(settings, topic, [Outgoing(b"nothing", b"same", 0)])
        history = asyncio.run(read_history(settings))
        offsets = [entry.offset for entry in history.entries]
        if offsets != list(range(len(offsets))):
            break
        assert time.monotonic() < deadline, "the broker compacts nothing"
        pause.wait(1)
    assert [entry.record.reason for entry in history.entries if entry.record] == [f"number {n}" for n in range(5)]
    assert (history.revision, history.current) == (5, shop("o4"))
    assert asyncio.run(push(settings, shop("last"), Said("me", "after it"), 5)) == 6
