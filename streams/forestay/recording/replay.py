"""Puts a recording on a topic, through kafka-python's producer."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from forestay.core.errors import ForestayError
from forestay.recording.messages import RecordedMessage
from forestay.recording.outstanding import Arrived, Outstanding
from forestay.recording.pace import Fastest, Pace
from forestay.recording.recording import Recording

#: As fast as possible: few, large requests. Measured on one core against Tansu: 55,000 records/s of 230 bytes.
_FAST: Final = {"linger_ms": 20, "batch_size": 262_144}
#: Paced: a record waits 5 ms at most. At 1,000 records/s the sender takes a quarter of a core, half without it.
_PACED: Final = {"linger_ms": 5}
_ALWAYS: Final = {
    "acks": "all",
    "enable_idempotence": True,
    "allow_auto_create_topics": False,
    "metrics_enabled": False,
    "bootstrap_timeout_ms": 10_000,
    "max_block_ms": 10_000,
    "request_timeout_ms": 10_000,
    "delivery_timeout_ms": 60_000,
}
#: Seconds between two calls of the progress callback, and the longest wait that does not look at `halt`.
_PULSE: Final = 0.25
_CLOSE_SECONDS: Final = 2.0


class Progress(NamedTuple):
    """How far a replay is: records handed to the producer, acknowledged, and to be sent; seconds since its start."""

    sent: int
    acknowledged: int
    total: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ReplaySummary:
    """What a replay did. `sent` equals `acknowledged` unless it failed; `halted`: it was told to stop early."""

    topic: str
    sent: int
    acknowledged: int
    seconds: float
    halted: bool
    partitions: dict[int, Arrived]


class ReplayError(ForestayError):
    """A record could not be put on the topic; `summary` says what was sent before (None: nothing was)."""

    def __init__(self, message: str, summary: ReplaySummary | None = None) -> None:
        """Keeps the summary beside the message."""
        super().__init__(message)
        self.summary = summary


def replay(
    recording: Recording,
    options: Mapping[str, Any],
    topic: str,
    *,
    pace: Pace | None = None,
    start: int = 0,
    stop: int | None = None,
    keep_timestamps: bool = False,
    progress: Callable[[Progress], None] | None = None,
    halt: threading.Event | None = None,
) -> ReplaySummary:
    """Sends rows `start` to `stop` (exclusive; None: to the end) of `recording` to `topic`, and waits for them all.

    `options` are kafka-python's: the bootstrap address and what the connection needs; they win over the
    defaults above. Records carry the time of sending, unless `keep_timestamps` says the recorded one (brokers
    delete what is older than the topic's retention). Where the topic has as many partitions as the recorded
    one, records keep theirs; elsewhere keys decide, as in Kafka's default partitioner.

    Raises:
        ReplayError: Kafka or the topic is not there, or a record did not arrive. Sending stops at the first.
        RecordingError: the recording was altered or cut off.
    """
    pace = pace or Fastest()
    source = _only_topic(recording)
    with _producer({**_ALWAYS, **(_FAST if isinstance(pace, Fastest) else _PACED), **options}) as producer:
        count = _partition_count(producer, topic)
        keep_partitions = recording.metadata.partitions.get(source) == count
        run = _Run(producer, topic, pace, progress or _no_progress, halt or threading.Event())
        first, last, _ = slice(start, stop).indices(len(recording))
        run.total = max(last - first, 0)
        for row, message in enumerate(recording.messages(first, last), start=first):
            partition = _partition(message, count, keep=keep_partitions)
            if not run.send(row, message, partition, message.timestamp if keep_timestamps else None):
                break
        return run.finish()


class _Run:
    """One replay under way."""

    def __init__(
        self,
        producer: KafkaProducer,
        topic: str,
        pace: Pace,
        progress: Callable[[Progress], None],
        halt: threading.Event,
    ) -> None:
        self.total = 0
        self._producer = producer
        self._topic = topic
        self._pace = pace
        self._progress = progress
        self._halt = halt
        self._outstanding = Outstanding(producer.config["delivery_timeout_ms"] / 1_000 + _CLOSE_SECONDS)
        self._sent = 0
        self._first_timestamp: int | None = None
        self._began = time.monotonic()
        self._next_pulse = self._began

    def send(self, row: int, message: RecordedMessage, partition: int | None, timestamp: int | None) -> bool:
        """Sends one record when it is due; says whether to go on."""
        if self._first_timestamp is None:
            self._first_timestamp = message.timestamp
        self._wait(self._began + self._pace.due(self._sent, message.timestamp - self._first_timestamp))
        if self._halt.is_set() or self._outstanding.failure is not None:
            return False
        key, value, headers = message.key, message.value, list(message.headers)
        try:
            future = self._producer.send(self._topic, value, key, headers, partition, timestamp)
        except (KafkaError, TypeError, ValueError) as error:
            self._outstanding.settle()
            raise ReplayError(f"row {row} cannot be sent: {error}", self._summary()) from error
        self._sent += 1
        self._outstanding.add(row, len(key or b"") + len(value or b""), future)
        return True

    def finish(self) -> ReplaySummary:
        """Waits for what is under way; raises if anything did not arrive."""
        self._outstanding.settle()
        summary = self._summary()
        if self._outstanding.failure is not None:
            row, error = self._outstanding.failure
            raise ReplayError(f"row {row} did not arrive on {self._topic}: {error!r}", summary) from error
        self._report()
        return summary

    def _wait(self, due: float) -> None:
        while True:
            if time.monotonic() >= self._next_pulse:
                self._report()
            left = due - time.monotonic()
            if left <= 0 or self._halt.wait(min(left, _PULSE)):
                return
            self._outstanding.collect()

    def _report(self) -> None:
        now = time.monotonic()
        self._next_pulse = now + _PULSE
        self._progress(Progress(self._sent, self._outstanding.acknowledged, self.total, now - self._began))

    def _summary(self) -> ReplaySummary:
        return ReplaySummary(
            topic=self._topic,
            sent=self._sent,
            acknowledged=self._outstanding.acknowledged,
            seconds=time.monotonic() - self._began,
            halted=self._halt.is_set() and self._sent < self.total,
            partitions=dict(sorted(self._outstanding.arrived.items())),
        )


@contextmanager
def _producer(options: dict[str, Any]) -> Iterator[KafkaProducer]:
    try:
        producer = KafkaProducer(**options)
    except KafkaError as error:
        raise ReplayError(f"no Kafka answers at {options.get('bootstrap_servers')}: {error}") from error
    try:
        yield producer
    finally:
        # Only an interrupted replay has records under way here, and then that error is the one to be seen.
        with suppress(KafkaTimeoutError):
            producer.close(_CLOSE_SECONDS)


def _partition_count(producer: KafkaProducer, topic: str) -> int:
    try:
        return len(producer.partitions_for(topic))
    except KafkaError as error:
        raise ReplayError(f"there is no topic {topic}: declare it first") from error


def _only_topic(recording: Recording) -> str:
    topics = {span.topic for span in recording.spans}
    if len(topics) > 1:
        raise ReplayError(
            f"{recording.path} holds {', '.join(sorted(topics))}: one topic can be replayed, not several"
        )
    return topics.pop() if topics else ""


def _partition(message: RecordedMessage, count: int, *, keep: bool) -> int | None:
    if keep:
        return message.partition
    return None if message.key is not None else message.partition % count


def _no_progress(_progress: Progress) -> None:
    """Where nobody watches."""
