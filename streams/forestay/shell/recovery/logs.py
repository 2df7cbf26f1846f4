"""What the broker tells of the topics beside the durable state: is it the same logs the state was made beside?"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec

from forestay.settings import KafkaSettings, TopicSettings
from forestay.shell.topics import admin_client, check_all, committed_offsets, end_offsets

#: By topic and partition.
Offsets = Mapping[str, Mapping[int, int]]
#: The id of a topic whose broker gives none.
_NO_ID: Final = "00000000-0000-0000-0000-000000000000"


class Logs(NamedTuple):
    """The topics as they are now.

    How many partitions each has; the broker's ids of them, as far as it has any; where each partition begins and
    ends; and what the workers' group has committed.
    """

    partitions: int
    ids: Mapping[str, str]
    first: Offsets
    end: Offsets
    committed: Offsets


def read_logs(kafka: KafkaSettings, topics: TopicSettings) -> Logs:
    """Asks the broker; takes about 0.1 s.

    Raises:
        ConfigurationError: a topic is missing, or they differ in their number of partitions.
        kafka.errors.KafkaError: no broker answers.
    """
    names = (*topics.sources, topics.decisions, topics.ledger, topics.state)
    with admin_client(kafka) as admin:
        found = {
            topic["name"]: topic for topic in admin.describe_topics(list(topics.names)) if not topic["error_code"]
        }
        counts = {name: len(topic["partitions"]) for name, topic in found.items()}
        check_all(counts, topics)
        ids = {name: str(found[name].get("topic_id") or _NO_ID) for name in names}
        own = {name: counts[name] for name in names}
        return Logs(
            counts[topics.clickstream],
            {name: told for name, told in ids.items() if told != _NO_ID},
            _offsets(admin, own, OffsetSpec.EARLIEST),
            _offsets(admin, own, OffsetSpec.LATEST),
            committed_offsets(admin, kafka.group_id),
        )


def with_true_ends(logs: Logs, kafka: KafkaSettings) -> Logs:
    """Returns the same with ends as a fetch tells them: asked for the latest offset, the embedded broker is wrong.

    Raises:
        kafka.errors.KafkaError: no broker answers.
    """
    return logs._replace(end=end_offsets(kafka, dict.fromkeys(logs.end, logs.partitions)))


def _offsets(admin: KafkaAdminClient, partitions: Mapping[str, int], which: OffsetSpec) -> Offsets:
    asked = {TopicPartition(name, number): which for name, count in partitions.items() for number in range(count)}
    found: dict[str, dict[int, int]] = {name: {} for name in partitions}
    for partition, position in admin.list_partition_offsets(asked).items():
        found[partition.topic][partition.partition] = position.offset
    return found
