"""What a successor finds of its predecessor's actions, on a real Apache Kafka."""

import asyncio
import json

import pytest
from kafka.admin import NewTopic
from support.kafka import KafkaServer

from forestay.core.record import OutputRecord
from forestay.settings import KafkaSettings, TopicSettings
from forestay.shell.publisher import KafkaPublisher
from forestay.shell.recovery.written_actions import written_actions
from forestay.shell.topics import admin_client

pytest_plugins = ("support.kafka_plugin",)
pytestmark = [pytest.mark.kafka, pytest.mark.timeout(60)]


def deployment(server: KafkaServer, name: str) -> tuple[KafkaSettings, TopicSettings]:
    kafka = KafkaSettings(bootstrap_servers=server.bootstrap, group_id=name)
    topics = TopicSettings(decisions=f"{name}-decisions", actions=f"{name}-actions")
    with admin_client(kafka) as admin:
        admin.create_topics([NewTopic(topic, 3, 1) for topic in (topics.decisions, topics.actions)])
    return kafka, topics


def action(action_id: str) -> list[OutputRecord]:
    return [OutputRecord(b"u1", json.dumps({"action_id": action_id, "user_id": "u1"}).encode())]


async def test_actions_after_a_decision_are_found_partition_by_partition(kafka_server: KafkaServer) -> None:
    kafka, topics = await asyncio.to_thread(deployment, kafka_server, "written")
    async with KafkaPublisher(kafka, deadline=10) as publisher:
        for number in (0, 1):
            for count in range(number + 2):
                await publisher.publish(topics.decisions, number, [OutputRecord(b"u1", b"a decision")])
                await publisher.publish(topics.actions, number, action(f"{number}-{count}"))
        # Decided, and not acted upon: the worker died.
        since = await publisher.publish(topics.decisions, 2, [OutputRecord(b"u1", b"a decision")]) - 1
    found = await written_actions(kafka, topics, {0: 1, 1: 0, 2: since})
    assert found[1] == {"1-0", "1-1", "1-2"}
    assert "0-1" in found[0]
    assert found[2] == set()


async def test_nobody_is_asked_where_nothing_was_decided() -> None:
    assert await written_actions(KafkaSettings(bootstrap_servers="127.0.0.1:9"), TopicSettings(), {}) == {}


async def test_what_others_put_there_is_passed_over(kafka_server: KafkaServer) -> None:
    kafka, topics = await asyncio.to_thread(deployment, kafka_server, "foreign")
    foreign = [OutputRecord(b"u1", b'{"action": 1}'), OutputRecord(b"u1", None), OutputRecord(b"u1", b"x")]
    async with KafkaPublisher(kafka, deadline=10) as publisher:
        await publisher.publish(topics.decisions, 0, [OutputRecord(b"u1", b"a decision")])
        await publisher.publish(topics.actions, 0, [*foreign, *action("ours")])
    assert await written_actions(kafka, topics, {0: 0}) == {0: {"ours"}}
