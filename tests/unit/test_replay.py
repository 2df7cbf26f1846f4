"""A replay sends every record when it is due, and knows of every record what became of it."""

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError
from support.sinks import MemorySink, VirtualClock

from forestay.recording import RecordedMessage, Recording, RecordingError, RecordingMetadata, open_recording
from forestay.recording.files import write_recording
from forestay.replay import replayer as module
from forestay.replay.extent import Extent, pieces
from forestay.replay.order import Recorded
from forestay.replay.outcome import Arrived, Progress, ReplayError, Summary
from forestay.replay.pace import Fastest, MonotonicClock, OwnPace, Pace, Steady
from forestay.replay.replayer import Replayer
from forestay.replay.routes import Route
from forestay.replay.sink import Sending, SinkError

RECORDS = 40


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


async def play(
    recording: Recording,
    sink: MemorySink,
    *,
    clock: VirtualClock | None = None,
    pace: Pace | None = None,
    extent: Extent | None = None,
    keep_timestamps: bool = False,
    tell: Callable[[Progress], None] | None = None,
    stop: asyncio.Event | None = None,
) -> Summary:
    extent = extent or Extent()
    replayer = Replayer(
        sink,
        {"clicks": Route("target", 2, 2, "murmur2"), "views": Route("views", 2, 2, "murmur2")},
        pace or Fastest(),
        keep_timestamps=keep_timestamps,
        tell=tell,
        clock=clock or VirtualClock(),
    )
    rows = pieces(Recorded([recording]), extent, {"clicks", "views"})
    return await replayer.run(rows, stop or asyncio.Event(), extent.first)


async def test_everything_is_sent_and_accounted_for(make: Make) -> None:
    row = RecordedMessage("clicks", 1, 20, 5, None, None, (("trace", None),))
    sink = MemorySink()
    summary = await play(make([*(message(number) for number in range(RECORDS)), row]), sink)
    assert [kept.value for kept in sink.log["target", 0]] == [b"%d" % number for number in range(0, RECORDS, 2)]
    assert sink.log["target", 1][-1][1:] == (None, None, (("trace", None),))
    assert (summary.sent, summary.acknowledged, summary.halted) == (RECORDS + 1, RECORDS + 1, False)
    assert summary.arrived == {("target", 0): Arrived(20, 0, 19), ("target", 1): Arrived(21, 0, 20)}
    assert summary.next_row == RECORDS + 1


async def test_records_carry_the_time_of_sending_or_the_recorded_one(make: Make) -> None:
    recording = make([message(1), message(3)._replace(timestamp=-1)])
    sink, keeping = MemorySink(), MemorySink()
    await play(recording, sink)
    await play(recording, keeping, keep_timestamps=True)
    now = sink.log["target", 1][0].timestamp
    assert now is not None
    assert now > 1_700_000_000_000
    kept, without = (record.timestamp for record in keeping.log["target", 1])
    assert kept == 10_000
    # Kafka asks for one, and the topic it was recorded from had none.
    assert without is not None
    assert without >= now


async def test_a_steady_pace_is_steady_and_makes_up_for_a_pause(make: Make) -> None:
    clock = VirtualClock()
    sink = MemorySink(clock)

    def pause(progress: Progress) -> None:
        clock.time += 1.0 if progress.sent == 10 else 0.0

    await play(make(), sink, clock=clock, pace=Steady(4.0), tell=pause)
    times = [moment - 100.0 for moment, _ in sink.sent]
    assert times[:10] == [number / 4 for number in range(10)]
    assert times[10] == times[13] > 3.2
    assert times[14:] == [number / 4 for number in range(14, RECORDS)]


async def test_own_pace_keeps_the_gaps(make: Make) -> None:
    rows = [message(number)._replace(timestamp=seconds * 1_000) for number, seconds in enumerate((50, 51, 51, 90))]
    clock = VirtualClock()
    sink = MemorySink(clock)
    await play(make(rows), sink, clock=clock, pace=OwnPace(2.0))
    assert [moment - 100.0 for moment, _ in sink.sent] == [0.0, 0.5, 0.5, 20.0]


async def test_a_record_without_a_time_waits_for_nothing(make: Make) -> None:
    """What a rerun wrote: dead letters and features have none."""
    rows = [message(number)._replace(timestamp=ts) for number, ts in enumerate((-1, 50_000, -1, 51_000))]
    clock = VirtualClock()
    sink = MemorySink(clock)
    await play(make(rows), sink, clock=clock, pace=OwnPace(2.0))
    assert [moment - 100.0 for moment, _ in sink.sent] == [0.0, 0.0, 0.0, 0.5]


