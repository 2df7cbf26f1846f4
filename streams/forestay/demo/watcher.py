"""Reads the output topics in a thread of its own, as any consumer would: nothing from inside the worker."""

import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from forestay.core.errors import ForestayError
from forestay.demo.harvest import Harvest, Raw
from forestay.settings import KafkaSettings
from forestay.shell.kafka_clients import connection_options

#: How long one poll waits for records (milliseconds), and so how soon the thread sees that it is to stop.
_POLL_MS: Final = 100
_MAX_RECORDS: Final = 5_000
#: How long reading the steady part again may take (seconds); it takes one or two.
_TIMES_WITHIN: Final = 60.0


class Watcher:
    """A context in which the output topics are read into `harvest` from their beginning."""

    def __init__(self, kafka: KafkaSettings, harvest: Harvest, partitions: int) -> None:
        """`partitions`: how many each topic has."""
        self._harvest = harvest
        self._options = connection_options(kafka)
        self._fetch_wait_ms = round(kafka.fetch_wait_seconds * 1000)
        self._assigned = [TopicPartition(topic, n) for topic in harvest.topics for n in range(partitions)]
        self._positions = dict.fromkeys(self._assigned, 0)
        self._stop = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="demo-watcher", daemon=True)

    def __enter__(self) -> Self:
        """Starts reading."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops reading."""
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        """Says so if reading has failed.

        Raises:
            ForestayError: the thread is dead; the cause is its reason.
        """
        if self._failure is not None:
            raise ForestayError(f"the output topics can no longer be read: {self._failure}") from self._failure

    def read_to(self, ends: Mapping[str, Mapping[int, int]], deadline: float) -> None:
        """Waits until everything before `ends` (offsets by topic and partition) was read.

        Raises:
            ForestayError: it was not after `deadline` seconds, or reading failed.
        """
        wanted = {TopicPartition(topic, n): end for topic, of in ends.items() for n, end in of.items()}
        give_up = time.monotonic() + deadline
        while behind := [str(tp) for tp, end in wanted.items() if self._positions.get(tp, 0) < end]:
            self.check()
            if time.monotonic() > give_up:
                raise ForestayError(f"the output topics were not read to their end in {deadline:g} s: {behind}")
            time.sleep(_POLL_MS / 1000)

    def _run(self) -> None:
        try:
            self._read()
        except (KafkaError, OSError, ValueError) as error:
            if not self._stop.is_set():
                self._failure = error

    def _read(self) -> None:
        consumer = KafkaConsumer(
            **self._options,
            client_id="forestay-demo-watcher",
            group_id=None,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=self._fetch_wait_ms,
            max_poll_records=_MAX_RECORDS,
        )
        try:
            consumer.assign(self._assigned)
            while not self._stop.is_set():
                for partition, records in consumer.poll(timeout_ms=_POLL_MS).items():
                    self._take(partition, records)
        finally:
            consumer.close()

    def _take(self, partition: TopicPartition, records: list[Any]) -> None:
        arrived = round(time.time() * 1000)
        for record in records:
            self._harvest.take(
                Raw(
                    record.topic,
                    record.partition,
                    record.offset,
                    record.timestamp,
                    arrived,
                    record.key,
                    record.value,
                    record.headers,
                )
            )
        self._positions[partition] = records[-1].offset + 1


def read_times(
    kafka: KafkaSettings, topic: str, first: Mapping[int, int], ends: Mapping[int, int]
) -> dict[tuple[int, int], int]:
    """Returns the Kafka times (epoch ms) of a topic's records from `first` to `ends`, by partition and offset.

    Raises:
        ForestayError: the broker did not hand them over in time.
    """
    consumer = KafkaConsumer(**connection_options(kafka), group_id=None, max_poll_records=_MAX_RECORDS)
    times: dict[tuple[int, int], int] = {}
    wanted = sum(end - first[partition] for partition, end in ends.items())
    give_up = time.monotonic() + _TIMES_WITHIN
    try:
        consumer.assign([TopicPartition(topic, partition) for partition in first])
        for partition, offset in first.items():
            consumer.seek(TopicPartition(topic, partition), offset)
        while len(times) < wanted:
            if time.monotonic() > give_up:
                raise ForestayError(f"{topic} could not be read again: {len(times)} of {wanted} records")
            for records in consumer.poll(timeout_ms=_POLL_MS).values():
                times.update(
                    ((record.partition, record.offset), record.timestamp)
                    for record in records
                    if record.offset < ends[record.partition]
                )
    finally:
        consumer.close()
    return times
