"""Faust's Kafka transport with chunks for messages (design D2).

Stock Faust spends 64 to 80 µs on a message, nearly all of it machinery between its fetcher and an agent.
Here the fetcher hands over what one fetch brought for one partition, whole. Group membership, the consumer's
own thread and loop, rebalance callbacks and the worker's life stay Faust's.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

import aiokafka
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import GroupAuthorizationFailedError, IllegalStateError, TopicAuthorizationFailedError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service
from mode.types import ServiceT

from forestay.access import AccessError
from forestay.core.record import Record
from forestay.settings import KafkaSettings
from forestay.shell.kafka_clients import connection_options
from forestay.shell.record_batches import RecordConsumer

#: Most bytes of one partition a fetch brings: about 4,000 click events.
_FETCH_BYTES = 1_048_576
#: By its answer a worker learns of a rebalance: while it does not know, those who have let go stand still.
_HEARTBEAT_SECONDS = 1.0


class Chunk(NamedTuple):
    """Records of one partition in offset order: what one fetch brought, or a part of it. Never empty.

    Topic and partition are told here, not by each record.
    `epoch` is the number of seeks asked for and done before the fetch began: a chunk of the epoch a seek led
    to, or of a later one, holds what truly follows the position sought.
    """

    topic: str
    partition: int
    epoch: int
    records: Sequence[Record]


class Reading(NamedTuple):
    """How far a partition is read: offsets of the next record; `end` as the last fetch told it, None before.

    `answered` is when the broker last answered a fetch (milliseconds of the wall clock), None before.
    """

    position: int
    delivered: int
    end: int | None
    answered: int | None


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
        return RecordConsumer(
            **connection_options(kafka),
            group_id=kafka.group_id,
            group_instance_id=kafka.group_instance_id,
            client_id="forestay-worker",
            partition_assignment_strategy=[RangePartitionAssignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=round(kafka.fetch_wait_seconds * 1000),
            max_partition_fetch_bytes=_FETCH_BYTES,
            session_timeout_ms=round(kafka.session_timeout_seconds * 1000),
            heartbeat_interval_ms=round(min(kafka.session_timeout_seconds / 5, _HEARTBEAT_SECONDS) * 1000),
            rebalance_timeout_ms=round(kafka.rebalance_timeout_seconds * 1000),
            max_poll_interval_ms=300_000,
        )

    @property
    def member_id(self) -> str:
        """Returns the group's name for us, empty once the group no longer knows us."""
        return cast(str, self._ensure_consumer()._coordinator.member_id)  # noqa: SLF001

    def fetch_state(self, tp: TP) -> Any:
        """Returns aiokafka's state of a partition's fetches, None if it is not assigned."""
        subscription = self._ensure_consumer()._subscription.subscription  # noqa: SLF001
        assignment = subscription and subscription.assignment
        return assignment and assignment.state_value(tp)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commits what is still ours; aiokafka takes it for a mistake of ours if that is nothing."""
        if not offsets.keys() & self.assignment():
            return False
        return await super()._commit(offsets)


class ChunkConsumer(driver.Consumer):
    """A consumer that delivers chunks to the app and reads from where the app says."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Starts without seeks."""
        super().__init__(*args, **kwargs)
        self._epoch = 0
        self._wanted: dict[TP, int] = {}
        self._delivered: dict[TP, int] = {}
        #: Whether a chunk waits until the app has room for it.
        self.full = False

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return ChunkConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """Seeks every assigned partition to where its durable state ends, not to a committed offset."""
        self._delivered.clear()
        await self.seek_wait(cast(ChunkApp, self.app).start_positions(self.assignment()))

    def seek_before_next_fetch(self, positions: Mapping[TP, int]) -> int:
        """Asks for a seek between this fetch and the next; returns the epoch of the chunks fetched after it."""
        self._wanted.update(positions)
        return self._epoch + 1

    async def commit_positions(self, positions: Mapping[TP, int]) -> bool:
        """Commits offsets to the group, where lag is read from; recovery does not depend on them.

        Returns whether it took them all: in a rebalance it takes none, or those of partitions we keep.
        """
        return bool(await self._commit(positions)) and positions.keys() <= self.assignment()

    def log_end(self, tp: TP) -> int | None:
        """Returns where a partition ended at the last fetch, None if that is not known."""
        return self.highwater(tp) if tp in self.assignment() else None

    async def caught_up(self, tp: TP, position: int) -> bool:
        """Says whether everything on `tp` was read and handed over, and the receiver has come to `position`.

        The end may hold no record (marks of transactions, an expired tail): the fetch's own position counts.
        """
        if tp not in self.assignment() or position < self._delivered.get(tp, 0):
            return False
        end = self.highwater(tp)
        # No end is known before the first fetch has been answered.
        return end is not None and (await self.position(tp) or 0) >= end

    @property
    def member_id(self) -> str:
        """Returns the group's name for us, empty once the group no longer knows us."""
        return cast(ChunkConsumerThread, self._thread).member_id

    def reading(self, tp: TP) -> Reading | None:
        """Returns how far `tp` is read as far as it is known here, None if it is not ours; asks nobody.

        Of an open transaction nothing may be read: the end is before it.
        """
        state = cast(ChunkConsumerThread, self._thread).fetch_state(tp)
        # Another thread's: what is looked at is read once.
        if state is None or (position := state._position) is None:  # noqa: SLF001
            return None
        end, stable = state.highwater, state.lso
        if end is not None and stable is not None and stable >= 0:
            end = min(end, stable)
        return Reading(position, self._delivered.get(tp, 0), end, state.timestamp)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Leaves out Faust's check, which knows nothing of chunks and would raise false alarms."""

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        """Feeds the app until the fetcher or the consumer stops.

        Records fetched before a rebalance may arrive after it. They are delivered all the same: the
        receiver knows which offset it expects and refuses any other. What a rebalance leaves undelivered is
        fetched again, since it seeks every partition.
        """
        app = cast(ChunkApp, self.app)
        service = cast(Service, fetcher)
        try:
            while not (self.should_stop or service.should_stop):
                await self._seek_as_wanted()
                epoch = self._epoch
                records, _ = await self._wait_next_records(timeout=1.0)
                for tp, batch in (records or {}).items():
                    self._delivered[TP(tp.topic, tp.partition)] = batch[-1].offset + 1
                    self.full = True
                    await app.deliver(Chunk(tp.topic, tp.partition, epoch, batch))
                    self.full = False
                await asyncio.sleep(0)
        except (TopicAuthorizationFailedError, GroupAuthorizationFailedError) as error:
            raise AccessError(
                f"Kafka no longer allows what the worker must do ({error}): `forestay doctor` says what is missing"
            ) from error
        except self.consumer_stopped_errors:
            if not self.transport.app.should_stop:
                raise
        except asyncio.CancelledError:
            # Faust takes a fetcher cancelled in a rebalance for one to be started again, and crashes over it.
            if not service.should_stop:
                raise
        finally:
            self.full = False

    async def _seek_as_wanted(self) -> None:
        """Seeks while no fetch is under way: a chunk is fetched wholly before a seek or wholly after it."""
        wanted, self._wanted = self._wanted, {}
        ours = {tp: position for tp, position in wanted.items() if tp in self.assignment()}
        if ours:
            try:
                await self.seek_wait(ours)
            except IllegalStateError:
                return  # one has left since: a rebalance is on, and seeks whatever is assigned after it
            self._epoch += 1


class ChunkTransport(driver.Transport):
    """The transport an app uses to get `ChunkConsumer`."""

    Consumer = ChunkConsumer
