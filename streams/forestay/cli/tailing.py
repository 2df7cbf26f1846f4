"""Reads a topic from its end or its beginning and shows each record."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition

from forestay.cli.console import console
from forestay.cli.lines import as_json_line, as_text
from forestay.core.errors import ConfigurationError
from forestay.settings import KafkaSettings
from forestay.shell.permissions import READ, Grant, check_allowed
from forestay.shell.topics import end_offsets, patient_options

_POLL_MS: Final = 250


class Tail:
    """One look at a topic, in no consumer group."""

    def __init__(
        self, kafka: KafkaSettings, topic: str, *, from_start: bool, follow: bool, limit: int | None
    ) -> None:
        """Without `follow` it stops at the end there is at the start; `limit` None: no limit."""
        self._kafka = kafka
        self._topic = topic
        self._from_start = from_start
        self._follow = follow
        self._limit = limit

    def show(self, what: str, *, as_json: bool) -> None:
        """Prints records until the limit or the end, or for ever.

        Raises:
            ConfigurationError: the topic does not exist.
            kafka.errors.KafkaError: no broker answers.
        """
        out = console()
        for number, record in enumerate(self.records(), start=1):
            if as_json:
                sys.stdout.write(as_json_line(what, record) + "\n")
                sys.stdout.flush()
            else:
                out.print(as_text(what, record), soft_wrap=True)
            if number == self._limit:
                return

    def records(self) -> Iterator[Any]:
        """Yields kafka-python's records, in the order the broker hands them over.

        Raises:
            ConfigurationError: the topic does not exist.
        """
        check_allowed(self._kafka, [Grant("topic", self._topic, READ)])
        consumer = KafkaConsumer(**patient_options(self._kafka), group_id=None, fetch_max_wait_ms=_POLL_MS)
        with contextlib.closing(consumer):
            numbers = consumer.partitions_for_topic(self._topic)
            if not numbers:
                raise ConfigurationError(f"there is no topic {self._topic}: make it with `forestay topics declare`")
            ends = end_offsets(self._kafka, {self._topic: len(numbers)})[self._topic]
            assigned = {TopicPartition(self._topic, number): end for number, end in ends.items()}
            consumer.assign(list(assigned))
            for partition, end in assigned.items():
                if self._from_start:
                    consumer.seek_to_beginning(partition)
                else:
                    consumer.seek(partition, end)
            while self._follow or any(consumer.position(partition) < end for partition, end in assigned.items()):
                for records in consumer.poll(timeout_ms=_POLL_MS).values():
                    yield from records
