"""What each part of Forestay must be allowed to do in Kafka, and whether it is (docs/security.md).

A broker tells what the asking user may do with a topic: so a worker says at its start what is missing, all at once
and with the command that mends it, before it has joined its group.
"""

import shlex
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from kafka import KafkaAdminClient
from kafka.errors import TopicAuthorizationFailedError, for_code

from forestay.access import AccessError
from forestay.settings import TOPIC_ROLES, CatalogueSource, KafkaSettings, Settings
from forestay.shell.fence import transactional_ids
from forestay.shell.kafka_access import may_join, may_write_as
from forestay.shell.topics import admin_client

#: Stands for the principal where we do not know it: behind a certificate or a token.
USER: Final = "NAME"
READ: Final = "Read"
WRITE: Final = "Write"
DESCRIBE: Final = "Describe"
CREATE: Final = "Create"
DESCRIBE_CONFIGS: Final = "DescribeConfigs"
#: The kind of what fences need.
_IDS: Final = "transactional-id"
#: How an administrator reaches the broker.
_ADMIN: Final = "--bootstrap-server HOST:PORT --command-config admin.properties"


class Part(StrEnum):
    """Who needs permissions of their own."""

    WORKER = "worker"
    ADAPTER = "adapter"
    SEND = "send"
    TAIL = "tail"
    RECORDER = "record"
    REPLAY = "replay"
    REPAIR = "repair"
    BACKFILL = "backfill"
    CATALOGUE = "catalogue"
    DECLARE = "declare"
    DESCRIBE = "describe"
    DOCTOR = "doctor"


class Grant(NamedTuple):
    """One permission: on a topic or a group, by its name; on transactional ids, by what they begin with."""

    kind: str
    name: str
    operation: str


_EVERY_ROLE: Final = (*TOPIC_ROLES, "catalogue")
#: What is done to the state from outside: beside it, all logs it was made of and made are looked at.
_KEEPING: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("clickstream", "clock", "identity", "feedback", "budget", "decisions", "ledger"), (READ,)),
    **dict.fromkeys(("actions", "outcomes", "features"), (DESCRIBE,)),
    "state": (READ, WRITE),
}
#: What each part does with our topics, by their roles. Read and Write both include Describe.
_TOPICS: Final[Mapping[Part, Mapping[str, tuple[str, ...]]]] = {
    Part.WORKER: {
        "clickstream": (READ,),
        "clock": (READ, WRITE),
        "identity": (READ, WRITE),
        "feedback": (READ,),
        "budget": (READ, WRITE),
        "actions": (READ, WRITE),
        "decisions": (READ, WRITE),
        "outcomes": (WRITE,),
        "dead_letters": (WRITE,),
        "features": (WRITE,),
        "ledger": (READ, WRITE),
        "state": (READ, WRITE),
    },
    Part.ADAPTER: {"clickstream": (WRITE,), "dead_letters": (WRITE,)},
    Part.SEND: {"clickstream": (WRITE,)},
    Part.TAIL: dict.fromkeys(("actions", "decisions", "outcomes", "dead_letters"), (READ,)),
    Part.RECORDER: dict.fromkeys(_EVERY_ROLE, (READ,)),
    Part.REPLAY: dict.fromkeys(("clickstream", "clock", "feedback"), (WRITE,)),
    Part.REPAIR: {**_KEEPING, "dead_letters": (WRITE,)},
    Part.BACKFILL: {**_KEEPING, "dead_letters": (DESCRIBE,)},
    Part.CATALOGUE: {"catalogue": (READ, WRITE)},
    Part.DECLARE: dict.fromkeys(_EVERY_ROLE, (CREATE, DESCRIBE)),
    Part.DESCRIBE: dict.fromkeys(_EVERY_ROLE, (READ, DESCRIBE_CONFIGS)),
    Part.DOCTOR: dict.fromkeys(_EVERY_ROLE, (DESCRIBE,)),
}


