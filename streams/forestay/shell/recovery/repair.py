"""Making a damaged state one that can be worked on, once somebody who has seen the damages says so."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from forestay.core.clock.schedule import Schedule
from forestay.core.decoding.decode import dead_letter
from forestay.core.errors import ConfigurationError, DeadLetter, ForestayError
from forestay.core.event import NEVER
from forestay.core.record import OutputRecord, SourceRecord
from forestay.core.rules import Rules
from forestay.core.state.mark import PartitionMark, opening_mark
from forestay.core.state.seal import sealed_records
from forestay.core.state.state_codec import (
    MARK_KEY,
    TOPICS_KEY,
    decode_user,
    encode_mark,
    encode_topics,
    encode_user,
    is_reservation,
    is_users,
)
from forestay.settings import Settings, TopicSettings
from forestay.shell.members import check_nobody_works
from forestay.shell.publisher import KafkaPublisher
from forestay.shell.recovery.checks import Damage, Kind, decisions_begin, moved_on, told_now
from forestay.shell.recovery.findings import Findings, find
from forestay.shell.recovery.progress import RecoveryProgress

#: Records written at once.
_BATCH: Final = 1_000


class Repair(NamedTuple):
    """What a repair writes for one partition: copies of what is left out, then the state, its mark last."""

    dead_letters: list[OutputRecord]
    state: list[OutputRecord]


class Repairer:
    """Looks at all partitions, and repairs those that need it."""

    def __init__(self, settings: Settings, rules: Rules, partitions: int, *, same_offsets: bool) -> None:
        """`partitions` is how many each topic has; `same_offsets`: topics that are others are copies of the old."""
        self._settings = settings
        self._rules = rules
        self._partitions = partitions
        self._same_offsets = same_offsets

    async def examine(self) -> list[Damage]:
        """Returns all that is wrong, each user's record read to its end; writes nothing.

        Raises:
            ForestayError: the broker does not give the records.
        """
        return [damage for number in range(self._partitions) for damage in (await self._find(number)).damages]

    async def repair(self) -> list[Damage]:
        """Repairs what can be repaired; returns what was wrong. One that was cut short is simply run again.

        Raises:
            ConfigurationError: workers are at work, or something is wrong that no repair helps; nothing is written.
            ForestayError: the broker does not answer, or what was written does not read back.
        """
        await check_nobody_works(self._settings)
        damages = await self.examine()
        hopeless = [damage for damage in damages if not damage.repair]
        if hopeless:
            raise ConfigurationError(f"{hopeless[0].where}: {hopeless[0].what}. Nothing was written")
        for number in sorted({damage.partition for damage in damages}):
            await self._repair(number)
        left = await self.examine() if damages else []
        if left:
            raise ForestayError(f"after the repair, {left[0].where}: {left[0].what}: did a worker start meanwhile?")
        return damages

    async def _find(self, number: int) -> Findings:
        kafka, topics, features = self._settings.kafka, self._settings.topics, self._rules.features
        return await find(kafka, topics, [number], RecoveryProgress(), lambda record: decode_user(record, features))

    async def _repair(self, number: int) -> None:
        topics = self._settings.topics
        found = await self._find(number)
        repair = planned(number, found, self._rules, topics, same_offsets=self._same_offsets)
        deadline = self._settings.worker.barrier_deadline_seconds
        async with KafkaPublisher(self._settings.kafka, deadline) as publisher:
            for topic, records in ((topics.dead_letters, repair.dead_letters), (topics.state, repair.state)):
                for start in range(0, len(records), _BATCH):
                    await publisher.publish(topic, number, records[start : start + _BATCH])


def planned(number: int, found: Findings, rules: Rules, topics: TopicSettings, *, same_offsets: bool) -> Repair:
    """Returns what makes a partition's state one that can be worked on."""
    state = found.state[number]
    before = state.mark or opening_mark(0)
    ends = _ends(number, found, same_offsets=same_offsets)
    users = [(name, record) for name, record in sorted(state.users.items()) if is_users(name.encode())]
    records = [OutputRecord(key, None) for key in state.spoilt if is_users(key) or is_reservation(key)]
    if not ends.keys().isdisjoint((topics.clickstream, topics.identity)):
        anew = Renumbering(rules, before.watermark, ends.get(topics.clickstream), ends.get(topics.identity))
        records += [OutputRecord(user_id.encode(), anew.record(record)) for user_id, record in users]
    beside = told_now(found.logs, topics, [record.offset for record in found.unreadable.get(number, ())])
    records.append(OutputRecord(TOPICS_KEY, encode_topics(beside)))
    records.append(OutputRecord(MARK_KEY, encode_mark(_mark(number, found, before, ends, topics))))
    return Repair(list(_dead_letters(number, found, topics)), sealed_records(records))


