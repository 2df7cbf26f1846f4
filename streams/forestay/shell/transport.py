"""Faust's Kafka transport with chunks for messages (design D2).

Stock Faust spends 64 to 80 µs on a message, nearly all of it machinery between its fetcher and an agent.
Here the fetcher hands over what one fetch brought for one partition, whole. Group membership, the consumer's
own thread and loop, rebalance callbacks and the worker's life stay Faust's.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, cast

import aiokafka
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service
from mode.types import ServiceT

from forestay.settings import KafkaSettings
from forestay.shell.kafka_clients import connection_options

#: Most bytes of one partition a fetch brings: about 4,000 click events.
_FETCH_BYTES = 1_048_576


class Chunk(NamedTuple):
    """What one fetch brought for one partition, in offset order.

    `epoch` is the number of seeks the consumer had done when the fetch began: a chunk of the newest epoch
    holds what truly follows the position sought.
    """

    topic: str
    partition: int
    epoch: int
    records: list[Any]


class ChunkApp(Protocol):
    """What the consumer asks of the app it serves."""

    kafka: KafkaSettings

    def start_positions(self, assigned: set[TP]) -> Mapping[TP, int]:
        """Returns where reading begins, a position a partition assigned."""

    async def deliver(self, chunk: Chunk) -> None:
        """Takes a chunk; returns when there is room for the next."""


class ChunkConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that talks to Kafka, with an aiokafka consumer made from our own settings."""

    def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
        del transport
        kafka = cast(ChunkApp, self.app).kafka
        # Range gives one member the same partition numbers of every topic, as long as the counts are equal:
        # a user's events and the clock of their partition meet on one worker.
        self._assignor = RangePartitionAssignor
        return aiokafka.AIOKafkaConsumer(
            **connection_options(kafka),
            group_id=kafka.group_id,
            group_instance_id=kafka.group_instance_id,
            client_id="forestay-worker",
            partition_assignment_strategy=[RangePartitionAssignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=round(kafka.fetch_wait_seconds * 1000),
            max_partition_fetch_bytes=_FETCH_BYTES,
            session_timeout_ms=round(kafka.session_timeout_seconds * 1000),
            heartbeat_interval_ms=round(kafka.session_timeout_seconds * 1000 / 5),
            rebalance_timeout_ms=round(kafka.rebalance_timeout_seconds * 1000),
            max_poll_interval_ms=300_000,
        )


class ChunkConsumer(driver.Consumer):
    """A consumer that delivers chunks to the app and reads from where the app says."""

    epoch = 0

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return ChunkConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """Seeks every assigned partition to where its durable state ends, not to a committed offset."""
        app = cast(ChunkApp, self.app)
        await self.seek_to(app.start_positions(self.assignment()))

    async def seek_to(self, positions: Mapping[TP, int]) -> int:
        """Seeks; returns the epoch of the chunks fetched from now on."""
        await self.seek_wait(positions)
        self.epoch += 1
        return self.epoch

    async def commit_positions(self, positions: Mapping[TP, int]) -> None:
        """Commits offsets to the group, where lag is read from; recovery does not depend on them."""
        await self._commit(positions)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Leaves out Faust's check, which knows nothing of chunks and would raise false alarms."""

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        """Feeds the app until the fetcher or the consumer stops.

        Records fetched before a rebalance may arrive after it. They are delivered all the same: the
        receiver knows which offset it expects and refuses any other.
        """
        app = cast(ChunkApp, self.app)
        service = cast(Service, fetcher)
        try:
            while not (self.should_stop or service.should_stop):
                epoch = self.epoch
                records, _ = await self._wait_next_records(timeout=1.0)
                if not self.flow_active:
                    continue
                for tp, batch in (records or {}).items():
                    await app.deliver(Chunk(tp.topic, tp.partition, epoch, batch))
                await asyncio.sleep(0)
        except self.consumer_stopped_errors:
            if not self.transport.app.should_stop:
                raise


class ChunkTransport(driver.Transport):
    """The transport an app uses to get `ChunkConsumer`."""

    Consumer = ChunkConsumer
