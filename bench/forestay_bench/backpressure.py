"""What a worker holds in memory while the model or the broker is slower than the backlog is long."""

import asyncio
import os
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from support.builders import START, click
from support.embedded import send_clicks
from support.triton_stand_in import standing_in
from support.workers import environment

from forestay.settings import (
    ClockSource,
    KafkaSettings,
    Settings,
    TopicSettings,
    TritonSettings,
    WebSettings,
    WorkerSettings,
)
from forestay_bench.broker import PARTITIONS, Broker
from forestay_bench.engine import declare_topics
from forestay_bench.errors import RunFailedError
from forestay_bench.peers import Launch
from forestay_bench.processes import resident_bytes
from forestay_bench.workers import Workers

READY: Final = "worker ready"
#: Users are few, so that what grows is what waits.
_USERS: Final = 2_000
_START_SECONDS: Final = 60.0
_SAMPLE_SECONDS: Final = 0.25
#: How long the broker stands still, in the middle of a run: less than the barrier may take.
_STOPPED_SECONDS: Final = 7.0
#: Every event asks for a score. Ids looked for twice are state, and would grow with the events.
_ALL_SCORED: Final = {"FORESTAY_ENGINE__SCORE_INTERVAL_MINUTES": "0", "FORESTAY_ENGINE__DEDUPLICATE": "false"}
_SPARKS: Final = "▁▂▃▄▅▆▇█"


class Case(NamedTuple):
    """A worker before a backlog; `delay`: seconds the model takes; whether the broker is stopped for a while."""

    name: str
    title: str
    delay: float = 0.0
    backlog: bool = True
    stopped: bool = False


CASES: Final = (
    Case("idle", "nothing to do", backlog=False),
    Case("backlog", "a backlog, a quick model"),
    Case("slow", "a model that takes 0.4 s a call (its deadline is 0.5 s)", delay=0.4),
    Case("silent", "a model that does not answer", delay=3_600.0),
    Case("stopped", f"a broker that stands still for {_STOPPED_SECONDS:.0f} s", stopped=True),
)


@dataclass
class Held:
    """What one case held: MB resident over time, and the events left at the end."""

    name: str
    title: str
    samples: list[float] = field(default_factory=list)
    left: int = 0
    done_per_second: float = 0.0

    @property
    def peak(self) -> float:
        """Returns the largest, in MB."""
        return max(self.samples)

    @property
    def growth(self) -> float:
        """Returns by how much the last third's largest is above the second's, in MB: in the first it fills."""
        third = len(self.samples) // 3
        return max(self.samples[2 * third :]) - max(self.samples[third : 2 * third])

    def sparkline(self, width: int = 32) -> str:
        """Returns the course as a line of blocks from 0 to the peak."""
        step = max(len(self.samples) / width, 1)
        parts = [self.samples[int(n * step)] for n in range(min(width, len(self.samples)))]
        return "".join(_SPARKS[round(part / self.peak * (len(_SPARKS) - 1))] for part in parts)


class Backlog:
    """A clickstream that is loaded once; each case reads it with a group and topics of its own."""

    def __init__(self, broker: Broker, events: int, logs: Path) -> None:
        """`events`: how many wait."""
        self._broker = broker
        self._events = events
        self._logs = logs

    def load(self) -> None:
        """Puts the events on their topic: every one asks for a score."""
        clicks = (click(f"e{n}", f"u{n % _USERS}", "view_item", START + n * 1_000) for n in range(self._events))
        self._broker.create("backlog")
        send_clicks(self._settings("backlog", 0, backlog=True), clicks)
        self._broker.create("nothing")

    def run(self, case: Case, seconds: float) -> Held:
        """Runs a worker for so long, or until nothing is left.

        Raises:
            RunFailedError: it ends before.
        """
        with model(case.delay) as port:
            settings = self._settings(case.name, port, backlog=case.backlog)
            values = environment(settings) | _ALL_SCORED
            declare_topics(values)
            launch = Launch([sys.executable, "-m", "forestay", "worker"], values, READY)
            with Workers(launch, 1, self._logs / f"backpressure-{case.name}.log") as workers:
                return self._watch(case, workers, seconds)

    def _watch(self, case: Case, workers: Workers, seconds: float) -> Held:
        _await_ready(workers)
        held = Held(case.name, case.title)
        began = time.monotonic()
        stop_at = began + seconds / 3 if case.stopped else float("inf")
        while (now := time.monotonic()) < began + seconds:
            if not workers.alive:
                raise RunFailedError(f"{case.name}: the worker ended:\n{workers.last_words()}")
            if now >= stop_at:
                stop_at = float("inf")
                threading.Thread(target=_stand_still, args=(self._broker.pid,), daemon=True).start()
            held.samples.append(resident_bytes(workers.pids[0]) / 1e6)
            time.sleep(_SAMPLE_SECONDS)
        held.left = _lag(workers)
        waited = self._events if case.backlog else 0
        held.done_per_second = (waited - held.left) / seconds
        return held

    def _settings(self, name: str, port: int, *, backlog: bool) -> Settings:
        roles = [role for role, described in TopicSettings.model_fields.items() if described.annotation is str]
        topics: dict[str, Any] = {role: f"{name}-{role}" for role in roles}
        topics |= {"clickstream": "backlog" if backlog else "nothing", "partitions": PARTITIONS}
        return Settings(
            kafka=KafkaSettings(bootstrap_servers=self._broker.bootstrap, group_id=name),
            topics=TopicSettings(**topics),
            triton=TritonSettings(url=f"127.0.0.1:{port}"),
            # On a busy machine the default barrier (10 s) ends a worker whose broker has just stood still.
            worker=WorkerSettings(
                clock=ClockSource.NONE,
                barrier_deadline_seconds=20,
                stalled_seconds=100,
                shutdown_deadline_seconds=30,
            ),
            web=WebSettings(port=0),
        )


@contextmanager
def model(delay: float) -> Iterator[int]:
    """Runs a stand-in for Triton in a thread of its own; yields its port."""
    up, ports, loop = threading.Event(), list[int](), asyncio.new_event_loop()
    done = asyncio.Event()

    async def serve() -> None:
        async with standing_in(delay=delay) as port:
            ports.append(port)
            up.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        up.wait(_START_SECONDS)
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
        loop.close()


def _stand_still(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    time.sleep(_STOPPED_SECONDS)
    os.kill(pid, signal.SIGCONT)


def _await_ready(workers: Workers) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not workers.all_said(READY):
        if not workers.alive or time.monotonic() > deadline:
            raise RunFailedError(f"no worker is ready:\n{workers.last_words()}")
        time.sleep(0.05)


def _lag(workers: Workers) -> int:
    """Asks the worker's web port what is left."""
    line = next(line for line in workers.lines() if "web port" in line)
    address = line.partition("web port ")[2].partition(": ")[0]
    with urllib.request.urlopen(f"http://{address}/ready", timeout=10) as answer:
        said: dict[str, Any] = msgspec.json.decode(answer.read())
    return sum(lag or 0 for topics in said["lag"].values() for lag in topics.values())


def too_much(found: Sequence[Held], bound: float) -> list[str]:
    """Says which cases grew by more than `bound` MB from the second third of their time to the last."""
    return [f"{one.name} grew by {one.growth:.0f} MB" for one in found if one.growth > bound]
