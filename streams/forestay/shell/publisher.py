"""Writing to Kafka: durable when `publish` returns, or an error that stops the line (design D3)."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Protocol, Self

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import InvalidTimestampError, KafkaError, ProducerFenced
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.producer.transaction_manager import PidAndEpoch, TransactionManager

from forestay.core.errors import ForestayError
from forestay.core.record import OutputRecord
from forestay.settings import KafkaSettings
from forestay.shell.kafka_clients import connection_options
from forestay.shell.producer_ids import FencedError, Writer

#: Bytes of one produce batch. The largest record must fit too: a dead letter of a megabyte and its headers.
_BATCH_BYTES = 262_144
_REQUEST_BYTES = 4 * 1_048_576


class PublishError(ForestayError):
    """Records that did not become durable in time; the batch they belong to must not be acknowledged."""


class Publisher(Protocol):
    """Writes records and returns when they are durable."""

    async def publish(self, topic: str, partition: int, records: Sequence[OutputRecord]) -> int:
        """Writes `records` in order; returns the offset after the last, 0 if there are none.

        Raises:
            PublishError: not every record became durable within the deadline.
            FencedError: another worker has taken the partition over.
        """


class KafkaPublisher:
    """A publisher on aiokafka's producer: whole batches, one in flight a partition, acknowledged by all replicas."""

    def __init__(self, kafka: KafkaSettings, deadline: float) -> None:
        """`deadline`: seconds within which records must be durable."""
        self._kafka = kafka
        self._deadline = deadline
        self._producer: Any = None
        self._writers: _Writers | None = None

    async def __aenter__(self) -> Self:
        """Connects."""
        self._producer = AIOKafkaProducer(
            **connection_options(self._kafka),
            client_id="forestay-publisher",
            acks="all",
            enable_idempotence=self._kafka.idempotent_producer,
            max_batch_size=_BATCH_BYTES,
            max_request_size=_REQUEST_BYTES,
        )
        if self._kafka.idempotent_producer:
            self._writers = _Writers()
            # The three that look it up.
            for part in (self._producer, self._producer._sender, self._producer._message_accumulator):  # noqa: SLF001
                part._txn_manager = self._writers  # noqa: SLF001
        await self._producer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnects; everything published is durable already."""
        await self._producer.stop()

    def write_as(self, writer: Writer, partitions: Iterable[TopicPartition]) -> None:
        """From now on the batches of `partitions` are `writer`'s; nothing of them may be on its way."""
        assert self._writers is not None, "only an idempotent producer has ids"  # noqa: S101
        for tp in partitions:
            self._writers.own(tp, writer)

    async def publish(self, topic: str, partition: int, records: Sequence[OutputRecord]) -> int:
        """See `Publisher.publish`."""
        if not records:
            return 0
        try:
            async with asyncio.timeout(self._deadline):
                batches = self._batches(records)
                sent = [await self._producer.send_batch(batch, topic, partition=partition) for batch in batches]
                metadata = await asyncio.gather(*sent)
        except ProducerFenced as error:
            raise FencedError(f"partition {partition} ({topic})") from error
        except InvalidTimestampError as error:
            raise PublishError(
                f"Kafka does not take the time that {len(records)} records for {topic}-{partition} have from this"
                " machine's clock (message.timestamp.after.max.ms, an hour by default): set it right and start the"
                " worker again; nothing is lost"
            ) from error
        except (KafkaError, TimeoutError) as error:
            raise PublishError(
                f"{len(records)} records for {topic}-{partition} are not durable after {self._deadline:g} s"
                f" ({type(error).__name__}: {error}); stopped: they will be made again after a restart"
            ) from error
        after: int = metadata[-1].offset + batches[-1].record_count()
        return after

    def _batches(self, records: Sequence[OutputRecord]) -> list[BatchBuilder]:
        """Packs records into as few produce batches as they need."""
        now = round(time.time() * 1000)
        batches: list[BatchBuilder] = []
        packed = 0
        while packed < len(records):
            batch = self._producer.create_batch()
            packed += _fill(batch, records, packed, now)
            batches.append(batch)
        return batches


class _Writers(TransactionManager):  # type: ignore[misc]
    """Under which producer id a batch goes: the producer's own, or the one its partition was taken over with.

    The accumulator asks for the sequence number of a batch's partition, and for id and epoch right after it.
    """

    def __init__(self) -> None:
        super().__init__(transactional_id=None, transaction_timeout_ms=0)
        self._owned: dict[TopicPartition, PidAndEpoch] = {}
        self._asked = self._pid_and_epoch

    def own(self, tp: TopicPartition, writer: Writer) -> None:
        """Gives the batches of `tp` another id, under which they are counted anew."""
        self._owned[tp] = PidAndEpoch(*writer)
        self._sequence_numbers[tp] = 0

    def sequence_number(self, tp: TopicPartition) -> int:
        """Returns the number of the next record of `tp`; id and epoch are those of `tp` until the next call."""
        self._asked = self._owned.get(tp, self._pid_and_epoch)
        return int(super().sequence_number(tp))

    @property
    def producer_id(self) -> int:
        """Returns the id for the partition asked for last."""
        return int(self._asked.pid)

    @property
    def producer_epoch(self) -> int:
        """Returns the epoch for the partition asked for last."""
        return int(self._asked.epoch)


def _fill(batch: BatchBuilder, records: Sequence[OutputRecord], start: int, now: int) -> int:
    """Packs records from number `start` on until the batch is full; returns how many went in, at least one.

    aiokafka's `BatchBuilder.append` does the same for one record, at twice the cost (0.3 µs).
    """
    append = batch._builder.append  # noqa: SLF001
    count = 0
    for key, value, headers in islice(records, start, None):
        # A full batch answers None; an empty one takes any record.
        if append(count, now, key, value, list(headers)) is None:
            break
        count += 1
    batch._relative_offset = count  # noqa: SLF001
    batch.close()
    return count
