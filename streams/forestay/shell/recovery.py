"""Bringing a partition's durable state back: users and mark from the changelog, then the decisions after it."""

import logging
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from pydantic import ValidationError

from forestay.core.errors import ForestayError, StateError
from forestay.core.record import Record
from forestay.core.state.mark import PartitionMark
from forestay.core.state.state_codec import MARK_KEY, decode_mark
from forestay.settings import KafkaSettings, TopicSettings
from forestay.shell.kafka_clients import connection_options
from forestay.shell.record_batches import RecordConsumer
from forestay.shell.recovery_progress import RecoveryProgress
from forestay_schemas.decision import Decision

logger = logging.getLogger(__name__)

#: How long a fetch waits at the end of a partition (milliseconds): an empty partition costs one such wait.
_FETCH_WAIT = 50


class RecoveryError(ForestayError):
    """The durable state cannot be read now; nothing has been lost."""


class Recovered(NamedTuple):
    """What was durable of one partition: users as their records; `decisions_end` is the end of its decision log."""

    users: dict[str, bytes]
    mark: PartitionMark | None
    made: list[Decision]
    decisions_end: int


async def recover(
    kafka: KafkaSettings, topics: TopicSettings, partitions: Iterable[int], progress: RecoveryProgress | None = None
) -> dict[int, Recovered]:
    """Reads the durable state of `partitions`; `progress` is told how far it has come.

    Raises:
        StateError: a record that cannot be read.
        RecoveryError: the broker does not give the records.
    """
    numbers = sorted(partitions)
    progress = progress or RecoveryProgress()
    progress.begin(numbers)
    started = time.monotonic()
    consumer = RecordConsumer(
        **connection_options(kafka),
        client_id="forestay-recovery",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=_FETCH_WAIT,
    )
    await consumer.start()
    try:
        latest = await _latest_records(consumer, topics.state, numbers, kafka.request_timeout_seconds)
        marks = {number: _mark(records) for number, records in latest.items()}
        made, ends = await _decisions(consumer, topics.decisions, marks, kafka.request_timeout_seconds)
    finally:
        await consumer.stop()
    users = {number: _users(records) for number, records in latest.items()}
    count = sum(map(len, users.values()))
    logger.info(
        "restored %d users and %d later decisions of partitions %s in %.2f s",
        count,
        sum(map(len, made.values())),
        numbers,
        time.monotonic() - started,
    )
    return {number: Recovered(users[number], marks[number], made[number], ends[number]) for number in numbers}


async def _latest_records(
    consumer: RecordConsumer, topic: str, numbers: list[int], patience: float
) -> dict[int, dict[bytes, bytes]]:
    """Returns each partition's newest value by key; keys whose newest value is a tombstone are gone."""
    latest: dict[int, dict[bytes, bytes]] = {number: {} for number in numbers}
    starts = {TopicPartition(topic, number): 0 for number in numbers}
    async for number, records in read_to_ends(consumer, starts, patience):
        users = latest[number]
        for record in records:
            value = record.value
            if value is None:
                users.pop(record.key, None)
            else:
                users[record.key] = value
    return latest


def _mark(records: dict[bytes, bytes]) -> PartitionMark | None:
    record = records.pop(MARK_KEY, None)
    return None if record is None else decode_mark(record)


def _users(records: dict[bytes, bytes]) -> dict[str, bytes]:
    return {key.decode(): record for key, record in records.items()}


async def _decisions(
    consumer: RecordConsumer, topic: str, marks: dict[int, PartitionMark | None], patience: float
) -> tuple[dict[int, list[Decision]], dict[int, int]]:
    """Returns the decisions beyond each partition's mark (all of them if it has none), and the log's ends."""
    starts = {TopicPartition(topic, number): mark.decisions if mark else 0 for number, mark in marks.items()}
    made: dict[int, list[Decision]] = {number: [] for number in marks}
    async for number, records in read_to_ends(consumer, starts, patience):
        made[number].extend(_decision(record, f"{topic}-{number}") for record in records)
    return made, {tp.partition: await consumer.position(tp) for tp in starts}


def _decision(record: Record, where: str) -> Decision:
    try:
        return Decision.model_validate_json(record.value or b"")
    except ValidationError as error:
        message = (
            f"the decision at {where} offset {record.offset} cannot be read, and may have been acted upon: {error}"
        )
        raise StateError(message) from error


async def read_to_ends(
    consumer: RecordConsumer, starts: dict[TopicPartition, int], patience: float
) -> AsyncIterator[tuple[int, list[Any]]]:
    """Yields partitions and their records from `starts` to the ends as they are now, in order.

    An end is the high watermark of a fetch: asked for the latest offset, the embedded broker names another.

    Raises:
        RecoveryError: nothing has come for `patience` seconds and the ends are not reached.
    """
    consumer.assign(list(starts))
    first = await consumer.beginning_offsets(list(starts))
    for tp, start in starts.items():
        if first[tp] > start > 0:
            logger.error("%s: offsets %d to %d are gone and cannot be taken into account", tp, start, first[tp] - 1)
        consumer.seek(tp, max(start, first[tp]))
    unread = set(starts)
    moved = time.monotonic()
    while unread:
        for tp, records in (await consumer.getmany(*unread, timeout_ms=_FETCH_WAIT)).items():
            moved = time.monotonic()
            yield tp.partition, records
        unread = {tp for tp in unread if not await _at_end(consumer, tp)}
        if unread and time.monotonic() - moved > patience:
            names = ", ".join(f"{tp.topic}-{tp.partition}" for tp in sorted(unread))
            raise RecoveryError(f"nothing can be read of {names} for {patience:g} s: are their leaders up?")


async def _at_end(consumer: RecordConsumer, tp: TopicPartition) -> bool:
    end = consumer.highwater(tp)
    # A position beyond the last record counts too: compaction may have taken the records before an end.
    return end is not None and await consumer.position(tp) >= end
