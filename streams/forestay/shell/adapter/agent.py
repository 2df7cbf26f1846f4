"""The adapter agent: foreign events in, click events keyed by user out, at least once.

A plain consumer of a group, not a Faust app: it holds no state, so all a worker needs Faust for (recovery,
seeks to where durable state ends, partitions that meet) is not there, and the group's committed offset is the
whole truth. Outputs are durable before that offset is committed; what is mapped again after a crash has the
same event ids, and the engine counts each once.
"""

import asyncio
import logging
import logging.config
import signal
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import aiokafka
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from forestay.adapters.adapter import Adapter
from forestay.adapters.report import Tally
from forestay.core.errors import ConfigurationError, FloodError, ForestayError
from forestay.core.record import OutputRecord
from forestay.settings import Settings
from forestay.shell.adapter.batch import Adapted, Mapper
from forestay.shell.adapter.order import TimestampOrder
from forestay.shell.kafka_clients import connection_options
from forestay.shell.permissions import Part, check_allowed, needed
from forestay.shell.placement import Placement
from forestay.shell.publisher import KafkaPublisher, Publisher
from forestay.shell.stoppable import StoppableConsumer
from forestay.shell.topics import partition_counts
from forestay.shell.worker import logging_config

logger = logging.getLogger(__name__)

#: How often the counts go to the log, if they have changed (seconds).
_TELL_SECONDS: Final = 60.0


def run_adapter(settings: Settings, adapter: Adapter) -> None:
    """Maps the foreign topic until SIGTERM or SIGINT; what was fetched by then is finished and committed.

    Raises:
        ConfigurationError: a topic is missing, or none is named.
        ForestayError: outputs did not become durable, too many records fail, or Kafka refuses.
        kafka.errors.KafkaError: no broker answers.
    """
    counts = check_topics(settings)
    logging.config.dictConfig(logging_config(settings.worker.log_level.upper()))
    asyncio.run(_run_until_signal(AdapterAgent(settings, adapter, counts)))


def check_topics(settings: Settings) -> dict[str, int]:
    """Returns the number of partitions of the source, the clickstream and the dead letters.

    Raises:
        ConfigurationError: one is missing, or the source is not named, or Kafka does not let us read or write.
    """
    source, topics = settings.adapter.topic, settings.topics
    if source is None:
        raise ConfigurationError("no topic to read: --set adapter.topic=NAME says where foreign events are")
    if source in topics.names:
        raise ConfigurationError(f"adapter.topic is {source}, one of our own: foreign events need a topic of theirs")
    names = (source, topics.clickstream, topics.dead_letters)
    check_allowed(settings.kafka, needed(Part.ADAPTER, settings))
    counts = partition_counts(settings.kafka, names)
    missing = [name for name in names if name not in counts]
    if source in missing:
        raise ConfigurationError(f"the topic {source} (adapter.topic) is not there: whoever sends to it makes it")
    if missing:
        raise ConfigurationError(f"topics are missing: {', '.join(missing)}; run `forestay topics declare`")
    return counts


async def _run_until_signal(agent: "AdapterAgent") -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        await agent.run(stop)
    except KafkaError as error:
        raise ForestayError(f"Kafka says {type(error).__name__}: {error}. `forestay doctor` looks closer") from error


