"""What faults are done to, and the clock by which they are done and undone."""

import heapq
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from forestay_chaos.cluster import Cluster
from forestay_chaos.recording import Recorder
from forestay_chaos.scenario import Scenario
from forestay_chaos.triton import TritonSeat
from forestay_chaos.workers import Worker, Workers


@dataclass(frozen=True)
class Blow:
    """A worker was struck: by which fault and signal, when (wall time), and what it held."""

    kind: str
    signal: str
    moment: float
    partitions: tuple[int, ...]


@dataclass
class Field:
    """The machines of a run, what is still to be done to them, and what was."""

    scenario: Scenario
    cluster: Cluster
    triton: TritonSeat
    workers: Workers
    recorder: Recorder | None
    make_worker: Callable[[], Worker]
    folder: Path
    blows: list[Blow] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    mending: list["Future[None]"] = field(default_factory=list)
    _due: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: "count[int]" = field(default_factory=count)
    _began: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """Sets the clock to zero."""
        self._began = time.monotonic()

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Does something so many seconds from now."""
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), action))

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        """Does something so many seconds after the beginning."""
        heapq.heappush(self._due, (self._began + seconds, next(self._numbers), action))

    @property
    def quiet(self) -> bool:
        """Says whether nothing more is to be done or undone."""
        return not self._due and all(future.done() for future in self.mending)

    def tick(self) -> None:
        """Does what is due."""
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()

    def note(self, text: str) -> None:
        """Writes down what was done, with its moment."""
        line = f"{time.monotonic() - self._began:+7.2f} s {text}"
        with (self.folder / "faults.log").open("a") as log:
            log.write(f"{line}\n")

    def strike(self, worker: Worker, kind: str, number: signal.Signals, held: tuple[int, ...]) -> None:
        """Sends a worker a signal, and writes it down with what the worker held."""
        self.did(kind, f"{worker.name}, which holds {list(held)}")
        self.blows.append(Blow(kind, number.name, time.time(), held))
        worker.signal(number)

    def did(self, kind: str, text: str) -> None:
        """Writes down that a fault happened."""
        self.done.append(kind)
        self.note(f"{kind}: {text}")
