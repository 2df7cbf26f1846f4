"""Replays a recording for a person who watches and may stop it."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from forestay.recording import open_recording
from forestay.recording.pace import Fastest, OwnPace, Pace, Steady
from forestay.recording.replay import Progress, ReplaySummary, replay
from forestay.settings import ClockSource, Settings
from forestay.shell.kafka_clients import connection_options
from forestay.shell.permissions import Part, check_allowed, needed


def send_recording(
    settings: Settings, path: Path, *, rate: float | None, speed: float | None, limit: int | None
) -> ReplaySummary:
    """Replays the first `limit` events of the recording at `path`; Ctrl-C and SIGTERM end it in order.

    Raises:
        RecordingError: it is no recording, or damaged.
        ReplayError: Kafka or the topic is not there, or a record did not arrive.
    """
    pace: Pace = Steady(rate) if rate else OwnPace(speed) if speed else Fastest()
    recording = open_recording(path)
    if settings.worker.clock is ClockSource.WALL:
        sys.stderr.write("recorded and real time do not mix: a worker for recordings has worker.clock=none\n")
    check_allowed(settings.kafka, needed(Part.SEND, settings))
    with _halted_by_signals() as halt:
        return replay(
            recording,
            connection_options(settings.kafka),
            settings.topics.clickstream,
            pace=pace,
            stop=limit,
            progress=_show if sys.stderr.isatty() else None,
            halt=halt,
        )


@contextmanager
def _halted_by_signals() -> Iterator[threading.Event]:
    halt = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        halt.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield halt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show(progress: Progress) -> None:
    end = "\n" if progress.sent == progress.total else ""
    sys.stderr.write(f"\r{progress.acknowledged:,} of {progress.total:,} in {progress.seconds:.0f} s{end}")
    sys.stderr.flush()
