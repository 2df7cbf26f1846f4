"""Topics without a broker: equal partition counts, settings by role, and the lag."""

import pytest

from forestay.core.errors import ConfigurationError
from forestay.settings import TopicSettings
from forestay.shell.topics import TopicDescription, check_all, check_equal, roles, topic_configs

TOPICS = TopicSettings()


def test_every_topic_has_a_role() -> None:
    assert tuple(roles(TOPICS).values()) == TOPICS.names
    assert roles(TOPICS)["dead_letters"] == TOPICS.dead_letters


def test_equal_counts_pass() -> None:
    check_all(dict.fromkeys(TOPICS.names, 12), TOPICS)
    check_equal({}, TOPICS)


def test_an_unequal_count_is_named_with_what_to_do() -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_equal({TOPICS.clickstream: 12, TOPICS.clock: 12, TOPICS.state: 4}, TOPICS)
    assert "clickstream has 12" in str(caught.value)
    assert "delete forestay-user-state-changelog" in str(caught.value)
    assert "forestay topics declare" in str(caught.value)


def test_missing_topics_are_named_with_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=r"retention-actions.*forestay topics declare"):
        check_all({name: 4 for name in TOPICS.names if name != TOPICS.actions}, TOPICS)


@pytest.mark.parametrize("role", roles(TOPICS))
def test_only_the_state_is_compacted_and_the_rest_ends_some_day(role: str) -> None:
    configs = topic_configs(role, replication=1)
    assert configs["cleanup.policy"] == ("compact" if role == "state" else "delete")
    assert ("retention.ms" in configs) == (role != "state")
    assert "min.insync.replicas" not in configs
    assert topic_configs(role, replication=3)["min.insync.replicas"] == "2"


@pytest.mark.parametrize(
    ("committed", "lag"), [(None, None), ({}, 25), ({0: 10}, 15), ({0: 10, 1: 20}, 5), ({0: 15, 1: 20}, 0)]
)
def test_the_lag_is_what_is_there_and_not_committed(committed: dict[int, int] | None, lag: int | None) -> None:
    # Partition 1 has lost its first 10 records to the retention.
    topic = TopicDescription("clickstream", "t", 2, 1, {}, {0: 0, 1: 10}, {0: 15, 1: 20}, committed)
    assert (topic.records, topic.lag) == (25, lag)
