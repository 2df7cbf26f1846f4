"""The catalogue's topic: read to its end, followed by a worker, and written to."""

import asyncio
import logging
from types import TracebackType
from typing import Final, Self

from aiokafka import TopicPartition

from forestay.catalogues.history import Entry, History
from forestay.configuration import Configuration, check_memory
from forestay.core.decision.catalogue import Catalogue
from forestay.core.errors import ForestayError
from forestay.settings import KafkaSettings
from forestay.shell.log_reading import log_consumer, read_to_ends, told_as_recovery
from forestay.shell.record_batches import RecordConsumer

logger = logging.getLogger(__name__)

PARTITION: Final = 0


class CatalogueReader:
    """Reads the topic on, from where it stands to the end as it is then."""

    def __init__(self, kafka: KafkaSettings, topic: str, history: History) -> None:
        """`history` is given every record."""
        self.history = history
        self._kafka = kafka
        self._tp = TopicPartition(topic, PARTITION)
        self._next = 0
        self._consumer: RecordConsumer | None = None
        self._reading = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Connects."""
        with told_as_recovery():
            self._consumer = await log_consumer(self._kafka).__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnects."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def read_on(self) -> None:
        """Gives the history what has come since.

        Raises:
            ForestayError: the topic cannot be read now.
        """
        assert self._consumer is not None, "it is entered before it reads"  # noqa: S101
        async with self._reading:
            with told_as_recovery():
                patience = self._kafka.request_timeout_seconds
                async for _, records in read_to_ends(self._consumer, {self._tp: self._next}, patience):
                    for record in records:
                        self.history.take(record.offset, record.value)
                        self._next = record.offset + 1


class Following:
    """The configuration a worker runs with: `current` changes as the topic does, and pipelines ask for it."""

    def __init__(self, kafka: KafkaSettings, topic: str, configuration: Configuration) -> None:
        """`configuration` is that of the file, which holds until there is a revision that can be worked with."""
        self.current = configuration
        self.refused = 0
        #: Whether the last look at the topic failed.
        self.blind = False
        #: Whether a batch may still be under a catalogue that reads the embedding. One in work keeps its own, so it
        #: stays True once it was.
        self.reads_embedding = configuration.catalogue.reads_embedding
        self._topic = topic
        self._reader = CatalogueReader(kafka, topic, History(self._check))
        #: How many of the topic's records the log has been told of.
        self._told = 0

    @property
    def revision(self) -> int:
        """Returns the number of the newest revision, worked with or not; 0 before the first."""
        return self._reader.history.revision

    def catalogue(self, version: str) -> Catalogue | None:
        """Returns an earlier catalogue, None if the topic has none of that version that could be worked with."""
        return self._reader.history.catalogue(version)

    async def __aenter__(self) -> Self:
        """Reads the topic as it is.

        Raises:
            ForestayError: it cannot be read.
        """
        await self._reader.__aenter__()
        await self._reader.read_on()
        entries = self._reader.history.entries
        # What was refused and has been followed by one that works is history: nobody is to be woken for it again.
        working = [number for number, entry in enumerate(entries) if entry.refused is None]
        self._told = working[-1] if working else 0
        self._take()
        # Nothing has been decided yet.
        self.reads_embedding = self.current.catalogue.reads_embedding
        if self._reader.history.current is None:
            logger.warning("%s has no catalogue that can be worked with: that of the file holds", self._topic)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnects."""
        await self._reader.__aexit__(kind, error, trace)

    async def catch_up(self) -> None:
        """Takes what has come since: whoever had a partition before knew no more.

        Raises:
            ForestayError: the topic cannot be read now.
        """
        await self._reader.read_on()
        self._take()

    def _take(self) -> None:
        # From where it was told of, and not from where this look began: one that failed half way told of nothing.
        entries = self._reader.history.entries
        for entry in entries[self._told :]:
            self._tell(entry)
        self._told = len(entries)
        found = self._reader.history.current
        if found is not None and found is not self.current.catalogue:
            self.current = self.current.under(found)
            self.reads_embedding |= found.reads_embedding

    async def follow(self, interval: float) -> None:
        """Looks every `interval` seconds, for ever. While the topic cannot be read, what is there holds."""
        while True:
            await asyncio.sleep(interval)
            try:
                await self.catch_up()
            except ForestayError as error:
                if not self.blind:
                    logger.warning("%s cannot be followed, and the catalogue stays as it is: %s", self._topic, error)
                self.blind = True
            else:
                if self.blind:
                    logger.info("%s is followed again", self._topic)
                self.blind = False

    def _tell(self, entry: Entry) -> None:
        if entry.refused is not None:
            self.refused += 1
            logger.error("%s@%d is not worked with: %s", self._topic, entry.offset, entry.refused)
        elif entry.record is not None:
            said = entry.record
            logger.info(
                "catalogue %s is revision %d, by %s: %s", entry.version, said.revision, said.pushed_by, said.reason
            )

    def _check(self, catalogue: Catalogue) -> None:
        check_memory(catalogue, self.current.rules)
