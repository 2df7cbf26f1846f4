"""A recorder beside the workers, whose disk fills up: it goes on, and nothing is missing or there twice."""

import resource
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from support.java import start_server

from forestay.core.errors import ForestayError
from forestay.recording import open_recording
from forestay_chaos.read_record import ReadRecord
from forestay_chaos.workers import inherited

_END_SECONDS: Final = 40.0
#: Bytes: less than a part, more than what the recorder says.
_FULL_AT: Final = 4_096
#: Roles it records.
RECORDED: Final = ("clickstream", "decisions")


class Recorder:
    """`forestay record --follow` of a run, into a folder."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        """Prepares it. Parts are sealed every few seconds, so that there are some when the disk is full."""
        self.recording = folder / "recording"
        self._log = folder / "recorder.log"
        self._folder = folder
        self._environment = {**inherited(), **environment, "FORESTAY_RECORD__PART_MINUTES": "0.03"}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begins, or goes on, to follow."""
        self._run("--follow")

    def _run(self, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "forestay", "record", str(self.recording), *RECORDED, *options]
        self._process = start_server(command, self._folder, self._log, self._environment)
        return self._process

    @property
    def running(self) -> bool:
        """Says whether it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def status(self) -> int | None:
        """Returns how the process has ended."""
        return None if self._process is None else self._process.poll()

    @property
    def sealed(self) -> bool:
        """Says whether a part of the recording is done."""
        return any(self.recording.glob("part-*.parquet"))

    def fill_disk(self) -> None:
        """Lets no file of it grow beyond some kilobytes: the write that would meets an OSError, as on a full disk."""
        if self._process is not None and self.running:
            with suppress(ProcessLookupError):
                resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (_FULL_AT, _FULL_AT))

    def make_room(self) -> None:
        """Starts it again, without the limit, where it has ended."""
        self.end()
        self.start()

    def end(self) -> None:
        """Ends it in order, or kills it."""
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_SECONDS)
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def complete(self) -> str:
        """Records what is still missing; returns what went wrong."""
        self.end()
        process = self._run()
        try:
            status = process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return f"the recorder had not ended after {_END_SECONDS:g} s"
        finally:
            self.end()
        return "" if status == 0 else f"the recorder ended with {status}: {self._log.read_text()[-500:]}"

    def compare(self, read: Mapping[str, Sequence[ReadRecord]]) -> list[str]:
        """Returns what differs between the recording and the topics."""
        try:
            recorded = Counter(
                (row.topic, row.partition, row.offset, row.key, row.value) for row in open_recording(self.recording)
            )
        except (ForestayError, OSError) as error:
            return [f"the recording cannot be read: {error}"]
        there = Counter(
            (one.topic, one.partition, one.offset, one.key, one.value) for role in RECORDED for one in read[role]
        )
        differences = {"not recorded": there - recorded, "recorded, but not so often on its topic": recorded - there}
        return [
            f"{what}: {len(which)} records, {_place(which)} the first" for what, which in differences.items() if which
        ]


def _place(records: Counter[tuple[str, int, int, bytes | None, bytes | None]]) -> str:
    topic, partition, offset, _, _ = min(records, key=lambda each: each[:3])
    return f"{topic}-{partition} offset {offset}"
