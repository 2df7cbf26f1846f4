"""Reading partitions from somewhere to where they end now."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import kafka.errors
from aiokafka import TopicPartition
from aiokafka.errors import CorruptRecordException, KafkaError

from forestay.access import AccessError
from forestay.core.errors import ForestayError, StateError
from forestay.settings import KafkaSettings
from forestay.shell.kafka_clients import connection_options
from forestay.shell.record_batches import RecordConsumer

#: How long a fetch waits at the end of a partition (milliseconds): an empty partition costs one such wait.
_FETCH_WAIT: Final = 50
#: Is told once a chunk: the partition, offsets passed, and offsets to pass.
Tell = Callable[[int, int, int], None]


class RecoveryError(ForestayError):
    """The durable state cannot be read now; nothing has been lost."""


@contextmanager
def told_as_recovery() -> Iterator[None]:
    """Says in our words what either client says in its own when brokers go while the durable state is read.

    Raises:
        RecoveryError: a client has given up.
        AccessError: Kafka does not allow it.
    """
    try:
        yield
    except (KafkaError, kafka.errors.KafkaError) as error:
        if "Authorization" in type(error).__name__:
            raise AccessError(
                f"Kafka does not allow this user to read the durable state ({type(error).__name__}: {error}):"
                " docs/security.md lists the permissions of each command"
            ) from error
        raise RecoveryError(
            f"the durable state cannot be read now ({type(error).__name__}: {error}): are all brokers up? Nothing is"
            " lost; a worker started again reads it anew, and `forestay doctor` looks closer"
        ) from error


def log_consumer(kafka: KafkaSettings) -> RecordConsumer:
    """Returns a consumer without a group, for `read_to_ends`."""
    return RecordConsumer(
        **connection_options(kafka),
        client_id="forestay-recovery",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=_FETCH_WAIT,
    )


async def read_to_ends(
    consumer: RecordConsumer, starts: dict[TopicPartition, int], patience: float, tell: Tell | None = None
) -> AsyncIterator[tuple[int, list[Any]]]:
    """Yields partitions and their records from `starts` to the ends as they are now, in order.

    An end is the high watermark of a fetch: asked for the latest offset, the embedded broker names another.

    Raises:
        StateError: the broker's copy of a batch is damaged.
        RecoveryError: nothing has come for `patience` seconds and the ends are not reached.
    """
    consumer.assign(list(starts))
    first = await consumer.beginning_offsets(list(starts))
    begun = {tp: max(start, first[tp]) for tp, start in starts.items()}
    for tp, start in begun.items():
        consumer.seek(tp, start)
    unread = set(starts)
    moved = time.monotonic()
    while unread:
        for tp, records in (await _fetched(consumer, unread)).items():
            moved = time.monotonic()
            yield tp.partition, records
            if tell is not None:
                read = records[-1].offset + 1 - begun[tp]
                tell(tp.partition, read, max((consumer.highwater(tp) or 0) - begun[tp], read))
        unread = {tp for tp in unread if not await _at_end(consumer, tp)}
        if unread and time.monotonic() - moved > patience:
            names = ", ".join(f"{tp.topic}-{tp.partition}" for tp in sorted(unread))
            raise RecoveryError(f"nothing can be read of {names} for {patience:g} s: are their leaders up?")


async def _fetched(consumer: RecordConsumer, unread: set[TopicPartition]) -> dict[TopicPartition, list[Any]]:
    try:
        fetched: dict[TopicPartition, list[Any]] = await consumer.getmany(*unread, timeout_ms=_FETCH_WAIT)
    except CorruptRecordException as error:
        raise StateError(
            f"{error}: the broker's copy is damaged; let a replica that is in sync lead the partition, or restore the"
            " broker's disk"
        ) from error
    return fetched


async def _at_end(consumer: RecordConsumer, tp: TopicPartition) -> bool:
    end = consumer.highwater(tp)
    # A position beyond the last record counts too: compaction may have taken the records before an end.
    return end is not None and await consumer.position(tp) >= end