def needed(part: Part, settings: Settings) -> list[Grant]:
    """Returns everything `part` needs, and nothing it does not."""
    topics, group = settings.topics, settings.kafka.group_id
    grants = [
        Grant("topic", getattr(topics, role), operation)
        for role, operations in _TOPICS[part].items()
        for operation in operations
    ]
    if part is Part.WORKER:
        if settings.worker.catalogue_source is CatalogueSource.TOPIC:
            grants.append(Grant("topic", topics.catalogue, READ))
        if settings.kafka.fenced:
            grants.append(Grant(_IDS, transactional_ids(settings.kafka), WRITE))
        grants.append(Grant("group", group, READ))
    elif part is Part.ADAPTER:
        grants.append(Grant("topic", settings.adapter.topic or "SOURCE", READ))
        grants.append(Grant("group", group + settings.adapter.group_suffix, READ))
    elif part in (Part.DESCRIBE, Part.REPAIR, Part.BACKFILL):
        grants.append(Grant("group", group, DESCRIBE))
    return grants


def commands(grants: Iterable[Grant], user: str) -> list[str]:
    """Returns the shell commands that give `grants` to `user`: one for all names with the same operations."""
    operations: dict[tuple[str, str], list[str]] = {}
    for grant in grants:
        operations.setdefault((grant.kind, grant.name), []).append(grant.operation)
    names: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (kind, name), given in operations.items():
        names.setdefault((kind, tuple(given)), []).append(name)
    return [
        " ".join(
            (
                f"kafka-acls.sh {_ADMIN} --add --allow-principal {shlex.quote(f'User:{user}')}",
                *(f"--operation {operation}" for operation in given),
                *(f"--{kind} {shlex.quote(name)}" for name in named),
                *(("--resource-pattern-type prefixed",) if kind == _IDS else ()),
            )
        )
        for (kind, given), named in names.items()
    ]


def check_allowed(kafka: KafkaSettings, grants: Iterable[Grant]) -> None:
    """Checks that Kafka lets us in and allows all `grants`, as far as it tells.

    Raises:
        AccessError: it does not; says why, or which are missing, and what to do.
        kafka.errors.KafkaError: no broker answers.
    """
    wanted = list(grants)
    with admin_client(kafka) as admin:
        allowed = _topic_operations(admin, sorted({grant.name for grant in wanted if grant.kind == "topic"}))
    # A broker that tells nothing of topics (the embedded one) has no permissions at all.
    if any(operations is not None for operations in allowed.values()):
        groups = {grant.name for grant in wanted if grant.kind == "group"}
        allowed |= {name: frozenset() for name in groups if not may_join(kafka, name)}
        ids = {grant.name for grant in wanted if grant.kind == _IDS}
        allowed |= {name: frozenset() for name in ids if not may_write_as(kafka, f"{name}0")}
    missing = [grant for grant in wanted if _lacks(allowed.get(grant.name), grant.operation)]
    if missing:
        raise AccessError(_refusal(missing, kafka))


def _lacks(operations: frozenset[str] | None, operation: str) -> bool:
    return operations is not None and operation not in operations


def _topic_operations(admin: KafkaAdminClient, names: list[str]) -> dict[str, frozenset[str] | None]:
    """Returns what may be done with each topic, None where the broker does not tell; no topic that is not there."""
    found: dict[str, frozenset[str] | None] = {}
    for topic in admin.describe_topics(names):
        if for_code(topic["error_code"]) is TopicAuthorizationFailedError:
            found[topic["name"]] = frozenset()
        elif not topic["error_code"]:
            found[topic["name"]] = _names(topic)
    return found


def _names(described: Mapping[str, Any]) -> frozenset[str] | None:
    told = described.get("authorized_operations")
    if not told:
        return None
    return frozenset("".join(word.capitalize() for word in str(name).split("_")) for name in told)


def _refusal(missing: list[Grant], kafka: KafkaSettings) -> str:
    user = kafka.sasl_username or USER
    listed = ", ".join(f"{grant.operation} on {grant.kind} {grant.name}" for grant in missing)
    lines = "\n".join(f"  {command}" for command in commands(missing, user))
    return f"Kafka does not allow {user} {listed}. Whoever may give permissions (docs/security.md) runs:\n{lines}"
