"""A replay sends every record when it is due, and knows of every record what became of it."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from forestay.recording import (
    RecordedMessage,
    Recording,
    RecordingMetadata,
    open_recording,
    outstanding,
    write_recording,
)
from forestay.recording import replay as module
from forestay.recording.clock import send_clock
from forestay.recording.pace import Fastest, OwnPace, Steady
from forestay.recording.replay import Progress, ReplayError, replay

RECORDS = 40
OPTIONS = {"bootstrap_servers": "kafka:9092"}


class Clock(threading.Event):
    """Time that passes only where somebody waits; it is the event that halts the replay, too."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.halt_at = float("inf")

    def monotonic(self) -> float:
        return self.now

    def is_set(self) -> bool:
        return self.now >= self.halt_at

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        return self.is_set()


class Future:
    """What became of one record; known at once, or not before somebody asks."""

    def __init__(self, partition: int, offset: int, error: Exception | None, *, is_done: bool) -> None:
        self.partition = partition
        self.offset = offset
        self.is_done = is_done
        self._error = error

    def get(self, _timeout: float) -> "Future":
        self.is_done = True
        if self._error is not None:
            raise self._error
        return self


class Producer:
    """Keeps what it is given, with the time."""

    partition_count = 2
    lazy = False

    def __init__(self, clock: Clock) -> None:
        self.config: dict[str, Any] = {}
        self.sent: list[tuple[float, tuple[Any, ...]]] = []
        self.failing: dict[int, Exception] = {}
        self.closed = False
        self._clock = clock
        self._offsets: Counter[int] = Counter()

    def partitions_for(self, topic: str) -> set[int]:
        if topic == "missing":
            raise KafkaTimeoutError
        return set(range(self.partition_count))

    def send(self, *record: Any, **named: Any) -> Future:
        self.sent.append((self._clock.now, (*record, *named.values())))
        partition = record[4] if len(record) > 4 and record[4] is not None else named.get("partition", 0)
        error = self.failing.get(len(self.sent) - 1)
        self._offsets[partition] += error is None
        return Future(partition, 99 + self._offsets[partition], error, is_done=not self.lazy)

    def close(self, _timeout: float) -> None:
        self.closed = True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def producer(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Iterator[Producer]:
    producer = Producer(clock)

    def make(**options: Any) -> Producer:
        producer.config = options
        return producer

    monkeypatch.setattr(module, "KafkaProducer", make)
    yield producer
    assert producer.closed or not producer.config


def message(number: int) -> RecordedMessage:
    """One record every 10 s, in turn to two partitions."""
    return RecordedMessage("clicks", number % 2, number // 2, number * 10_000, b"k%d" % (number % 2), b"%d" % number)


Make = Callable[..., Recording]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes recordings."""
    names = itertools.count()

    def make(rows: list[RecordedMessage] | None = None) -> Recording:
        path = tmp_path / f"{next(names)}.jsonl"
        rows = [message(number) for number in range(RECORDS)] if rows is None else rows
        write_recording(path, rows, RecordingMetadata(description="", partitions={"clicks": 2}))
        return open_recording(path)

    return make


def test_everything_is_sent_and_accounted_for(make: Make, producer: Producer) -> None:
    row = RecordedMessage("clicks", 1, 20, 5, b"k", None, (("trace", b"a"),))
    recording = make([*(message(number) for number in range(RECORDS)), row])
    summary = replay(recording, OPTIONS, "target")
    assert [record[1] for _, record in producer.sent] == [message.value for message in recording]
    assert producer.sent[-1][1] == ("target", None, b"k", [("trace", b"a")], 1, None)
    assert (summary.sent, summary.acknowledged, summary.halted) == (RECORDS + 1, RECORDS + 1, False)
    assert summary.partitions == {0: outstanding.Arrived(20, 100, 119), 1: outstanding.Arrived(21, 100, 120)}


def test_a_range_of_rows_and_recorded_timestamps(make: Make, producer: Producer) -> None:
    summary = replay(make(), OPTIONS, "target", start=5, stop=8, keep_timestamps=True)
    assert [(record[1], record[5]) for _, record in producer.sent] == [(b"5", 50_000), (b"6", 60_000), (b"7", 70_000)]
    assert summary.sent == 3


def test_where_partitions_differ_in_number_keys_decide(make: Make, producer: Producer) -> None:
    producer.partition_count = 3
    without_key = RecordedMessage("clicks", 1, 1, 0, None, b"value")
    replay(make([message(0), message(1), without_key]), OPTIONS, "target")
    assert [record[4] for _, record in producer.sent] == [None, None, 1]


def test_a_steady_pace_is_steady_and_makes_up_for_a_pause(make: Make, producer: Producer, clock: Clock) -> None:
    def pause(progress: Progress) -> None:
        clock.now += 1.0 if progress.sent == 10 else 0.0

    replay(make(), OPTIONS, "target", pace=Steady(4.0), halt=clock, progress=pause)
    times = [moment - 100.0 for moment, _ in producer.sent]
    assert times[:10] == [number / 4 for number in range(10)]
    assert times[10:16] == [3.5, 3.5, 3.5, 3.5, 3.5, 3.75]
    assert times[-1] == (RECORDS - 1) / 4


def test_own_pace_keeps_the_gaps(make: Make, producer: Producer, clock: Clock) -> None:
    rows = [message(number)._replace(timestamp=seconds * 1_000) for number, seconds in enumerate((50, 51, 51, 90))]
    replay(make(rows), OPTIONS, "target", pace=OwnPace(2.0), halt=clock)
    assert [moment - 100.0 for moment, _ in producer.sent] == [0.0, 0.5, 0.5, 20.0]


def test_progress_comes_four_times_a_second_and_at_the_end(make: Make, producer: Producer, clock: Clock) -> None:
    seen: list[Progress] = []
    replay(make(), OPTIONS, "target", pace=Steady(10.0), halt=clock, progress=seen.append)
    assert seen[-1][:3] == (RECORDS, RECORDS, RECORDS)
    assert seen[-1].seconds == pytest.approx(3.9)
    assert len(seen) == pytest.approx(3.9 / 0.25, abs=2)
    assert len(producer.sent) == RECORDS


@pytest.mark.usefixtures("producer")
def test_it_stops_when_told_to(make: Make, clock: Clock) -> None:
    clock.halt_at = 101.05
    summary = replay(make(), OPTIONS, "target", pace=Steady(10.0), halt=clock)
    assert (summary.sent, summary.acknowledged, summary.halted) == (11, 11, True)
    halt = threading.Event()
    halt.set()
    assert replay(make(), OPTIONS, "target", halt=halt).sent == 0


@pytest.mark.parametrize("lazy", [False, True])
def test_the_first_record_that_does_not_arrive_ends_it(make: Make, producer: Producer, *, lazy: bool) -> None:
    producer.lazy = lazy
    producer.failing = {3: MessageSizeTooLargeError("too large"), 5: KafkaTimeoutError("late")}
    with pytest.raises(ReplayError, match=r"row 13 did not arrive on target.*too large") as caught:
        replay(make(), OPTIONS, "target", start=10)
    summary = caught.value.summary
    assert summary is not None
    assert summary.acknowledged == (28 if lazy else 3)
    assert summary.sent == (30 if lazy else 4)


def test_no_more_is_under_way_than_the_bounds_allow(
    make: Make, producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer.lazy = True
    producer.failing = {0: KafkaTimeoutError("late")}
    monkeypatch.setattr(outstanding, "MAX_RECORDS", 4)
    with pytest.raises(ReplayError, match="row 0 did not arrive") as caught:
        replay(make(), OPTIONS, "target")
    assert caught.value.summary is not None
    assert caught.value.summary.sent == 5
    monkeypatch.setattr(outstanding, "MAX_RECORDS", 1_000)
    monkeypatch.setattr(outstanding, "MAX_BYTES", 8)
    producer.sent.clear()
    with pytest.raises(ReplayError, match="row 0 did not arrive") as caught:
        replay(make(), OPTIONS, "target")
    assert caught.value.summary is not None
    assert caught.value.summary.sent == 3


def test_what_kafka_python_cannot_send_is_named(
    make: Make, producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_record: Any) -> Future:
        raise ValueError("Need at least one: key or value")

    monkeypatch.setattr(producer, "send", refuse)
    with pytest.raises(ReplayError, match="row 2 cannot be sent: Need at least one"):
        replay(make(), OPTIONS, "target", start=2)


def test_a_missing_topic_or_broker_is_named(make: Make, producer: Producer, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ReplayError, match="there is no topic missing: declare it first"):
        replay(make(), OPTIONS, "missing")

    def fail(**_options: Any) -> Producer:
        raise KafkaTimeoutError("no bootstrap")

    monkeypatch.setattr(module, "KafkaProducer", fail)
    with pytest.raises(ReplayError, match=r"no Kafka answers at kafka:9092: .*no bootstrap"):
        replay(make(), OPTIONS, "target")
    assert producer.sent == []


def test_several_topics_are_not_mixed_into_one(make: Make) -> None:
    with pytest.raises(ReplayError, match="holds clicks, views: one topic can be replayed"):
        replay(make([message(0), message(1)._replace(topic="views")]), OPTIONS, "target")


def test_an_empty_recording_is_no_error(make: Make, producer: Producer) -> None:
    assert replay(make([]), OPTIONS, "target").partitions == {}
    assert producer.sent == []


def test_options_of_the_caller_win(make: Make, producer: Producer) -> None:
    replay(make(), {**OPTIONS, "linger_ms": 1}, "target")
    assert producer.config["linger_ms"] == 1
    assert producer.config["acks"] == "all"
    replay(make(), OPTIONS, "target", pace=Fastest())
    fast = producer.config["linger_ms"]
    replay(make([]), OPTIONS, "target", pace=Steady(1.0))
    assert producer.config["linger_ms"] < fast


def test_the_clock_is_told_to_every_partition(clock: Clock) -> None:
    producer = Producer(clock)
    assert send_clock(producer, "clock", range(2), 1_291_924_860_000) == {0: 100, 1: 100}
    assert [record for _, record in producer.sent] == [
        ("clock", b'{"ts":"2010-12-09T20:01:00.000Z"}', partition) for partition in (0, 1)
    ]
