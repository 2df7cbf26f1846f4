"""A worker on a real Apache Kafka, without a model: what it promises under fire."""

import pytest
from support.kafka import KafkaServer
from support.scenarios import stops_in_order, survives_a_newcomer, survives_kills

from forestay.settings import ClockSource, KafkaSettings, Settings, TopicSettings, TritonSettings, WorkerSettings

pytest_plugins = ("support.kafka_plugin",)
pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


def settings_on(server: KafkaServer, name: str) -> Settings:
    """Settings whose topics and group are this test's own; nothing listens where Triton should be."""
    fields = ("clickstream", "clock", "actions", "decisions", "dead_letters", "state")
    own = {field: f"{name}-{field}" for field in fields}
    return Settings(
        kafka=KafkaSettings(bootstrap_servers=server.bootstrap, group_id=name, session_timeout_seconds=6),
        topics=TopicSettings(**own),
        triton=TritonSettings(url="127.0.0.1:9"),
        worker=WorkerSettings(clock=ClockSource.NONE),
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_no_event_is_lost_or_counted_twice_when_workers_are_killed(kafka_server: KafkaServer, seed: int) -> None:
    account = survives_kills(settings_on(kafka_server, f"kills-{seed}"), seed, kills=2)
    account.check()
    assert account.rungs().keys() == {"rule"}
    assert len(account.dead_letters) == 2


def test_partitions_change_hands_without_loss(kafka_server: KafkaServer) -> None:
    survives_a_newcomer(settings_on(kafka_server, "newcomer")).check()


def test_sigterm_ends_with_a_barrier_and_repeats_nothing(kafka_server: KafkaServer) -> None:
    _, account = stops_in_order(settings_on(kafka_server, "sigterm"))
    account.check()
    assert len({decision["decision_id"] for decision in account.decisions}) == len(account.decisions)
    assert len({action["action_id"] for action in account.actions}) == len(account.actions)
