"""Bringing a partition's durable state back: users and mark from the changelog, then the decisions after it."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from forestay.core.errors import StateError
from forestay.core.record import OutputRecord
from forestay.core.state.mark import PartitionMark, opening_mark
from forestay.core.state.state_codec import MARK_KEY, TOPICS_KEY, encode_mark, encode_topics
from forestay.settings import KafkaSettings, TopicSettings
from forestay.shell.recovery.checks import Damage, moved_on, told_now
from forestay.shell.recovery.findings import Findings, find
from forestay.shell.recovery.progress import RecoveryProgress
from forestay_schemas.decision import Decision

logger = logging.getLogger(__name__)

#: So many damages are named in an error.
_NAMED: Final = 5


class Recovered(NamedTuple):
    """What was durable of one partition: users as their records; `decisions_end` is the end of its decision log.

    The mark of a partition on which nobody has worked yet is one that was never written (`UNWRITTEN`). `opening` is
    to be durable before anything is decided: decisions without a mark are then a sign that state was lost. `ends` are
    those of the logs that the owner alone writes, by topic, as far as the broker tells.
    """

    users: dict[str, bytes]
    mark: PartitionMark
    made: list[Decision]
    decisions_end: int
    opening: Sequence[OutputRecord] = ()
    ends: Mapping[str, int] = {}


async def recover(
    kafka: KafkaSettings, topics: TopicSettings, partitions: Iterable[int], progress: RecoveryProgress | None = None
) -> dict[int, Recovered]:
    """Reads the durable state of `partitions`; `progress` is told how far it has come.

    Raises:
        StateError: a record cannot be read, or the state does not fit the topics beside it; says what to do.
        ConfigurationError: the topics differ in their number of partitions.
        RecoveryError: the broker does not give the records.
    """
    numbers = sorted(partitions)
    started = time.monotonic()
    found = await find(kafka, topics, numbers, progress or RecoveryProgress())
    if found.damages:
        raise StateError(refusal(found.damages))
    logger.info(
        "restored %d users and %d later decisions of partitions %s in %.2f s",
        sum(len(found.state[number].users) for number in numbers),
        sum(map(len, found.made.values())),
        numbers,
        time.monotonic() - started,
    )
    return {number: _recovered(number, found, topics) for number in numbers}


def refusal(damages: Sequence[Damage]) -> str:
    """Returns why the state is not worked on, and what to do."""
    lines = [f"  {damage.where}: {damage.what}" for damage in damages[:_NAMED]]
    if len(damages) > _NAMED:
        lines.append(f"  and {len(damages) - _NAMED} more")
    remedy = (
        "`forestay repair` says what can be done (docs/recovery.md)"
        if any(damage.repair for damage in damages)
        else "docs/recovery.md says more"
    )
    return "\n".join(["the durable state cannot be worked on, and nothing was changed:", *lines, remedy])


def _recovered(number: int, found: Findings, topics: TopicSettings) -> Recovered:
    state = found.state[number]
    begun = state.mark or opening_mark(len(state.users))
    mark, notes = moved_on(number, begun, state.topics, found.logs, topics)
    for note in notes:
        logger.error("%s", note)
    beside = told_now(found.logs, topics, state.topics.passed_over)
    opening = [] if beside == state.topics else [OutputRecord(TOPICS_KEY, encode_topics(beside))]
    if state.mark is None:
        opening.append(OutputRecord(MARK_KEY, encode_mark(begun)))
    ends = {topic: found.logs.end[topic][number] for topic in (topics.state, topics.decisions, topics.ledger)}
    return Recovered(state.users, mark, found.made[number], found.ends[number], opening, ends)