class AdapterAgent:
    """Reads the foreign topic as a member of a group, batch by batch."""

    def __init__(self, settings: Settings, adapter: Adapter, counts: dict[str, int]) -> None:
        """`counts`: partitions of the clickstream and the dead letters, as `check_topics` returns them."""
        self._settings = settings
        self._counts = counts
        self._topics = settings.topics
        placement = Placement(settings.topics.partitioner, counts[settings.topics.clickstream])
        self._mapper = Mapper(adapter, placement, settings.engine.dead_letter_limit)
        # Held from a fetch to its commit: a rebalance waits for it.
        self._busy = asyncio.Lock()
        self.mapped = self.dead_letters = 0
        self.skipped = Tally()

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set.

        Raises:
            PublishError: outputs did not become durable in time.
            FloodError: too many records fail; what was mapped before is durable and committed.
            aiokafka.errors.KafkaError: Kafka refuses.
        """
        consumer = self._consumer()
        order = TimestampOrder(
            consumer, self._settings.adapter.batch_records, self._settings.kafka.fetch_wait_seconds
        )
        handover = _Handover(self._busy, order, self._patience)
        consumer.subscribe([self._settings.adapter.topic], listener=handover)
        publisher = KafkaPublisher(self._settings.kafka, self._settings.worker.barrier_deadline_seconds)
        loop = asyncio.get_running_loop()
        tell_at, told = loop.time() + _TELL_SECONDS, ""
        try:
            await consumer.start()
            async with publisher:
                while not stop.is_set():
                    async with self._busy:
                        await self.step(consumer, order, publisher)
                    if loop.time() >= tell_at:
                        tell_at, told = loop.time() + _TELL_SECONDS, self._tell(told)
        finally:
            await consumer.stop()
            self._tell("")

    @property
    def _patience(self) -> float:
        """Returns how long a rebalance waits for the batch in work (seconds)."""
        return self._settings.kafka.rebalance_timeout_seconds / 2

    def _consumer(self) -> Any:
        kafka = self._settings.kafka
        return StoppableConsumer(
            **connection_options(kafka),
            group_id=kafka.group_id + self._settings.adapter.group_suffix,
            client_id="forestay-adapter",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=round(kafka.fetch_wait_seconds * 1000),
            session_timeout_ms=round(kafka.session_timeout_seconds * 1000),
            heartbeat_interval_ms=round(kafka.session_timeout_seconds * 1000 / 5),
            rebalance_timeout_ms=round(kafka.rebalance_timeout_seconds * 1000),
        )

    async def step(self, consumer: Any, order: TimestampOrder, publisher: Publisher) -> None:
        """Fetches, maps, writes, commits: in this order, and nothing else in between.

        Raises:
            FloodError: too many records fail; what came before is written and committed.
        """
        done: dict[Any, int] = {}
        batches: list[Adapted] = []
        letters: dict[int, list[OutputRecord]] = defaultdict(list)
        flood: FloodError | None = None
        for tp, records in await order.take():
            adapted = self._mapper.map(tp.topic, tp.partition, records)
            batches.append(adapted)
            done[tp] = adapted.position
            letters[tp.partition % self._counts[self._topics.dead_letters]] += adapted.dead_letters
            if (flood := adapted.flood) is not None:
                break
        await self._write(publisher, self._topics.dead_letters, letters)
        await self._write(publisher, self._topics.clickstream, _events(batches))
        self._count(batches)
        await self._commit(consumer, done)
        if flood is not None:
            raise flood

    async def _write(self, publisher: Publisher, topic: str, outputs: dict[int, list[OutputRecord]]) -> None:
        """Writes the outputs of each partition in the order in which they were read."""
        await asyncio.gather(
            *(publisher.publish(topic, number, outputs[number]) for number in sorted(outputs) if outputs[number])
        )

    def _count(self, batches: Sequence[Adapted]) -> None:
        for batch in batches:
            self.mapped += sum(len(events) for events in batch.events.values())
            self.dead_letters += len(batch.dead_letters)
            for reason in batch.skipped:
                self.skipped.add(reason)

    async def _commit(self, consumer: Any, positions: dict[Any, int]) -> None:
        if not positions:
            return
        try:
            await consumer.commit(positions)
        except (CommitFailedError, IllegalStateError) as error:
            # The partitions went to another member, which maps the same records to the same events.
            logger.warning("not committed, another member makes this batch again: %s", error)

    def _tell(self, told: str) -> str:
        """Logs the counts unless they are as they were `told`; returns them."""
        skipped = self.skipped.by_count()
        line = f"mapped={self.mapped} dead_letters={self.dead_letters} skipped={sum(skipped.values())} {skipped}"
        if line != told:
            logger.info("adapted so far: %s", line)
        return line


def _events(batches: Sequence[Adapted]) -> dict[int, list[OutputRecord]]:
    """Returns the events of all batches by the partition they belong to."""
    events: dict[int, list[OutputRecord]] = defaultdict(list)
    for batch in batches:
        for number, outputs in batch.events.items():
            events[number] += outputs
    return events


class _Handover(aiokafka.ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """Lets the batch in work be committed before its partitions go to another member."""

    def __init__(self, busy: asyncio.Lock, order: TimestampOrder, patience: float) -> None:
        self._busy = busy
        self._order = order
        self._patience = patience

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        del revoked
        try:
            async with asyncio.timeout(self._patience), self._busy:
                pass
        except TimeoutError:
            logger.warning(
                "the batch in work was not done within %g s; another member makes it again", self._patience
            )
        self._order.clear()

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        # Again: a batch that was not done in time may have fetched more since.
        self._order.clear()
        logger.info("adapter ready: partitions %s", sorted(tp.partition for tp in assigned))
