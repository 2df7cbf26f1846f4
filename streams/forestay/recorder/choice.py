"""Which topics are recorded: by role, by name, by pattern."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from kafka import KafkaAdminClient
from kafka.errors import for_code

from forestay.core.errors import ConfigurationError, UsageError
from forestay.settings import TopicSettings
from forestay.shell.topics import every_role

#: UNKNOWN_TOPIC_OR_PARTITION (Kafka protocol, error codes).
_UNKNOWN: Final = 3


class Choice(NamedTuple):
    """Topics by name, which must be there, and patterns of names, which may come later."""

    names: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...]
    #: What Forestay's topics are for, by name: a replay elsewhere finds the topic set for it there.
    roles: Mapping[str, str] = {}

    def find(self, admin: KafkaAdminClient) -> dict[str, int]:
        """Returns how many partitions each of the topics chosen has now, by name.

        Raises:
            ConfigurationError: a topic named is not there, or no topic matches.
            kafka.errors.KafkaError: the broker does not tell.
        """
        described: list[dict[str, Any]] = admin.describe_topics(None if self.patterns else list(self.names))
        there = {topic["name"]: topic for topic in described if not topic["error_code"]}
        for topic in described:
            # That it is not there is said below, in words.
            if topic["error_code"] and topic["name"] in self.names and topic["error_code"] != _UNKNOWN:
                raise for_code(topic["error_code"])(topic["name"])
        if missing := [name for name in self.names if name not in there]:
            raise ConfigurationError(
                f"there is no topic {missing[0]}: `forestay topics describe` lists Forestay's; a role"
                f" ({', '.join(every_role(TopicSettings())).replace('_', '-')}) stands for the name set for it"
            )
        found = {name: len(topic["partitions"]) for name, topic in sorted(there.items()) if self._wants(name, topic)}
        if not found:
            patterns = ", ".join(pattern.pattern for pattern in self.patterns)
            raise ConfigurationError(f"no topic matches {patterns}; there are {', '.join(sorted(there)) or 'none'}")
        return found

    def _wants(self, name: str, topic: dict[str, Any]) -> bool:
        if name in self.names:
            return True
        return not topic["is_internal"] and any(pattern.search(name) for pattern in self.patterns)


def choose(topics: TopicSettings, wanted: Sequence[str], patterns: Sequence[str]) -> Choice:
    """Returns the choice of `wanted`, each a role or a name, and of `patterns`, searched for anywhere in a name.

    Raises:
        UsageError: a pattern is no regular expression.
    """
    by_role = every_role(topics)
    names = dict.fromkeys(by_role.get(name.replace("-", "_"), name) for name in wanted)
    compiled = []
    for pattern in patterns:
        try:
            compiled.append(re.compile(pattern))
        except re.error as error:
            raise UsageError(f"--pattern {pattern}: is no regular expression: {error}") from error
    return Choice(tuple(names), tuple(compiled), {name: role for role, name in by_role.items()})