async def test_progress_comes_four_times_a_second_and_at_the_end(make: Make) -> None:
    seen: list[Progress] = []
    clock = VirtualClock()
    await play(make(), MemorySink(clock), clock=clock, pace=Steady(10.0), tell=seen.append)
    assert seen[-1][:2] == (RECORDS, RECORDS)
    assert seen[-1].seconds == pytest.approx(3.9)
    assert len(seen) == pytest.approx(3.9 / 0.25, abs=2)


async def test_told_to_stop_it_says_where_to_go_on(make: Make) -> None:
    clock = VirtualClock(stop_at=1.05)
    summary = await play(make(), MemorySink(clock), clock=clock, pace=Steady(10.0), extent=Extent(first=5))
    assert (summary.sent, summary.acknowledged, summary.halted, summary.next_row) == (11, 11, True, 16)
    stop = asyncio.Event()
    stop.set()
    summary = await play(make(), MemorySink(), extent=Extent(since=200_000), stop=stop)
    assert (summary.sent, summary.halted, summary.next_row) == (0, True, 20)


def refusing(**errors: KafkaError) -> Callable[[RecordedMessage], KafkaError | None]:
    return lambda message: errors.get(f"row{(message.value or b'').decode()}")


async def test_what_does_not_arrive_ends_it_with_the_lowest_row_to_go_on_from(make: Make) -> None:
    errors = refusing(row13=MessageSizeTooLargeError("too large"), row16=KafkaTimeoutError("late"))
    sink = MemorySink(batch=1, refused=errors)
    with pytest.raises(ReplayError, match=r"row 13 did not arrive on target-1: .*too large") as caught:
        await play(make(), sink, extent=Extent(first=10))
    summary = caught.value.summary
    assert summary is not None
    assert (summary.next_row, summary.halted) == (13, False)
    assert summary.acknowledged == summary.sent - 2


async def test_sending_stops_at_the_first_that_does_not_arrive(make: Make) -> None:
    clock = VirtualClock()
    sink = MemorySink(clock, refused=refusing(row3=KafkaTimeoutError("late")))
    with pytest.raises(ReplayError, match="row 3 did not arrive on target-1") as caught:
        await play(make(), sink, clock=clock, pace=Steady(10.0))
    assert caught.value.summary is not None
    assert caught.value.summary.sent <= 5


async def test_what_the_producer_does_not_take_is_told_too(make: Make) -> None:
    class Full(MemorySink):
        async def send(self, topic: str, *_: object) -> Sending:
            raise SinkError(f"{topic} is full")

    with pytest.raises(ReplayError, match=r"row 7 did not arrive on target-1: target is full") as caught:
        await play(make(), Full(), extent=Extent(first=7))
    assert caught.value.summary is not None
    assert (caught.value.summary.sent, caught.value.summary.next_row) == (0, 7)


async def test_a_broker_that_never_answers_is_not_waited_for(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_DEADLINE", 0.01)
    sink = MemorySink(slowness=lambda: 2**31)
    with pytest.raises(ReplayError, match=r"row 0 did not arrive on target-0: nothing was heard of it for 0.01 s"):
        await play(make(), sink)
    for task in sink._tasks:
        task.cancel()


async def test_damage_ends_it_behind_what_was_sent(make: Make) -> None:
    def damaged() -> object:
        yield from pieces(Recorded([make()]), Extent(stop=10), {"clicks"})
        raise RecordingError("block 1 was altered")

    sink = MemorySink()
    replayer = Replayer(sink, {"clicks": Route("target", 2, 2, "murmur2")}, Fastest(), clock=VirtualClock())
    with pytest.raises(ReplayError, match="block 1 was altered") as caught:
        await replayer.run(damaged(), asyncio.Event())  # type: ignore[arg-type]
    assert caught.value.summary is not None
    assert (caught.value.summary.acknowledged, caught.value.summary.next_row) == (10, 10)


async def test_an_empty_recording_is_no_error(make: Make) -> None:
    sink = MemorySink()
    assert (await play(make([]), sink)).arrived == {}
    assert sink.sent == []


async def test_the_machines_clock_waits_or_is_told_to_stop() -> None:
    clock, stop = MonotonicClock(), asyncio.Event()
    before = clock.now()
    await clock.wait(0.01, stop)
    assert clock.now() >= before + 0.009
    stop.set()
    await clock.wait(60.0, stop)
    assert clock.now() < before + 30.0
