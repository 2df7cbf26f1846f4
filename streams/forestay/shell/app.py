"""The Faust app of a worker: membership and the agent from Faust, everything between in our own hands."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import AsyncIterable, Collection, Mapping
from typing import Any, cast

import faust
from faust.app.base import BootStrategy
from faust.types import TP, EventT
from faust.types.transports import TransportT
from kafka.errors import KafkaError
from mode import CrashingSupervisor

from forestay.configuration import Configuration
from forestay.core.errors import ForestayError
from forestay.settings import CatalogueSource, ClockSource, Settings, ValueFormat
from forestay.shell.catalogues import Following
from forestay.shell.clock import ClockTeller
from forestay.shell.engine import Engine, HandoverError
from forestay.shell.fence import KafkaFence, OpenFence
from forestay.shell.health import Health, Phase
from forestay.shell.members import ReplacedError, check_not_replaced
from forestay.shell.observing.exposition import Exposition
from forestay.shell.observing.observer import Observer
from forestay.shell.observing.stream_watch import StreamWatch
from forestay.shell.pipeline import Outside
from forestay.shell.placement import Placement
from forestay.shell.producer_ids import FencedError, ProducerIds
from forestay.shell.publisher import KafkaPublisher, PublishError
from forestay.shell.registry.schemas import Schemas
from forestay.shell.scorer import TritonScorer
from forestay.shell.scoring.report import thresholds
from forestay.shell.sighting import Watch
from forestay.shell.timings import Timings
from forestay.shell.transport import Chunk, ChunkConsumer, ChunkTransport
from forestay.shell.web import Answer, Page, WebPort

logger = logging.getLogger(__name__)

#: Chunks between the consumer and the agent, over all partitions.
_CHUNKS = 8
#: Seconds between two reminders of our producer ids: a broker forgets one it has not heard of for a day.
_RENEWAL_SECONDS = 3_600.0


class _Boot(BootStrategy):
    """What Faust starts: no producer (ours is awaited), no web server (its pages show tables and routes to all)."""

    enable_kafka_producer = False
    enable_web = False


class RetentionApp(faust.App):
    """A Faust app that consumes chunks, and starts to read where durable state ends."""

    BootStrategy = _Boot

    def __init__(self, settings: Settings, configuration: Configuration, partitions: int) -> None:
        """Composes the worker; nothing connects before it starts. `partitions` is how many each topic has."""
        kafka = settings.kafka
        super().__init__(
            kafka.group_id,
            broker=[f"kafka://{server}" for server in kafka.bootstrap_servers.split(",")],
            store="memory://",
            topic_allow_declare=False,
            topic_disable_leader=True,
            table_standby_replicas=0,
            stream_wait_empty=False,
            stream_buffer_maxsize=_CHUNKS,
            broker_session_timeout=kafka.session_timeout_seconds,
            broker_request_timeout=max(kafka.request_timeout_seconds, kafka.session_timeout_seconds),
            worker_redirect_stdouts=False,
        )
        self.kafka = kafka
        self.settings = settings
        self.timings = Timings()
        self.failure: BaseException | None = None
        self._publisher = KafkaPublisher(kafka, settings.worker.barrier_deadline_seconds)
        json = settings.format.clickstream is ValueFormat.JSON
        self._schemas = None if json else Schemas(settings.format, settings.topics)
        placement = Placement(settings.topics.partitioner, partitions)
        observer = self._observer()
        from_topic = settings.worker.catalogue_source is CatalogueSource.TOPIC
        self._following = Following(kafka, settings.topics.catalogue, configuration) if from_topic else None
        following = self._following
        self._scorer = TritonScorer(
            settings.triton,
            thresholds(configuration.catalogue),
            # Asked anew for each request: a catalogue that follows may read the embedding.
            embedding=lambda: (following or configuration.catalogue).reads_embedding,
        )
        outside = Outside(
            self._scorer,
            self._publisher,
            self,
            settings.topics,
            settings.worker,
            self.timings,
            placement,
            configuration.digest,
            self._schemas,
            observer,
            self._following,
        )
        self._ids = ProducerIds(kafka)
        fence = KafkaFence(kafka, settings.topics, self._ids, self._publisher) if kafka.fenced else OpenFence()
        self.engine = Engine(settings, configuration, outside, self._fail, fence)
        self.health = Health(settings, self.engine.progress, time.monotonic)
        self._watch = Watch(self.health, self.engine, lambda: self._chunk_consumer, settings.topics.sources)
        exposition = Exposition(self.timings, observer, self._watch, self._following)
        pages: dict[str, Page] = {
            "/live": self._watch.live,
            "/ready": self._watch.ready,
            "/model": self._model_page,
            "/metrics": exposition.page,
        }
        if observer.watch is not None:
            pages["/drift"] = observer.watch.page
        self.web_port = WebPort(settings.web, pages)
        self._member_id = ""
        self._chunks = self.channel(maxsize=_CHUNKS)
        self.agent(self._chunks, name="retention", supervisor_strategy=CrashingSupervisor)(self._retention)
        for name in settings.topics.sources:
            self.topics.add(self.topic(name, acks=False))
        self.on_rebalance_complete.connect(self._take_over)
        self.on_partitions_revoked.connect(self._hand_over)

    def _observer(self) -> Observer:
        if not (self.settings.watch.enabled and self.settings.engine.score_on):
            return Observer()
        return Observer(StreamWatch(self.settings.watch, self._declared_reference, self._owned))

    def _declared_reference(self) -> str | None:
        served = self._scorer.served
        return None if served is None else served.current.reference

    def _owned(self) -> Collection[int]:
        return self.engine.pipelines.keys()

    # -- life ----------------------------------------------------------------------------------------

    async def on_start(self) -> None:
        """Opens the web port, connects to Triton and opens the producer."""
        await super().on_start()
        await self.add_async_context(self.web_port)
        if self.settings.engine.score_on:
            await self.add_async_context(self._scorer)
        await self.add_async_context(self._publisher)
        if self.kafka.fenced:
            await self.add_async_context(self._ids)
        if self._schemas is not None:
            await self.add_async_context(self._schemas)
        if self._following is not None:
            await self.add_async_context(self._following)
        self.health.enter(Phase.JOINING)
        self.add_future(self._watch.run())

    async def on_started(self) -> None:
        """Begins to keep the fence up and to tell quiet partitions the time."""
        await super().on_started()
        self.add_future(self.engine.keep_fence(_RENEWAL_SECONDS))
        worker = self.settings.worker
        if self._following is not None:
            self.add_future(self._following.follow(worker.catalogue_poll_seconds))
        if worker.clock is ClockSource.WALL:
            teller = ClockTeller(
                self.engine,
                self._publisher,
                self._chunk_consumer,
                self.settings.topics,
                worker.clock_interval_seconds,
            )
            self.add_future(teller.run())

    async def on_stop(self) -> None:
        """Ends with a barrier: the batch in work becomes durable, the rest is left unread."""
        self.health.enter(Phase.STOPPING)
        _leave_within(self.settings.worker.shutdown_deadline_seconds)
        try:
            await self.engine.hand_over(self.settings.worker.handover_seconds)
        except HandoverError as error:
            self._fail(error)
        logger.info("stopped after %s", self.timings)
        await super().on_stop()

    def _fail(self, error: BaseException) -> None:
        """Stops the worker: what is not durable stays unacknowledged and is made again after a restart.

        After a failed barrier it leaves at once: the producer must not send what it still holds, since by
        then a successor may have read the logs (and does not take it, where partitions are fenced).
        """
        self.failure = error
        self.health.enter(Phase.STOPPING)
        logger.error("stopping: %s", error, exc_info=None if isinstance(error, ForestayError) else error)
        if isinstance(error, PublishError | HandoverError | FencedError | ReplacedError):
            _leave()
        self.loop.create_task(self.crash(error))

    def _model_page(self) -> Answer:
        """Says which versions of the model this worker asks, and how far a shadow is from who answers."""
        return Answer(yes=True, content=self._scorer.told())

    # -- membership ----------------------------------------------------------------------------------

    async def _take_over(self, *args: Any, **kwargs: Any) -> None:
        """Restores the assigned partitions before Faust lets their records flow."""
        del args, kwargs
        numbers = {tp.partition for tp in self.consumer.assignment()}
        self._member_id = self._chunk_consumer.member_id
        self.health.enter(Phase.RECOVERING if numbers else Phase.SPARE)
        await self.engine.take_over(numbers, self.consumer_generation_id)
        if self.engine.pipelines:
            self.health.enter(Phase.WORKING)

    async def _hand_over(self, *args: Any, **kwargs: Any) -> None:
        """Makes everything durable before the partitions go to another worker."""
        del args, kwargs
        self.health.enter(Phase.JOINING)
        if self.kafka.group_instance_id is not None and self._member_id and not self._chunk_consumer.member_id:
            await self._check_not_replaced()
        try:
            await self.engine.hand_over(self.kafka.rebalance_timeout_seconds / 2)
        except HandoverError as error:
            # Faust would stop the worker in its own time, and the producer send what it still holds.
            self._fail(error)

    async def _check_not_replaced(self) -> None:
        """Leaves at once, before it joins again, if another worker has its place in the group."""
        try:
            await asyncio.to_thread(check_not_replaced, self.kafka, self._member_id)
        except ReplacedError as error:
            self._fail(error)
        except KafkaError as error:
            logger.warning("whether this worker was replaced in its group cannot be told: %s", error)

    def start_positions(self, assigned: set[TP]) -> Mapping[TP, int]:
        """See `ChunkApp.start_positions`."""
        return self.engine.start_positions(assigned)

    # -- chunks --------------------------------------------------------------------------------------

    async def deliver(self, chunk: Chunk) -> None:
        """See `ChunkApp.deliver`.

        A rebalance empties Faust's queues, and whoever waits for room in one is told that it was cancelled. That
        chunk is dropped, as those in the queue are: reading begins again where durable state ends.
        """
        try:
            await self._chunks.put(cast(EventT[Chunk], chunk))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise

    async def _retention(self, chunks: AsyncIterable[Chunk]) -> None:
        """The agent: takes each chunk to its partition."""
        async for chunk in chunks:
            await self.engine.deliver(chunk)

    # -- source --------------------------------------------------------------------------------------

    @property
    def _chunk_consumer(self) -> ChunkConsumer:
        return cast(ChunkConsumer, self.consumer)

    def seek_before_next_fetch(self, positions: dict[TP, int]) -> int:
        """See `Source.seek_before_next_fetch`."""
        return self._chunk_consumer.seek_before_next_fetch(positions)

    async def commit_positions(self, positions: dict[TP, int]) -> bool:
        """See `Source.commit_positions`."""
        return await self._chunk_consumer.commit_positions(positions)

    def log_end(self, tp: TP) -> int | None:
        """See `Source.log_end`."""
        return self._chunk_consumer.log_end(tp)

    def _create_directories(self) -> None:
        """Makes none: Faust would put a folder for tables into the current one."""

    def _new_transport(self) -> TransportT:
        return ChunkTransport(self.conf.broker_consumer, self)


def _leave_within(deadline: float) -> None:
    """Ends the process after `deadline` seconds if it has not ended by itself.

    Faust bounds neither its own shutdown nor its threads'. What is durable by then is all that counts.
    """

    def leave() -> None:
        logger.critical("still running %g s after the order to stop: leaving", deadline)
        _leave()

    timer = threading.Timer(deadline, leave)
    timer.daemon = True
    timer.start()


def _leave() -> None:
    """Ends the process without a farewell, but for the log."""
    logging.shutdown()
    os._exit(1)
