"""Declares and describes Forestay's topics through Kafka's admin interface.

All topics have the same number of partitions, because a user's records keep their partition number from the
source to the state. Topics that exist are never changed, only checked.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final, Literal, NamedTuple

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import CoordinatorNotAvailableError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from forestay.core.errors import ConfigurationError, ForestayError
from forestay.core.units import DAY
from forestay.settings import TOPIC_ROLES, KafkaSettings, TopicSettings
from forestay.shell.kafka_access import check_access
from forestay.shell.kafka_clients import connection_options

#: A person waits for the answer: a broker that has not spoken by then (milliseconds) is not there.
_BOOTSTRAP_MS: Final = 10_000
#: How long a fetch at the end of a partition waits for more (milliseconds).
_FETCH_MS: Final = 50
#: How long a fresh broker may take to name a group's coordinator, and between two questions (seconds).
_COORDINATOR_SECONDS: Final = 15.0
_RETRY_SECONDS: Final = 0.2
#: How long records are kept (milliseconds). Decisions are the write-ahead log and the training data.
_RETENTION: Final = {
    "clickstream": 7,
    "clock": 1,
    "identity": 7,
    "feedback": 7,
    # Who takes a partition over tells all its totals again: what is older need not be kept.
    "budget": 7,
    "actions": 7,
    "decisions": 30,
    "outcomes": 30,
    "dead_letters": 30,
    "features": 7,
    "ledger": 30,
}
#: Settings worth a look in a description.
_POLICY: Final = "cleanup.policy"
SHOWN_CONFIGS: Final = (_POLICY, "retention.ms", "min.insync.replicas", "max.message.bytes")
_CATALOGUE: Final = "catalogue"
_SOURCES: Final = ("clickstream", "clock", "identity", "feedback", "budget")


class Declared(NamedTuple):
    """What `declare` did: names made, names found, and the number of partitions all of them have."""

    created: list[str]
    existing: list[str]
    partitions: int


class TopicDescription(NamedTuple):
    """One topic as the broker knows it; offsets by partition.

    `committed` is the workers' group's next offset by partition and None for topics no worker reads.
    `configs` is empty where the broker does not tell (the embedded one does not).
    """

    role: str
    name: str
    partitions: int
    replicas: int
    configs: dict[str, str]
    first: dict[int, int]
    end: dict[int, int]
    committed: dict[int, int] | None

    @property
    def records(self) -> int:
        """Returns how many offsets lie between first and end: records, but for compaction and the marks of fences."""
        return sum(self.end.values()) - sum(self.first.values())

    @property
    def lag(self) -> int | None:
        """Returns how many records the workers have yet to commit, None where they read nothing."""
        if self.committed is None:
            return None
        return sum(end - max(self.committed.get(p, 0), self.first.get(p, 0)) for p, end in self.end.items())


def roles(topics: TopicSettings) -> dict[str, str]:
    """Returns the topics' names by what they are for."""
    return dict(zip(TOPIC_ROLES, topics.names, strict=True))


def every_role(topics: TopicSettings) -> dict[str, str]:
    """Returns the names of all topics by what they are for: those of users, then that of the catalogue."""
    return {**roles(topics), _CATALOGUE: topics.catalogue}


@contextmanager
def admin_client(kafka: KafkaSettings) -> Iterator[KafkaAdminClient]:
    """Opens Kafka's admin interface and closes it at the end.

    Raises:
        AccessError: Kafka does not let us in.
        kafka.errors.KafkaTimeoutError: no broker answers.
    """
    check_access(kafka)
    with closing(KafkaAdminClient(**patient_options(kafka))) as admin:
        yield admin


def declare(kafka: KafkaSettings, topics: TopicSettings) -> Declared:
    """Makes the topics that are missing and checks that all but the catalogue's have the same number of partitions.

    Missing topics get as many partitions as the clickstream has, or `topics.partitions` if it is missing too.

    Raises:
        ConfigurationError: the broker refuses a topic, or existing topics differ in their partitions.
        kafka.errors.KafkaError: no broker answers.
    """
    names = tuple(every_role(topics).values())
    with admin_client(kafka) as admin:
        found = _partition_counts(admin, names)
        partitions = found.get(topics.clickstream, topics.partitions)
        check_equal(found, topics)
        missing = {role: name for role, name in roles(topics).items() if name not in found}
        if missing:
            _create(admin, missing, partitions, topics.replication_factor)
        if topics.catalogue not in found:
            _create(admin, {_CATALOGUE: topics.catalogue}, 1, topics.replication_factor)
        counts = _partition_counts(admin, names)
    check_equal(counts, topics)
    return Declared(
        [name for name in names if name not in found], [name for name in names if name in found], partitions
    )


def partition_counts(kafka: KafkaSettings, names: Sequence[str]) -> dict[str, int]:
    """Returns the number of partitions of those among `names` that exist."""
    with admin_client(kafka) as admin:
        return _partition_counts(admin, names)


