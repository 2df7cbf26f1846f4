"""Reads partitions from given offsets, in no consumer group."""

from collections.abc import Collection, Iterable, Mapping
from types import TracebackType
from typing import Final, Self

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError, OffsetOutOfRangeError

from forestay.core.errors import ForestayError
from forestay.core.record import Record
from forestay.recorder.merging import Place
from forestay.recording import RecordedMessage
from forestay.settings import KafkaSettings
from forestay.shell.kafka_clients import connection_options
from forestay.shell.record_batches import RecordConsumer

#: How long a fetch waits at the end of a partition (milliseconds), and so does `poll`.
_WAIT: Final = 100
#: What is fetched ahead of all partitions together, and of one, at least and at most (bytes).
_AHEAD: Final = 64 * 2**20
_LEAST: Final = 64 * 2**10
_MOST: Final = 2**20


class OffsetsGoneError(ForestayError):
    """A partition no longer has, or never had, the offset that is to be read next."""

    def __init__(self, places: list[Place]) -> None:
        """Names the partitions."""
        super().__init__(f"offsets out of range: {places}")
        self.places = places


class Source:
    """A consumer with partitions assigned; positions are the caller's."""

    def __init__(self, kafka: KafkaSettings, partitions: int) -> None:
        """`partitions` is about how many there will be."""
        self._consumer = RecordConsumer(
            **connection_options(kafka),
            client_id="forestay-record",
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_max_wait_ms=_WAIT,
            max_partition_fetch_bytes=min(max(_AHEAD // max(partitions, 1), _LEAST), _MOST),
        )
        self._servers = kafka.bootstrap_servers

    async def __aenter__(self) -> Self:
        """Connects.

        Raises:
            ForestayError: no broker answers.
        """
        try:
            await self._consumer.start()
        except KafkaConnectionError as error:
            raise ForestayError(f"no Kafka broker answers at {self._servers}: {error}") from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    def assign(self, positions: Mapping[Place, int]) -> None:
        """Reads these partitions from here on, each from its position."""
        self._consumer.assign([TopicPartition(*place) for place in positions])
        for place, offset in positions.items():
            self._consumer.seek(TopicPartition(*place), offset)

    def drop(self, place: Place) -> None:
        """Fetches nothing more of a partition."""
        self._consumer.pause(TopicPartition(*place))

    async def first(self, places: Iterable[Place]) -> dict[Place, int]:
        """Returns the offset of the oldest record each partition has, or will have.

        Raises:
            ForestayError: the broker does not tell.
        """
        asked = [TopicPartition(*place) for place in places]
        try:
            found: dict[TopicPartition, int] = await self._consumer.beginning_offsets(asked) if asked else {}
        except KafkaError as error:
            raise ForestayError(f"the broker does not tell where the topics begin: {error!r}") from error
        return {(tp.topic, tp.partition): offset for tp, offset in found.items()}

    async def at_time(self, places: Iterable[Place], timestamp: int) -> dict[Place, int | None]:
        """Returns the first offset of each partition at or after a time (epoch milliseconds); None: there is none.

        The embedded broker names the beginning.

        Raises:
            ForestayError: the broker does not tell.
        """
        asked = {TopicPartition(*place): timestamp for place in places}
        try:
            found = await self._consumer.offsets_for_times(asked)
        except KafkaError as error:
            raise ForestayError(f"the broker does not tell which offsets have this time: {error!r}") from error
        return {(tp.topic, tp.partition): None if at is None else at.offset for tp, at in found.items()}

    async def poll(self, places: Collection[Place]) -> dict[Place, list[RecordedMessage]]:
        """Returns the next records of some of `places`, perhaps after a short wait; committed ones only.

        Raises:
            OffsetsGoneError: a partition does not have the offset to be read next.
            ForestayError: the broker refuses, or sends what is damaged.
        """
        try:
            fetched = await self._consumer.getmany(*(TopicPartition(*place) for place in places), timeout_ms=_WAIT)
        except OffsetOutOfRangeError as error:
            raise OffsetsGoneError([(tp.topic, tp.partition) for tp in error.args[0]]) from error
        except KafkaError as error:
            raise ForestayError(f"the topics cannot be read: {error!r}") from error
        return {(tp.topic, tp.partition): _messages(tp, records) for tp, records in fetched.items()}

    async def position(self, place: Place) -> int:
        """Returns the offset to be read next: behind the records handed over, and what was passed with them."""
        position: int = await self._consumer.position(TopicPartition(*place))
        return position

    def end(self, place: Place) -> int | None:
        """Returns a partition's end, or where open transactions begin, as of the last fetch; None: not known yet."""
        stable: int | None = self._consumer.last_stable_offset(TopicPartition(*place))
        return self.last(place) if stable is None or stable < 0 else stable

    def last(self, place: Place) -> int | None:
        """Returns the end of a partition, open transactions included; None: not known yet."""
        end: int | None = self._consumer.highwater(TopicPartition(*place))
        return end


def _messages(tp: TopicPartition, records: Iterable[Record]) -> list[RecordedMessage]:
    topic, partition = tp
    return [
        RecordedMessage(
            topic,
            partition,
            record.offset,
            -1 if record.timestamp is None else record.timestamp,
            record.key,
            record.value,
            tuple(record.headers),
        )
        for record in records
    ]
