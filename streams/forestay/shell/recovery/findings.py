"""What is there of the durable state of some partitions, right or wrong."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from pydantic import ValidationError

from forestay.core.record import Record
from forestay.core.state.state_codec import MARK_KEY, TOPICS_KEY, check_known_version, is_reservation
from forestay.settings import KafkaSettings, TopicSettings
from forestay.shell.log_reading import log_consumer, read_to_ends, told_as_recovery
from forestay.shell.record_batches import RecordConsumer
from forestay.shell.recovery.checks import Damage, Kind, damages_of, decisions_begin, lies_beyond, more_partitions
from forestay.shell.recovery.logs import Logs, read_logs, with_true_ends
from forestay.shell.recovery.progress import RecoveryProgress
from forestay.shell.recovery.state import ChangelogReading, Check, StateFound
from forestay_schemas.decision import Decision


class Findings(NamedTuple):
    """By partition: its state, the decisions beyond its mark, those that cannot be read, and where the log ends.

    `offsets` are those of the changelog's records that are not what was written, by key.
    """

    logs: Logs
    state: dict[int, StateFound]
    offsets: dict[int, dict[bytes, int]]
    made: dict[int, list[Decision]]
    unreadable: dict[int, list[Record]]
    ends: dict[int, int]
    damages: list[Damage]


async def find(
    kafka: KafkaSettings,
    topics: TopicSettings,
    numbers: list[int],
    progress: RecoveryProgress,
    check: Check = check_known_version,
) -> Findings:
    """Reads the state of partitions and judges it; `check` each user's record.

    Raises:
        ConfigurationError: the topics differ in their number of partitions.
        StateError: the broker's copy of a batch is damaged.
        RecoveryError: the broker does not give the records.
    """
    progress.begin(numbers)
    with told_as_recovery():
        async with log_consumer(kafka) as consumer:
            return await _Finder(consumer, kafka, topics, progress, check).find(numbers)


class _Finder:
    """One look at the state."""

    def __init__(
        self,
        consumer: RecordConsumer,
        kafka: KafkaSettings,
        topics: TopicSettings,
        progress: RecoveryProgress,
        check: Check,
    ) -> None:
        self._consumer = consumer
        self._kafka = kafka
        self._topics = topics
        self._progress = progress
        self._check = check

    async def find(self, numbers: list[int]) -> Findings:
        # The broker is asked in a thread while the changelog is read. Where it refuses, a partition may be missing,
        # for which the reading would wait without end.
        reading = asyncio.create_task(self._changelogs(numbers))
        try:
            logs = await asyncio.to_thread(read_logs, self._kafka, self._topics)
            state = await reading
        finally:
            reading.cancel()
        if any(one.mark and lies_beyond(number, one.mark, logs, self._topics) for number, one in state.items()):
            logs = await asyncio.to_thread(with_true_ends, logs, self._kafka)
        made, unreadable, ends = await self._decisions(state, logs)
        damages = await self._elsewhere(state, logs)
        for number, one in state.items():
            if MARK_KEY not in one.spoilt:
                decided = len(made[number]) + len(unreadable.get(number, ()))
                damages += damages_of(number, one, decided, logs, self._topics)
        offsets = {number: await self._offsets(number, one.spoilt) for number, one in state.items()}
        damages += [
            spoilt_damage(number, f"{self._topics.state}-{number} offset {offsets[number][key]}", key, spoilt.reason)
            for number, one in state.items()
            for key, spoilt in one.spoilt.items()
        ]
        damages += [self._unreadable(number, record) for number in unreadable for record in unreadable[number]]
        return Findings(logs, state, offsets, made, unreadable, ends, damages)

    # -- the changelog -------------------------------------------------------------------------------

    async def _changelogs(self, numbers: list[int]) -> dict[int, StateFound]:
        readings = {number: ChangelogReading() for number in numbers}
        starts = {TopicPartition(self._topics.state, number): 0 for number in numbers}
        async for number, records in self._read(starts):
            readings[number].take(records)
        return {number: reading.found(self._check) for number, reading in readings.items()}

    async def _elsewhere(self, state: Mapping[int, StateFound], logs: Logs) -> list[Damage]:
        """Looks whether partitions nobody has worked on are new because all topics got more partitions.

        Only another partition's record of topics tells, if none of ours has one. That happens at first starts, and
        then.
        """
        if any(one.topics.partitions for one in state.values()):
            return []
        topic = self._topics.state
        for other in [number for number, end in logs.end[topic].items() if number not in state and end > 0]:
            reading = ChangelogReading()
            async for _, records in read_to_ends(self._consumer, {TopicPartition(topic, other): 0}, self._patience):
                reading.take(records)
            beside = reading.found().topics
            if beside.partitions not in (0, logs.partitions):
                return [more_partitions(number, beside, logs, self._topics) for number in state]
            if beside.partitions:
                break
        return []

    async def _offsets(self, number: int, keys: Collection[bytes]) -> dict[bytes, int]:
        """Looks up where the newest records of `keys` are: nobody keeps the offsets of those that are well."""
        offsets: dict[bytes, int] = {}
        if keys:
            start = {TopicPartition(self._topics.state, number): 0}
            async for _, records in read_to_ends(self._consumer, start, self._patience):
                offsets.update({record.key: record.offset for record in records if record.key in keys})
        return offsets

    # -- decisions -----------------------------------------------------------------------------------

    async def _decisions(
        self, state: Mapping[int, StateFound], logs: Logs
    ) -> tuple[dict[int, list[Decision]], dict[int, list[Record]], dict[int, int]]:
        """Returns the decisions beyond each mark (all, if there is none), those that cannot be read, and the ends."""
        topic = self._topics.decisions
        starts = {
            TopicPartition(topic, number): decisions_begin(number, one, logs, topic) for number, one in state.items()
        }
        made: dict[int, list[Decision]] = {number: [] for number in state}
        unreadable: dict[int, list[Record]] = defaultdict(list)
        async for number, records in self._read(starts):
            passed_over = state[number].topics.passed_over
            for record in records:
                if record.offset in passed_over:
                    continue
                try:
                    made[number].append(Decision.model_validate_json(record.value or b""))
                except ValidationError:
                    unreadable[number].append(record)
        return made, unreadable, {tp.partition: await self._consumer.position(tp) for tp in starts}

    def _unreadable(self, number: int, record: Record) -> Damage:
        where = f"{self._topics.decisions}-{number} offset {record.offset}"
        what = "this decision cannot be read, and may have been acted upon; no worker has written it"
        repair = "copy it to the dead letters and pass it over: its user may be decided upon again"
        return Damage(Kind.UNREADABLE_DECISION, number, where, what, repair)

    # -- reading -------------------------------------------------------------------------------------

    @property
    def _patience(self) -> float:
        return self._kafka.request_timeout_seconds

    def _read(self, starts: dict[TopicPartition, int]) -> AsyncIterator[tuple[int, list[Any]]]:
        before = dict(self._progress.partitions)

        def tell(number: int, read: int, to_read: int) -> None:
            base = before[number].to_read
            self._progress.tell(number, base + read, base + to_read)

        return read_to_ends(self._consumer, starts, self._patience, tell)


def spoilt_damage(number: int, where: str, key: bytes, reason: str) -> Damage:
    """Returns what is wrong with the changelog's record of `key`."""
    if key == TOPICS_KEY:
        what = f"the record of the topics cannot be believed: {reason}"
        repair = "copy it to the dead letters, and take the topics there are now for those of the state"
        return Damage(Kind.DAMAGED_MARK, number, where, what, repair)
    if key == MARK_KEY:
        what = f"the mark cannot be believed: {reason}"
        return Damage(Kind.DAMAGED_MARK, number, where, what, _BEGIN_ANEW)
    if is_reservation(key):
        what = f"the record of what an action has reserved of budgets cannot be believed: {reason}"
        return Damage(
            Kind.DAMAGED_USER, number, where, what, "copy it to the dead letters; what it held counts as spent"
        )
    what = f"the record of user {key.decode(errors='replace')!r} cannot be believed: {reason}"
    repair = "copy it to the dead letters; the user begins anew, and no other is touched"
    return Damage(Kind.DAMAGED_USER, number, where, what, repair)


_BEGIN_ANEW = (
    "copy it to the dead letters and begin anew with the users found: reading starts at the beginning of the sources,"
    " what a user's state has counted is passed over, and decisions on their topic stay made"
)