def check_equal(counts: Mapping[str, int], topics: TopicSettings) -> None:
    """Checks that all topics in `counts` have the same number of partitions.

    Raises:
        ConfigurationError: they do not; says which differ and what to do.
    """
    # But for the catalogue's, which no user is in.
    counts = {name: count for name, count in counts.items() if name in topics.names}
    if len(set(counts.values())) <= 1:
        return
    listed = ", ".join(f"{name} has {counts[name]}" for name in topics.names if name in counts)
    wanted = counts.get(topics.clickstream, max(counts.values()))
    wrong = ", ".join(name for name in topics.names if name in counts and counts[name] != wanted)
    raise ConfigurationError(
        f"the topics differ in their number of partitions: {listed}. A user's records keep their partition number, so"
        " all need the same; with more of them, users are in other partitions than their state. If there is nothing"
        f" yet to lose, delete {wrong} and run `forestay topics declare`, which makes them with {wanted}. Else fill"
        " new topics from history: docs/recovery.md, More partitions"
    )


def check_all(counts: Mapping[str, int], topics: TopicSettings) -> None:
    """Checks that every topic is there and that all have the same number of partitions.

    Raises:
        ConfigurationError: one is missing or differs; says what to do.
    """
    missing = [name for name in topics.names if name not in counts]
    if missing:
        raise ConfigurationError(f"topics are missing: {', '.join(missing)}; run `forestay topics declare`")
    check_equal(counts, topics)


def check_catalogue(kafka: KafkaSettings, topics: TopicSettings) -> None:
    """Checks that the catalogue's topic is there, with one partition: revisions have one order.

    Raises:
        ConfigurationError: it is missing, or has more; says what to do.
    """
    count = partition_counts(kafka, [topics.catalogue]).get(topics.catalogue)
    if count is None:
        raise ConfigurationError(f"there is no topic {topics.catalogue}; run `forestay topics declare`")
    if count != 1:
        raise ConfigurationError(
            f"the topic {topics.catalogue} has {count} partitions, and revisions have one order: name another with"
            " topics.catalogue, or delete it and run `forestay topics declare`"
        )


def deleting(kafka: KafkaSettings, names: Sequence[str]) -> dict[str, str]:
    """Returns the cleanup.policy of those of these topics whose old records the broker deletes.

    What it does not let these credentials know (DescribeConfigs) is not among them.

    Raises:
        kafka.errors.KafkaError: no broker answers.
    """
    with admin_client(kafka) as admin:
        # All configs: one that is the broker's default is not among the modified.
        configs = _configs(admin, names, "all")
    policies = {name: config.get(_POLICY, "") for name, config in configs.items()}
    return {name: policy for name, policy in policies.items() if "delete" in policy}


def describe(kafka: KafkaSettings, topics: TopicSettings) -> list[TopicDescription]:
    """Returns the topics that exist, with offsets and the lag of the workers' group."""
    with admin_client(kafka) as admin:
        known = {topic["name"]: topic for topic in _metadata(admin, list(every_role(topics).values()))}
        configs = _configs(admin, list(known))
        counts = {name: len(topic["partitions"]) for name, topic in known.items()}
        first = _first_offsets(admin, counts)
        committed = committed_offsets(admin, kafka.group_id)
    end = end_offsets(kafka, counts)
    return [
        TopicDescription(
            role=role,
            name=name,
            partitions=counts[name],
            replicas=min(len(partition["replica_nodes"]) for partition in known[name]["partitions"]),
            configs=configs.get(name, {}),
            first=first[name],
            end=end[name],
            committed=committed.get(name, {}) if role in _SOURCES else None,
        )
        for role, name in every_role(topics).items()
        if name in known
    ]


def committed_offsets(admin: KafkaAdminClient, group_id: str) -> dict[str, dict[int, int]]:
    """Returns the group's committed offsets by topic and partition; empty where it has none yet.

    Raises:
        kafka.errors.KafkaError: the broker does not tell.
    """
    committed: dict[str, dict[int, int]] = {}
    for partition, position in _group_offsets(admin, group_id).items():
        if position.offset >= 0:
            committed.setdefault(partition.topic, {})[partition.partition] = position.offset
    return committed


def _group_offsets(admin: KafkaAdminClient, group_id: str) -> dict[TopicPartition, Any]:
    """Asks again while the broker makes its own topic of offsets, which it does at the first question."""
    give_up = time.monotonic() + _COORDINATOR_SECONDS
    while True:
        try:
            found: dict[TopicPartition, Any] = admin.list_group_offsets([group_id])[group_id]
        except CoordinatorNotAvailableError:
            if time.monotonic() > give_up:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return found


