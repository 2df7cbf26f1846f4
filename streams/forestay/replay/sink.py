"""Where a replay's records go: a producer that is given whole batches."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, UnknownError

from forestay.core.errors import ForestayError
from forestay.recording import RecordedMessage
from forestay.replay.outcome import ReplayError
from forestay.settings import KafkaSettings
from forestay.shell.kafka_clients import connection_options

logger = logging.getLogger(__name__)

#: Bytes of one batch: few requests, and a quarter of what a topic allows by default (max.message.bytes).
_BATCH_BYTES: Final = 262_144
#: How long the connections may take to close (seconds).
_CLOSE_SECONDS: Final = 2.0


class SinkError(ForestayError):
    """Records that are not on their topic, as far as anybody knows."""


class Placed(Protocol):
    """What a broker says of a batch that is durable."""

    @property
    def offset(self) -> int:
        """The offset of its first record."""


class Sending(NamedTuple):
    """A batch under way: how many records and bytes; `placed` ends with where it lies, or a Kafka error."""

    records: int
    size: int
    placed: "asyncio.Future[Placed]"


class Sink(Protocol):
    """Takes records for partitions."""

    async def send(
        self, topic: str, partition: int, messages: Sequence[RecordedMessage], timestamp: int | None
    ) -> Sending:
        """Takes the first of `messages`, at least one: as many as go together; waits while the partition is busy.

        Those of one partition lie in the order in which they were taken. `timestamp` is in epoch milliseconds and
        that of all; None: each has the recorded one, and none is without (-1).

        Raises:
            SinkError: none was taken.
        """


class KafkaSink:
    """aiokafka's producer: one batch in flight a partition and one behind it, acknowledged by all replicas.

    kafka-python refuses a record with neither key nor value, and a header without a value; and with it a replay takes
    15 µs a record, with this 4 (docs/recording.md).
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        """Takes how to connect."""
        self._kafka = kafka
        self._producer: Any = None

    async def __aenter__(self) -> Self:
        """Connects.

        Raises:
            ReplayError: no broker answers, or it does not let us write.
        """
        try:
            self._producer = await self._started(idempotent=self._kafka.idempotent_producer)
        except UnknownError:
            # What a broker says that does not know the request for a producer's id (the embedded one).
            logger.warning(
                "this broker has no idempotent producers: if a connection breaks, records may be there twice"
            )
            self._producer = await self._started(idempotent=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnects; what is still under way is dropped: it is waited for before, or it is too late for it."""
        # aiokafka's own stop waits for ever for a broker that is gone.
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._producer._sender.close()  # noqa: SLF001
        self._producer._closed = True  # noqa: SLF001
        await self._producer.client.close()

    async def send(
        self, topic: str, partition: int, messages: Sequence[RecordedMessage], timestamp: int | None
    ) -> Sending:
        """See `Sink.send`."""
        batch = self._producer.create_batch()
        count = _fill(batch, messages, timestamp)
        size = batch.size()
        try:
            placed = await self._producer.send_batch(batch, topic, partition=partition)
        except KafkaError as error:
            raise SinkError(repr(error)) from error
        return Sending(count, size, placed)

    async def _started(self, *, idempotent: bool) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **connection_options(self._kafka),
            client_id="forestay-replay",
            acks="all",
            enable_idempotence=idempotent,
            max_batch_size=_BATCH_BYTES,
        )
        try:
            await producer.start()
        except UnknownError:
            await producer.stop()
            raise
        except KafkaConnectionError as error:
            await producer.stop()
            raise ReplayError(f"no Kafka answers at {self._kafka.bootstrap_servers}: {error}") from error
        except KafkaError as error:
            await producer.stop()
            raise ReplayError(f"Kafka does not let records be sent: {error!r}") from error
        return producer


def _fill(batch: Any, messages: Sequence[RecordedMessage], timestamp: int | None) -> int:
    """Packs messages until the batch is full; returns how many went in, at least one.

    aiokafka's `BatchBuilder.append` does the same for one record, at twice the cost.
    """
    append = batch._builder.append  # noqa: SLF001
    count = 0
    for message in messages:
        at = timestamp if timestamp is not None else message.timestamp
        # A full batch answers None; an empty one takes any record.
        if append(count, at, message.key, message.value, list(message.headers)) is None:
            break
        count += 1
    batch._relative_offset = count  # noqa: SLF001
    batch.close()
    return count
