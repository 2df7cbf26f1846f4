"""The fence around a worker's partitions: who takes one over shuts out whoever had it (docs/decisions/0016).

A worker that stands still for longer than its session, and then goes on, does not know that others have its
partitions: what it still writes would lie behind the records of its successor. Each partition has a transactional id.
Who takes the partition over claims the id, and from then on the logs of all topics that only the owner writes refuse
the former owner.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from forestay.settings import KafkaSettings, TopicSettings
from forestay.shell.kafka_clients import connection_options
from forestay.shell.producer_ids import FenceError, ProducerIds, Writer
from forestay.shell.publisher import KafkaPublisher

logger = logging.getLogger(__name__)

#: Between the group's name and a partition's number.
ID_SUFFIX: Final = "-partition-"


class Fence(Protocol):
    """Shuts former owners out."""

    async def take(self, partitions: Iterable[int]) -> None:
        """Returns when nobody but us can write what belongs to the partitions, and all others wrote can be read.

        Raises:
            FenceError: Kafka does not do it in time.
            FencedError: another worker takes one of them over right now.
            AccessError: Kafka does not allow it.
        """

    async def renew(self, partitions: Iterable[int]) -> None:
        """Keeps ours up, which Kafka forgets after days (`ProducerIds.renew`); raises as `take` does."""


class OpenFence:
    """No fence: for a broker without transactions. The session is all that keeps a stalled worker away."""

    async def take(self, partitions: Iterable[int]) -> None:
        """Says that there is none."""
        logger.info("partitions %s are not fenced against a stalled owner", sorted(partitions))

    async def renew(self, partitions: Iterable[int]) -> None:
        """Does nothing."""


class KafkaFence:
    """A fence of producer ids: one for each partition, in the logs of all topics that only its owner writes."""

    def __init__(
        self, kafka: KafkaSettings, topics: TopicSettings, ids: ProducerIds, publisher: KafkaPublisher
    ) -> None:
        """`publisher` writes what belongs to the partitions, with ids of `ids`."""
        self._kafka = kafka
        self._prefix = transactional_ids(kafka)
        # Not the identity topic: many owners write to one of its partitions, and what one of them repeats, late or
        # not, is recognised (docs/identity.md). Nor the clock's: who wakes up tells it nothing new (shell/clock.py).
        self._topics = [topic for topic in topics.names if topic not in topics.sources]
        self._ids = ids
        self._publisher = publisher
        self._writers: dict[int, Writer] = {}

    async def take(self, partitions: Iterable[int]) -> None:
        """See `Fence.take`."""
        numbers = sorted(partitions)
        await self._await_logs(numbers)
        writers = await asyncio.gather(
            *(self._ids.claim(f"{self._prefix}{number}", self._logs(number)) for number in numbers)
        )
        for number, writer in zip(numbers, writers, strict=True):
            self._writers[number] = writer
            self._publisher.write_as(writer, self._logs(number))

    async def renew(self, partitions: Iterable[int]) -> None:
        """See `Fence.renew`."""
        await asyncio.gather(
            *(
                self._ids.renew(f"{self._prefix}{number}", self._writers[number], self._logs(number))
                for number in partitions
            )
        )

    async def _await_logs(self, numbers: Iterable[int]) -> None:
        """Returns when the brokers have all logs: of topics just made some may not be there yet.

        A broker that is to mark the ends of several transactions, and lacks one log, never answers (Kafka 4.1): their
        coordinator tries again after its `request.timeout.ms`, 30 s.
        """
        try:
            async with AIOKafkaConsumer(**connection_options(self._kafka), client_id="forestay-fence") as consumer:
                # Else it learns of them one by one, each time after a pause.
                await consumer._client.set_topics(self._topics)  # noqa: SLF001
                await consumer.end_offsets([tp for number in numbers for tp in self._logs(number)])
        except KafkaError as error:
            raise FenceError(f"the ends of {', '.join(self._topics)} cannot be had: {error}") from error

    def _logs(self, number: int) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for topic in self._topics]


def transactional_ids(kafka: KafkaSettings) -> str:
    """Returns what the transactional ids of this group's partitions begin with."""
    return kafka.group_id + ID_SUFFIX