def end_offsets(kafka: KafkaSettings, partitions: Mapping[str, int]) -> dict[str, dict[int, int]]:
    """Returns the offset after the last record, by topic and partition; `partitions` counts those of each topic.

    Taken from the high watermark of a fetch: asked for the latest offset, the embedded broker names the one
    after the first record of the last batch.

    Raises:
        ForestayError: the broker does not tell in time.
        kafka.errors.KafkaError: no broker answers.
    """
    wanted = [TopicPartition(name, number) for name, count in partitions.items() for number in range(count)]
    with closing(KafkaConsumer(**patient_options(kafka), group_id=None, fetch_max_wait_ms=_FETCH_MS)) as consumer:
        consumer.assign(wanted)
        for partition, offset in consumer.end_offsets(wanted).items():
            consumer.seek(partition, offset)
        give_up = time.monotonic() + kafka.request_timeout_seconds
        while missing := [partition for partition in wanted if consumer.highwater(partition) is None]:
            if time.monotonic() > give_up:
                raise ForestayError(f"the broker does not tell the end of {missing[0].topic}-{missing[0].partition}")
            consumer.poll(timeout_ms=_FETCH_MS)
        return _by_topic({partition: consumer.highwater(partition) for partition in wanted})


def _first_offsets(admin: KafkaAdminClient, partitions: Mapping[str, int]) -> dict[str, dict[int, int]]:
    asked = {
        TopicPartition(name, number): OffsetSpec.EARLIEST
        for name, count in partitions.items()
        for number in range(count)
    }
    found = admin.list_partition_offsets(asked)
    return _by_topic({partition: position.offset for partition, position in found.items()})


def _by_topic(offsets: Mapping[TopicPartition, int]) -> dict[str, dict[int, int]]:
    found: dict[str, dict[int, int]] = {}
    for partition, offset in offsets.items():
        found.setdefault(partition.topic, {})[partition.partition] = offset
    return found


def patient_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Returns connection options for a person who waits: no broker within 10 s is none."""
    options = connection_options(kafka)
    return options | {"bootstrap_timeout_ms": min(_BOOTSTRAP_MS, options["request_timeout_ms"])}


def _metadata(admin: KafkaAdminClient, names: Sequence[str]) -> list[dict[str, Any]]:
    described: list[dict[str, Any]] = admin.describe_topics(list(names))
    found = []
    for topic in described:
        error = for_code(topic["error_code"])
        if error is UnknownTopicOrPartitionError:
            continue
        if topic["error_code"]:
            raise error(topic["name"])
        found.append(topic)
    return found


def _partition_counts(admin: KafkaAdminClient, names: Sequence[str]) -> dict[str, int]:
    return {topic["name"]: len(topic["partitions"]) for topic in _metadata(admin, names)}


def _configs(
    admin: KafkaAdminClient, names: Sequence[str], which: Literal["modified", "all"] = "modified"
) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found = admin.describe_configs(resources, config_filter=which) if resources else {}
    answer: dict[str, dict[str, Any]] = found.get("topic", {})
    return {
        name: {key: str(entry["value"]) for key, entry in entries.items() if key in SHOWN_CONFIGS}
        for name, entries in answer.items()
    }


def _create(admin: KafkaAdminClient, missing: Mapping[str, str], partitions: int, replication: int) -> None:
    wanted = {
        name: {
            "num_partitions": partitions,
            "replication_factor": replication,
            "configs": topic_configs(role, replication),
        }
        for role, name in missing.items()
    }
    answer = admin.create_topics(wanted, raise_errors=False)
    for topic in answer["topics"]:
        error = for_code(topic["error_code"])
        if topic["error_code"] and error is not TopicAlreadyExistsError:
            said = (topic["error_message"] or error.__name__).rstrip(".")
            raise ConfigurationError(
                f"the broker refuses to make topic {topic['name']} with {partitions} partitions and replication"
                f" factor {replication}: {said}. Change topics.partitions or topics.replication_factor, or have it"
                " made by someone who may"
            )
    admin.wait_for_topics(list(missing.values()))


def topic_configs(role: str, replication: int) -> dict[str, str]:
    """Returns the settings a topic is made with, by its role."""
    # A clock record is checked against its own timestamp: that must not come from the clock that may be wrong.
    configs = {"message.timestamp.type": "LogAppendTime" if role == "clock" else "CreateTime"}
    if role == _CATALOGUE:
        # Every revision has a key of its own and stays; what is repeated is all that goes.
        configs |= {_POLICY: "compact"}
    elif role == "state":
        # A changelog is read whole at every recovery: clean it early, in segments that close daily.
        configs |= {_POLICY: "compact", "min.cleanable.dirty.ratio": "0.2", "segment.ms": str(DAY)}
    else:
        configs |= {_POLICY: "delete", "retention.ms": str(_RETENTION[role] * DAY)}
    if replication > 2:  # noqa: PLR2004 - with three copies a write may wait for two and still survive a loss
        configs["min.insync.replicas"] = "2"
    return configs
