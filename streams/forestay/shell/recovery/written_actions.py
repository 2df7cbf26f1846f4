"""Which restored actions are on their topic already: behind a fence, what is not there will not come any more.

A crash between decisions and actions leaves decisions whose actions a successor writes. It cannot tell from the
decisions how far its predecessor came; the end of the action topic tells.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Final

import msgspec
from aiokafka import TopicPartition

from forestay.core.record import Record
from forestay.settings import KafkaSettings, TopicSettings
from forestay.shell.log_reading import log_consumer, read_to_ends, told_as_recovery
from forestay.shell.record_batches import RecordConsumer

#: An action is written right after its decision. So far a clock may be set back in between (milliseconds); if it is
#: set further back, an action may be written twice, with the same id.
_CLOCKS: Final = 600_000


class _Action(msgspec.Struct):
    """What is asked of a record of the action topic."""

    action_id: str


_decode: Final = msgspec.json.Decoder(_Action).decode


async def written_actions(
    kafka: KafkaSettings, topics: TopicSettings, since: Mapping[int, int]
) -> dict[int, frozenset[str]]:
    """Returns the ids of the actions written since the decisions at some offsets were, by partition.

    `since`: for each partition the offset of a decision.

    Raises:
        RecoveryError: the broker does not give the records.
    """
    if not since:
        return {}
    patience = kafka.request_timeout_seconds
    found: dict[int, set[str]] = {number: set() for number in since}
    with told_as_recovery():
        async with log_consumer(kafka) as consumer:
            starts = await _starts(consumer, topics, since, patience)
            async for number, records in read_to_ends(consumer, starts, patience):
                found[number].update(_action_ids(records))
    return {number: frozenset(ids) for number, ids in found.items()}


async def _starts(
    consumer: RecordConsumer, topics: TopicSettings, since: Mapping[int, int], patience: float
) -> dict[TopicPartition, int]:
    """Returns from where on to read the actions: what was written when the decisions were, or later."""
    decisions = {TopicPartition(topics.decisions, number): offset for number, offset in since.items()}
    made: dict[TopicPartition, int] = {}
    async for number, records in read_to_ends(consumer, decisions, patience):
        actions = TopicPartition(topics.actions, number)
        made.setdefault(actions, (records[0].timestamp or 0) - _CLOCKS)
    found = await consumer.offsets_for_times({tp: max(ts, 0) for tp, ts in made.items()})
    return {tp: place.offset for tp, place in found.items() if place is not None}


def _action_ids(records: Iterable[Record]) -> Iterator[str]:
    """Yields the ids of actions; whatever else somebody has put there is none of ours."""
    for record in records:
        with suppress(msgspec.DecodeError):
            yield _decode(record.value or b"").action_id
