"""A worker on a real Apache Kafka, without a model: what it promises under fire."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka import AIOKafkaProducer
from kafka import KafkaProducer
from support.account import Account
from support.kafka import KafkaServer
from support.own_topics import own_topics
from support.scenarios import (
    await_decisions,
    await_state,
    stops_in_order,
    survives_a_newcomer,
    survives_kills,
)
from support.workers import environment, worker

from forestay.settings import ClockSource, KafkaSettings, Settings, TritonSettings, WorkerSettings
from forestay.shell.topics import declare
from forestay_schemas import rfc3339

#: Where Kafka's default partitioner puts user u1 among four.
USER_PARTITION = 0

pytest_plugins = ("support.kafka_plugin",)
pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


def settings_on(server: KafkaServer, name: str) -> Settings:
    """Settings whose topics and group are this test's own; nothing listens where Triton should be."""
    return Settings(
        kafka=KafkaSettings(bootstrap_servers=server.bootstrap, group_id=name, session_timeout_seconds=6),
        topics=own_topics(name),
        triton=TritonSettings(url="127.0.0.1:9"),
        worker=WorkerSettings(clock=ClockSource.NONE),
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_no_event_is_lost_or_counted_twice_when_workers_are_killed(kafka_server: KafkaServer, seed: int) -> None:
    account = survives_kills(settings_on(kafka_server, f"kills-{seed}"), seed, kills=2)
    account.check()
    # Each action is there once, though workers died between a decision and the next commit.
    assert len({action["action_id"] for action in account.actions}) == len(account.actions)
    assert account.rungs().keys() == {"rule"}
    assert len(account.dead_letters) == 2


def test_partitions_change_hands_without_loss(kafka_server: KafkaServer) -> None:
    survives_a_newcomer(settings_on(kafka_server, "newcomer")).check()


def test_sigterm_ends_with_a_barrier_and_repeats_nothing(kafka_server: KafkaServer) -> None:
    _, account = stops_in_order(settings_on(kafka_server, "sigterm"))
    account.check()
    assert len({decision["decision_id"] for decision in account.decisions}) == len(account.decisions)
    assert len({action["action_id"] for action in account.actions}) == len(account.actions)


def buy(settings: Settings, number: int) -> None:
    """Each of eight users buys something for the `number`th time."""
    with KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers) as producer:
        for user in (f"u{n}" for n in range(8)):
            event = {
                "event_id": f"{user}-{number}",
                "user_id": user,
                "event": "purchase",
                "price": 10.0,
                "quantity": 1,
            }
            event["ts"] = f"2026-01-{number:02}T00:00:00Z"
            producer.send(settings.topics.clickstream, json.dumps(event).encode(), key=user.encode())


def test_a_worker_that_slept_through_its_session_writes_nothing_when_it_wakes_up(kafka_server: KafkaServer) -> None:
    """It holds states that are not durable, of users whose newer states its successor has made durable meanwhile."""
    settings = settings_on(kafka_server, "sleeper")
    kafka = settings.kafka.model_copy(update={"session_timeout_seconds": 1.5})
    settings = settings.model_copy(update={"kafka": kafka})
    declare(settings.kafka, settings.topics)
    seldom = {"FORESTAY_WORKER__COMMIT_INTERVAL_SECONDS": "60"}
    with worker(environment(settings) | seldom) as sleeper:
        buy(settings, 1)
        await_decisions(settings, 8)
        sleeper.pause()
        with worker(environment(settings)) as successor:
            buy(settings, 2)
            await_state(settings, lambda states: sum(state.applied for state in states.values()) == 16)
            sleeper.go_on()
            assert sleeper.ended_within(30) == 1
            assert successor.stop() == 0
    assert "stopping: another worker has taken over partition " in sleeper.log[-1]
    account = Account(settings)
    account.check()
    assert len({decision["decision_id"] for decision in account.decisions}) == len(account.decisions) == 16


async def send_in_transactions(settings: Settings, transactions: int) -> int:
    """Sends events of one user a transaction at a time, every third one aborted; returns how many count."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers, transactional_id="shop")
    counted = 0
    async with producer:
        for number in range(transactions):
            await producer.begin_transaction()
            for line in range(5):
                event = {"event_id": f"{number}-{line}", "user_id": "u1", "event": "page_view"}
                event["ts"] = f"2026-01-01T00:{number:02}:{line:02}Z"
                await producer.send(
                    settings.topics.clickstream, json.dumps(event).encode(), key=b"u1", partition=USER_PARTITION
                )
            if number % 3 == 2:
                await producer.abort_transaction()
            else:
                await producer.commit_transaction()
                counted += 5
    return counted


async def test_transactions_are_read_over_their_marks_and_aborted_ones_never_count(kafka_server: KafkaServer) -> None:
    settings = settings_on(kafka_server, "transactions")
    declare(settings.kafka, settings.topics)
    counted = await send_in_transactions(settings, 12)
    with worker(environment(settings)) as process:
        await_state(settings, lambda states: states["u1"].applied == counted)
        assert process.stop() == 0


def test_a_quiet_partition_is_told_the_time_and_its_silence_speaks(kafka_server: KafkaServer) -> None:
    settings = settings_on(kafka_server, "clock")
    worker_settings = settings.worker.model_copy(update={"clock": ClockSource.WALL, "clock_interval_seconds": 0.2})
    settings = settings.model_copy(update={"worker": worker_settings})
    declare(settings.kafka, settings.topics)
    bought = datetime.now(UTC) - timedelta(days=14, seconds=-3)
    event = {"event_id": "1", "user_id": "u1", "event": "purchase", "ts": rfc3339(bought), "price": 50.0}
    with KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers) as producer:
        producer.send(settings.topics.clickstream, json.dumps(event).encode(), key=b"u1").get(10)
    with worker(environment(settings)) as process:
        await_decisions(settings, 2)
        assert process.stop() == 0
    triggers = [decision["trigger"]["kind"] for decision in Account(settings).decisions]
    assert triggers == ["event", "silence"]
