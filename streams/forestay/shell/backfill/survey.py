"""What stands before a backfill: how far each partition has come, and which ids are another's."""

import asyncio
from typing import NamedTuple

from forestay.core.errors import ConfigurationError
from forestay.core.event import NEVER
from forestay.core.rules import Rules
from forestay.core.state.mark import PartitionMark
from forestay.core.state.state_codec import decode_user
from forestay.history.fill import Times
from forestay.settings import Settings
from forestay.shell.placement import Placement
from forestay.shell.recovery.recover import recover
from forestay.shell.topics import end_offsets


class Survey(NamedTuple):
    """Each partition's mark, and ids that are another's: that other, and its partition."""

    marks: dict[int, PartitionMark]
    owners: dict[str, tuple[str, int]]
    users: int

    def times(self, partition: int, newest: int) -> Times:
        """Returns the event times a partition has reached; without a state, `newest` of history."""
        mark = self.marks[partition]
        if mark.clock == NEVER:
            return Times(newest, newest)
        return Times(mark.clock, mark.watermark)

    def takes(self, partition: int, ts: int) -> bool:
        """Says whether an event of a file is of the past for its partition: the worker will not meet it as new."""
        mark = self.marks[partition]
        if mark.clock == NEVER:
            return True
        # A mark of version 1 has no watermark, nor has one of a partition that only the clock has reached.
        return ts <= (mark.clock if mark.watermark == NEVER else mark.watermark)


async def survey(settings: Settings, rules: Rules, partitions: int) -> Survey:
    """Reads the state of all partitions, one after the other.

    Raises:
        StateError: a record cannot be read.
        ForestayError: the broker does not give the records, or the clickstream is keyed by another partitioner.
    """
    placement = Placement(settings.topics.partitioner, partitions)
    found = Survey({}, {}, 0)
    for number in range(partitions):
        recovered = (await recover(settings.kafka, settings.topics, [number]))[number]
        found.marks[number] = recovered.mark
        for user_id in list(recovered.users)[:1]:
            if placement.partition(user_id.encode()) != number:
                raise ConfigurationError(
                    f"user {user_id} is in partition {number}, where {settings.topics.partitioner} would not put it:"
                    " set topics.partitioner to what the producers of the clickstream use"
                )
        for user_id, record in recovered.users.items():
            identity = decode_user(record, rules.features).identity
            if identity is not None and not identity.merged_into:
                found.owners.update(dict.fromkeys(identity.absorbed, (user_id, number)))
        found = found._replace(users=found.users + len(recovered.users))
    await asyncio.to_thread(_check_identity, settings, found.marks)
    return found


def _check_identity(settings: Settings, marks: dict[int, PartitionMark]) -> None:
    """Makes sure that no state is on its way from one id to another: it would arrive as it was before."""
    topic = settings.topics.identity
    ends = end_offsets(settings.kafka, {topic: len(marks)})[topic]
    read = {number: mark.positions.get(topic, 0) for number, mark in marks.items()}
    waiting = sum(max(end - read[number], 0) for number, end in ends.items())
    if waiting:
        raise ConfigurationError(
            f"{waiting} records of {topic} are still to be read: start a worker, let it catch up, stop it, and run"
            " the backfill again"
        )
