"""Who is at work, as the broker knows it: whether any worker, and who has a static member's place."""

import asyncio
import time
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CoordinatorNotAvailableError, GroupIdNotFound, KafkaError, NoError, for_code

from forestay.core.errors import ConfigurationError, ForestayError
from forestay.settings import KafkaSettings, Settings
from forestay.shell.kafka_clients import connection_options
from forestay.shell.topics import admin_client

#: How long a fresh broker may take to name a group's coordinator, and between two questions (seconds).
_COORDINATOR_SECONDS: Final = 15.0
_RETRY_SECONDS: Final = 0.2
#: Where things stand in a described group, and in its members (Kafka protocol, DescribeGroups).
_ERROR, _MEMBERS = 0, 5
_CLIENT_HOST = 2


class ReplacedError(ForestayError):
    """Another worker has this one's place in the group; its partitions are the other's."""


def check_not_replaced(kafka: KafkaSettings, member: str) -> None:
    """Makes sure that nobody has taken the place of `member`, whom the group no longer knows.

    Two workers with one instance id would else throw each other out once a heartbeat, for ever: Kafka tells the
    one that was replaced when its heartbeat names the instance, and aiokafka's does not.

    Raises:
        ReplacedError: somebody has.
        kafka.errors.KafkaError: the broker does not tell.
    """
    instance = kafka.group_instance_id
    with admin_client(kafka) as admin:
        members = admin.describe_groups([kafka.group_id])[kafka.group_id]["members"]
    if any(one["group_instance_id"] == instance and one["member_id"] != member for one in members):
        raise ReplacedError(
            f"another worker has joined group {kafka.group_id} as {instance}: each needs a kafka.group_instance_id of"
            " its own (if this one was stopped and replaced, all is well)"
        )


async def check_nobody_works(settings: Settings) -> None:
    """Makes sure that the workers' group has no member.

    Raises:
        ConfigurationError: it has.
        ForestayError: the broker does not tell.
    """
    group = settings.kafka.group_id
    admin = AIOKafkaAdminClient(**connection_options(settings.kafka), client_id="forestay-members")
    try:
        await admin.start()
        members = await _members(admin, group)
        if members and not any(member[_CLIENT_HOST] for member in members):
            # The embedded broker lists members that are long gone until another joins. Apache Kafka does not, and
            # there nobody is disturbed: it names each member's host.
            await _join_and_leave(settings)
            members = await _members(admin, group)
    except KafkaError as error:
        raise ForestayError(f"the broker does not tell who is in group {group}: {error!r}") from error
    finally:
        await admin.close()
    if members:
        raise ConfigurationError(
            f"group {group} has {len(members)} live member{'s' * (len(members) != 1)}: stop the workers first (one"
            f" that was killed counts for {settings.kafka.session_timeout_seconds:g} s more)"
        )


async def _members(admin: AIOKafkaAdminClient, group: str) -> list[Any]:
    give_up = time.monotonic() + _COORDINATOR_SECONDS
    while True:
        try:
            answers: list[Any] = await admin.describe_consumer_groups([group])
        except CoordinatorNotAvailableError:
            if time.monotonic() > give_up:
                raise
            await asyncio.sleep(_RETRY_SECONDS)
            continue
        described = answers[0].groups[0]
        error = for_code(described[_ERROR])
        if error is GroupIdNotFound:
            return []
        if error is not NoError:
            raise error(group)
        return list(described[_MEMBERS])


async def _join_and_leave(settings: Settings) -> None:
    kafka = settings.kafka
    consumer = AIOKafkaConsumer(
        settings.topics.clickstream,
        **connection_options(kafka),
        group_id=kafka.group_id,
        client_id="forestay-members",
        partition_assignment_strategy=[RangePartitionAssignor],
        enable_auto_commit=False,
        session_timeout_ms=round(kafka.session_timeout_seconds * 1000),
        heartbeat_interval_ms=round(kafka.session_timeout_seconds * 1000 / 5),
        rebalance_timeout_ms=round(kafka.rebalance_timeout_seconds * 1000),
    )
    await consumer.start()
    await consumer.stop()
