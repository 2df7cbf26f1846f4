"""The workers of a run, and who starts them again: what a supervisor does, with every start and end written down."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from support.java import start_server

from forestay_chaos.errors import ChaosError
from forestay_chaos.paths import IMPORTED, ROOT
from forestay_chaos.victim import MARK

_READY: Final = re.compile(rb"worker ready: partitions \[([0-9, ]*)\]")
_STRUCK: Final = re.compile(rf"^{MARK} (\S+) (SIG\w+) ([0-9.]+)$".encode(), re.MULTILINE)
#: A worker that ends this often in one run will not do its work.
_MOST_STARTS: Final = 25
#: How a worker ends at SIGTERM: by itself, or before it listens to it.
_IN_ORDER: Final = (0, -signal.SIGTERM)
#: How a worker ends that was told to or killed.
_ASKED: Final = (*_IN_ORDER, -signal.SIGKILL)
_SHARED: Final = (ROOT / "streams", ROOT / "schemas")


class Strike(NamedTuple):
    """A blow of a victim to itself: stage, signal, wall time, and the partitions it held."""

    stage: str
    signal: str
    moment: float
    partitions: tuple[int, ...]


class Worker:
    """One place for a worker: the process in it now, and what those before it left behind."""

    def __init__(
        self,
        name: str,
        environment: Mapping[str, str],
        folder: Path,
        victim: Sequence[str] = (),
        module: Sequence[str] = ("forestay",),
    ) -> None:
        """Prepares it. `victim`: options of `forestay_chaos.victim` until it has been struck; `module`: what runs."""
        self._module = tuple(module)
        self.name = name
        self.wanted = True
        self.starts = 0
        self.start_again_at = 0.0
        self._environment = {**inherited(), **environment}
        self._folder = folder
        self._victim = tuple(victim)
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    @property
    def log(self) -> Path:
        """Returns the log of the process that is there now, or was last."""
        return self._folder / f"{self.name}.{self.starts}.log"

    @property
    def running(self) -> bool:
        """Says whether the process is there, stopped or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def status(self) -> int | None:
        """Returns how the last process ended, None if it runs."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Starts a process; call it from the main thread.

        Raises:
            ChaosError: it has been started too often.
        """
        if self.starts >= _MOST_STARTS:
            raise ChaosError(f"{self.name} has ended {self.starts} times: {self.last_words()}")
        options = () if self.strikes() else self._victim
        self.starts += 1
        self._stopped = False
        module = ("forestay_chaos.victim", *options, "--") if options else self._module
        command = [sys.executable, "-m", *module, "worker"]
        self._process = start_server(command, self._folder, self.log, self._environment)

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal if it runs."""
        if self._process is not None and self.running:
            self._process.send_signal(number)
            self._stopped = number == signal.SIGSTOP

    def end(self) -> None:
        """Kills it for good."""
        self.wanted = False
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def wait(self, seconds: float) -> int | None:
        """Waits for its end; returns its status, None if it still runs."""
        if self._process is None:
            return 0
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.poll()

    @property
    def stopped_itself(self) -> bool:
        """Says whether it stands still by a SIGSTOP of its own."""
        if self._process is None or self._stopped:
            return False
        with suppress(OSError):
            return Path(f"/proc/{self._process.pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"T"
        return False

    # -- what its log says -----------------------------------------------------------------------------

    @property
    def partitions(self) -> list[int]:
        """Returns the partitions it said last it holds; none before it was ready."""
        return _held(self._text())

    @property
    def ready(self) -> bool:
        """Says whether it has ever been ready; it may hold no partition."""
        return any(_READY.search(log.read_bytes()) for log in self._logs())

    def strikes(self) -> list[Strike]:
        """Returns the blows its processes say they dealt themselves."""
        found = []
        for log in self._logs():
            text = log.read_bytes()
            for struck in _STRUCK.finditer(text):
                stage, number, moment = (group.decode() for group in struck.groups())
                found.append(Strike(stage, number, float(moment), tuple(_held(text[: struck.start()]))))
        return found

    def _logs(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self.name}.*.log"))

    def last_words(self) -> str:
        """Returns the end of its log."""
        return self._text()[-2_000:].decode(errors="replace")

    def _text(self) -> bytes:
        try:
            return self.log.read_bytes()
        except FileNotFoundError:
            return b""


class Workers:
    """All workers of a run."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        """Takes them as they are; `start` begins."""
        self.all = list(workers)
        self.unasked: list[str] = []

    def start(self, within: float) -> None:
        """Starts all and returns when each has been ready.

        Raises:
            ChaosError: one is not, within so many seconds.
        """
        for worker in self.all:
            worker.start()
        deadline = time.monotonic() + within
        for worker in self.all:
            while not worker.ready:
                # A victim may be struck before it is ready; the next process in its place is what counts.
                self.supervise()
                if time.monotonic() > deadline:
                    raise ChaosError(f"{worker.name} is not ready after {within:g} s: {worker.last_words()}")
                time.sleep(0.05)

    def supervise(self) -> None:
        """Starts what has ended and is wanted, half a second later, as a supervisor would."""
        for worker in self.all:
            if not worker.wanted or worker.running or worker.starts == 0:
                continue
            now = time.monotonic()
            if worker.start_again_at == 0.0:
                worker.start_again_at = now + 0.5
                if worker.status not in _ASKED:
                    self.unasked.append(f"{worker.name} ended with {worker.status}: {_reason(worker.last_words())}")
            elif now >= worker.start_again_at:
                worker.start_again_at = 0.0
                worker.start()

    def end_in_order(self, within: float) -> list[str]:
        """Sends SIGTERM to all; returns who did not end by themselves with status 0."""
        running = [worker for worker in self.all if worker.running]
        for worker in running:
            worker.wanted = False
            worker.signal(signal.SIGCONT)
            worker.signal(signal.SIGTERM)
        deadline = time.monotonic() + within
        found = []
        for worker in running:
            status = worker.wait(max(deadline - time.monotonic(), 0))
            if status is None:
                found.append(f"{worker.name} still runs {within:g} s after SIGTERM")
            elif status not in _IN_ORDER:
                found.append(f"{worker.name} ended with {status}: {_reason(worker.last_words())}")
            worker.end()
        return found

    def end(self) -> None:
        """Kills all that still run."""
        for worker in self.all:
            worker.end()


def _held(text: bytes) -> list[int]:
    said = _READY.findall(text)
    return [int(number) for number in said[-1].split(b",") if number.strip()] if said else []


def _reason(words: str) -> str:
    lines = [line for line in words.splitlines() if line.startswith("forestay:") or "stopping:" in line]
    return (lines or words.splitlines() or ["said nothing"])[-1][:300]


def inherited() -> dict[str, str]:
    """Returns this process's environment without settings, and with the way to what a worker imports."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("FORESTAY_") or name == "FORESTAY_CORE"
    }
    kept["PYTHONPATH"] = os.pathsep.join(map(str, (*_SHARED, *IMPORTED)))
    return kept
