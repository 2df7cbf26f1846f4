"""Topics are declared, checked and described, on the embedded broker and on a real Apache Kafka."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from support.kafka import KafkaServer

from forestay.core.errors import ConfigurationError
from forestay.embedded.broker import EmbeddedBroker
from forestay.settings import TOPIC_ROLES, KafkaSettings, TopicSettings
from forestay.shell.topics import check_catalogue, declare, describe, end_offsets, partition_counts

pytest_plugins = ("support.kafka_plugin",)


@pytest.fixture(
    params=[pytest.param("embedded", marks=pytest.mark.embedded), pytest.param("kafka", marks=pytest.mark.kafka)]
)
async def kafka(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[KafkaSettings]:
    if request.param == "embedded":
        async with EmbeddedBroker(log=tmp_path / "broker.log") as broker:
            yield KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
    else:
        yield KafkaSettings(bootstrap_servers=request.getfixturevalue("kafka_server").bootstrap)


@pytest.fixture
def topics() -> TopicSettings:
    """Names of this test's own: the real Kafka is shared."""
    prefix = uuid.uuid4().hex[:8]
    return TopicSettings.model_validate({role: f"{prefix}-{role}" for role in (*TOPIC_ROLES, "catalogue")})


def make(kafka: KafkaSettings, name: str, partitions: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    admin.create_topics({name: {"num_partitions": partitions, "replication_factor": 1}}, wait_for_metadata=True)
    admin.close()


def test_all_topics_are_made_once(kafka: KafkaSettings, topics: TopicSettings) -> None:
    names = [*topics.names, topics.catalogue]
    assert declare(kafka, topics) == (names, [], 4)
    assert declare(kafka, topics) == ([], names, 4)
    found = partition_counts(kafka, [*names, "another"])
    assert found == {**dict.fromkeys(topics.names, 4), topics.catalogue: 1}


def test_the_catalogue_needs_one_partition(kafka: KafkaSettings, topics: TopicSettings) -> None:
    with pytest.raises(ConfigurationError, match="topics declare"):
        check_catalogue(kafka, topics)
    make(kafka, topics.catalogue, 2)
    with pytest.raises(ConfigurationError, match="has 2 partitions, and revisions have one order"):
        check_catalogue(kafka, topics)


def test_missing_topics_follow_the_clickstream(kafka: KafkaSettings, topics: TopicSettings) -> None:
    make(kafka, topics.clickstream, 6)
    declared = declare(kafka, topics)
    assert (declared.existing, declared.partitions) == ([topics.clickstream], 6)
    assert set(partition_counts(kafka, topics.names).values()) == {6}


def test_topics_that_differ_are_left_alone_and_named(kafka: KafkaSettings, topics: TopicSettings) -> None:
    make(kafka, topics.clickstream, 3)
    make(kafka, topics.decisions, 2)
    with pytest.raises(ConfigurationError, match=rf"delete {topics.decisions} .* makes them with 3"):
        declare(kafka, topics)
    assert partition_counts(kafka, topics.names) == {topics.clickstream: 3, topics.decisions: 2}


def test_ends_are_those_after_the_last_record(kafka: KafkaSettings, topics: TopicSettings) -> None:
    """Also where the last batch holds many, for which the embedded broker's latest offset is wrong."""
    declare(kafka, topics)
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers, linger_ms=50)
    for partition, count in enumerate((1, 10, 100)):
        for _ in range(count):
            producer.send(topics.clickstream, b"x", partition=partition)
    producer.close()
    assert end_offsets(kafka, {topics.clickstream: 4})[topics.clickstream] == {0: 1, 1: 10, 2: 100, 3: 0}
    clickstream, clock, _, feedback, budget, actions, *_ = describe(kafka, topics)
    lags = (clickstream.lag, clock.lag, feedback.lag, budget.lag, actions.lag)
    assert (clickstream.records, lags) == (111, (111, 0, 0, 0, None))


def test_what_is_missing_is_not_described(kafka: KafkaSettings, topics: TopicSettings) -> None:
    assert describe(kafka, topics) == []


@pytest.mark.kafka
def test_topics_are_made_with_their_settings(kafka_server: KafkaServer, topics: TopicSettings) -> None:
    kafka = KafkaSettings(bootstrap_servers=kafka_server.bootstrap)
    declare(kafka, topics)
    policies = {topic.role: topic.configs["cleanup.policy"] for topic in describe(kafka, topics)}
    assert policies.pop("state") == policies.pop("catalogue") == "compact"
    assert set(policies.values()) == {"delete"}


@pytest.mark.kafka
def test_a_refused_topic_says_why(kafka_server: KafkaServer, topics: TopicSettings) -> None:
    kafka = KafkaSettings(bootstrap_servers=kafka_server.bootstrap)
    with pytest.raises(ConfigurationError, match=r"replication factor 3: .* Change topics.partitions or"):
        declare(kafka, topics.model_copy(update={"replication_factor": 3}))
