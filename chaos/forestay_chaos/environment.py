"""The settings of a run's workers: short times, so that seconds show what takes minutes otherwise."""

from collections.abc import Mapping
from typing import NamedTuple

from forestay.settings import TOPIC_ROLES, TopicSettings
from forestay_chaos.cluster import NODES
from forestay_chaos.scenario import Scenario


def topics_of(run: str, partitions: int) -> TopicSettings:
    """Returns topics whose names begin with the run's."""
    names = {role: f"{run}-{role.replace('_', '-')}" for role in TOPIC_ROLES}
    return TopicSettings(**names, partitions=partitions, replication_factor=NODES)


class Where(NamedTuple):
    """What a run's workers work with: their group, addresses, topics."""

    group: str
    bootstrap: str
    triton: str
    topics: TopicSettings


def environment(scenario: Scenario, where: Where, traffic: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables of all workers of a run; `traffic` is what the traffic asks for, and comes last."""
    values = {
        "kafka.bootstrap_servers": where.bootstrap,
        "kafka.group_id": where.group,
        "kafka.session_timeout_seconds": scenario.session,
        "kafka.rebalance_timeout_seconds": 8,
        "kafka.request_timeout_seconds": 6,
        "kafka.fetch_wait_seconds": 0.05,
        "worker.commit_interval_seconds": scenario.commit,
        "worker.barrier_deadline_seconds": scenario.barrier,
        "worker.shutdown_deadline_seconds": 15,
        "triton.url": where.triton,
        "triton.deadline_seconds": 0.3,
        "triton.breaker_failures": 3,
        "triton.breaker_seconds": 1,
        **{f"topics.{name}": value for name, value in where.topics.model_dump(exclude_defaults=True).items()},
    }
    named = {f"FORESTAY_{name.replace('.', '__')}".upper(): str(value) for name, value in values.items()}
    return named | dict(traffic)


def of_worker(scenario: Scenario, name: str) -> dict[str, str]:
    """Returns what is one worker's own: its place in the group, its web port."""
    own = {"FORESTAY_KAFKA__GROUP_INSTANCE_ID": name} if scenario.static else {}
    return own | ({"FORESTAY_WEB__PORT": "0"} if scenario.web else {})