def _ends(number: int, found: Findings, *, same_offsets: bool) -> dict[str, int]:
    """Returns where topics that have lost records end now: what the state knows beyond never was."""
    ends = {damage.topic: found.logs.end[damage.topic][number] for damage in found.damages if damage.topic}
    for damage in found.damages:
        if damage.kind is Kind.TOPIC_ANEW and not same_offsets:
            ends[damage.topic] = 0
        elif damage.kind is Kind.TOPIC_ANEW:
            del ends[damage.topic]
    return ends


def _mark(
    number: int, found: Findings, before: PartitionMark, ends: Mapping[str, int], topics: TopicSettings
) -> PartitionMark:
    position = {topic: offset for topic, offset in before.positions.items() if topic in topics.sources}
    position |= ends
    decisions = decisions_begin(number, found.state[number], found.logs, topics.decisions)
    told, _ = moved_on(number, before, found.state[number].topics, found.logs, topics)
    positions = {topic: max(position.get(topic, 0), found.logs.first[topic][number]) for topic in topics.sources}
    return PartitionMark(
        positions | {topic: told.positions.get(topic, 0) for topic in (topics.clock, topics.feedback, topics.budget)},
        before.clock,
        max(decisions, found.logs.first[topics.decisions][number]) if decisions else 0,
        max(before.generation, 0),
        before.watermark,
        sum(is_users(name.encode()) for name in found.state[number].users),
        before.budgets,
        before.pauses,
    )


class Renumbering:
    """Has users forget offsets that their topics do not have any more."""

    def __init__(self, rules: Rules, watermark: int, clicks: int | None, identity: int | None) -> None:
        """`clicks` and `identity` are where the two topics end for these users, None for one that is unharmed."""
        self._rules = rules
        self._watermark = watermark
        self._clicks = clicks
        self._identity = identity
        self._schedule = Schedule(rules.features, rules.patterns, rules.idle)

    def record(self, record: bytes) -> bytes:
        """Returns the user's record with offsets that stand for what can come."""
        rules = self._rules
        state = decode_user(record, rules.features)
        if self._clicks is not None:
            state.offset = min(state.offset, self._clicks - 1)
        if state.identity is not None:
            if self._identity is not None:
                state.identity.met = min(state.identity.met, self._identity - 1)
            if self._clicks == 0:
                state.identity.absorbed = dict.fromkeys(state.identity.absorbed, NEVER)
        oldest = max(self._watermark, state.event_ids.latest) - rules.lateness
        return encode_user(state, rules.features, oldest, rules.lateness, self._schedule.due(state))


def _dead_letters(number: int, found: Findings, topics: TopicSettings) -> Iterator[OutputRecord]:
    for key, spoilt in found.state[number].spoilt.items():
        record = SourceRecord(topics.state, number, found.offsets[number][key], 0, key, spoilt.value)
        yield dead_letter(topics.state, number, record, DeadLetter("damaged_state", spoilt.reason))
    for decision in found.unreadable.get(number, ()):
        problem = DeadLetter("unreadable_decision", "a decision beyond the mark cannot be read")
        yield dead_letter(topics.decisions, number, decision, problem)


def summary(damages: Sequence[Damage], *, written: bool) -> Iterator[str]:
    """Yields, for people, what is wrong and what is done about it."""
    if not damages:
        yield "the durable state of all partitions is well"
    for damage in damages:
        yield f"{damage.where}: {damage.what}"
        if damage.repair:
            yield f"  {'repaired' if written else '--write would'}: {damage.repair}"
