"""The clickstream from its beginning to its end, with values in JSON whatever they came in."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Final

from aiokafka import TopicPartition

from forestay.core.errors import DeadLetter
from forestay.core.record import Record, SourceRecord
from forestay.settings import Settings, ValueFormat
from forestay.shell.kafka_clients import connection_options
from forestay.shell.log_reading import read_to_ends
from forestay.shell.record_batches import RecordConsumer
from forestay.shell.registry.schemas import Schemas

#: How long a fetch waits at the end of a partition (milliseconds).
_FETCH_WAIT: Final = 50


async def clickstream(settings: Settings, partitions: int) -> AsyncIterator[tuple[int, Sequence[Record]]]:
    """Yields partitions and their records, in order, to the ends as they are now.

    Raises:
        ForestayError: the broker or the schema registry does not answer.
    """
    topic = settings.topics.clickstream
    consumer = RecordConsumer(
        **connection_options(settings.kafka),
        client_id="forestay-backfill",
        enable_auto_commit=False,
        isolation_level="read_committed",
        fetch_max_wait_ms=_FETCH_WAIT,
    )
    async with AsyncExitStack() as stack:
        schemas: Schemas | None = None
        if settings.format.clickstream is not ValueFormat.JSON:
            schemas = await stack.enter_async_context(Schemas(settings.format, settings.topics))
        # Before the start: one that is cancelled half-way is closed too.
        stack.push_async_callback(consumer.stop)
        await consumer.start()
        starts = {TopicPartition(topic, number): 0 for number in range(partitions)}
        async for number, records in read_to_ends(consumer, starts, settings.kafka.request_timeout_seconds):
            if schemas is None:
                yield number, records
            else:
                await schemas.prepare(topic, records)
                yield number, [_in_json(schemas, topic, number, record) for record in records]


def _in_json(schemas: Schemas, topic: str, number: int, record: Record) -> Record:
    """Returns the record with its value as JSON; as it is if it cannot be read, and so is no event."""
    if record.value is None:
        return record
    try:
        value = schemas.decoder.decode(record.value).model_dump_json().encode()
    except DeadLetter:
        return record
    timestamp = -1 if record.timestamp is None else record.timestamp
    return SourceRecord(topic, number, record.offset, timestamp, record.key, value)
