"""Which recorded topic goes to which topic, and into which partition of it."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from kafka import KafkaAdminClient
from kafka.errors import TopicAlreadyExistsError, for_code

from forestay.core.errors import ConfigurationError
from forestay.recording import RecordedMessage
from forestay.replay.order import Recorded
from forestay.replay.outcome import ReplayError
from forestay.settings import TopicSettings
from forestay.shell.placement import Partitioner, Placement
from forestay.shell.topics import every_role, topic_configs

#: Of our topics, those that others write, or that tell the time. What workers write they write again when they read
#: these: it goes out only where it is asked for by name.
_UNASKED: Final = frozenset({"clickstream", "clock", "feedback"})
#: Keys whose partition is remembered: murmur2 in Python takes 10 µs for a UUID.
_REMEMBERED: Final = 65_536


class Destinations(NamedTuple):
    """The topic each recorded topic goes to, and recorded topics that are left out unless asked for."""

    topics: dict[str, str]
    left_out: list[str]


class Route:
    """The way of one recorded topic."""

    def __init__(self, topic: str, partitions: int, recorded: int | None, partitioner: Partitioner) -> None:
        """`recorded` is how many partitions the recorded topic had, None where nobody knows."""
        self.topic = topic
        self.partitions = partitions
        self.recorded = recorded
        #: Whether each record goes to the partition it was recorded from.
        self.keeps = partitions == recorded
        self._of_key = lru_cache(_REMEMBERED)(Placement(partitioner, partitions).partition)

    def partition(self, message: RecordedMessage) -> int:
        """Returns the partition a record goes to: its own if there are as many, else that of its key."""
        if self.keeps:
            return message.partition
        return message.partition % self.partitions if message.key is None else self._of_key(message.key)


def destinations(
    recorded: Recorded, topics: TopicSettings, only: Sequence[str], renamed: Mapping[str, str]
) -> Destinations:
    """Returns where the recorded topics go; `only` and `renamed` name topics, or roles of them.

    A topic that had a role when it was recorded, or that has the default name of one, goes to the topic that is set
    for the role; any other to that of its name.

    Raises:
        ConfigurationError: a topic named is not in the recording.
    """
    by_default = {name: role for role, name in every_role(TopicSettings()).items()}
    wanted = every_role(topics)
    role_of = {topic: recorded.roles.get(topic, by_default.get(topic)) for topic in recorded.counts}

    def named(text: str, option: str) -> str:
        for topic, role in role_of.items():
            if text == topic or text.replace("-", "_") == role:
                return topic
        raise ConfigurationError(f"{option} {text}: the recording holds {', '.join(role_of) or 'no topic'}")

    asked = {named(text, "--only") for text in only}
    new = {named(old, "--topic"): wanted.get(name.replace("-", "_"), name) for old, name in renamed.items()}
    found = Destinations({}, [])
    for topic, role in role_of.items():
        if only and topic not in asked:
            continue
        if not only and topic not in new and role is not None and role not in _UNASKED:
            found.left_out.append(topic)
            continue
        found.topics[topic] = new.get(topic) or wanted.get(role or "", topic)
    return found


def routes(
    recorded: Recorded, to: Mapping[str, str], counts: Mapping[str, int], partitioner: Partitioner
) -> dict[str, Route]:
    """Returns the routes to topics which have so many partitions, by recorded topic.

    Raises:
        ReplayError: a topic is not there.
    """
    if missing := sorted({topic for topic in to.values() if topic not in counts}):
        raise ReplayError(
            f"there is no topic {', '.join(missing)}: `forestay topics declare` makes Forestay's own, --create any,"
            " with as many partitions as the recorded one had; --topic OLD=NEW names another"
        )
    return {old: Route(topic, counts[topic], recorded.partitions.get(old), partitioner) for old, topic in to.items()}


def warnings(found: Mapping[str, Route]) -> list[str]:
    """Returns what a person should know of routes on which partitions are not kept."""
    return [
        f"{old} had {route.recorded or 'nobody knows how many'} partitions when it was recorded, {route.topic} has"
        f" {route.partitions}: records go where their keys belong"
        for old, route in found.items()
        if not route.keeps
    ]


def create(admin: KafkaAdminClient, wanted: Mapping[str, int], topics: TopicSettings) -> None:
    """Makes topics with so many partitions; one that has a role is made as `forestay topics declare` would.

    Raises:
        ConfigurationError: the broker refuses one.
    """
    role_of = {name: role for role, name in every_role(topics).items()}
    answer = admin.create_topics(
        {
            name: {
                "num_partitions": count,
                "replication_factor": topics.replication_factor,
                "configs": topic_configs(role_of[name], topics.replication_factor) if name in role_of else {},
            }
            for name, count in wanted.items()
        },
        raise_errors=False,
    )
    for topic in answer["topics"]:
        error = for_code(topic["error_code"])
        if topic["error_code"] and error is not TopicAlreadyExistsError:
            said = topic["error_message"] or error.__name__
            raise ConfigurationError(f"the broker refuses to make topic {topic['name']}: {said}")
    admin.wait_for_topics(list(wanted))
