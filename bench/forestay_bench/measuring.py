"""One run: a worker does the job on a loaded topic; what it took is measured from outside, and its output checked."""

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from forestay_bench.broker import Broker
from forestay_bench.checking import check
from forestay_bench.errors import RunFailedError
from forestay_bench.expected import Expected
from forestay_bench.peers import Peer, Site
from forestay_bench.processes import busy_seconds, cpu_seconds, own_cpu_seconds
from forestay_bench.progress import Point, at, marks
from forestay_bench.results import Measurement
from forestay_bench.workers import Workers

#: Looking costs the harness 1 ms; oftener would take from the worker.
_LOOK_SECONDS: Final = 0.1
#: After the last output: a commit each second is inside then, with what it costs.
_COMMIT_SECONDS: Final = 1.3
#: No progress for so long, and a run has failed.
_STALL_SECONDS: Final = 120.0
#: Others may use so much of the machine, or so many seconds, before a run counts as disturbed.
_OTHERS_SHARE: Final = 0.05
_OTHERS_SECONDS: Final = 0.5


class Loaded(NamedTuple):
    """A topic with all events on it, and what must come out."""

    topic: str
    events: int
    expected: Expected


class _Usage(NamedTuple):
    """CPU seconds: of the whole machine, the workers, the broker, this process."""

    machine: float
    workers: float
    broker: float
    harness: float


class Watch(NamedTuple):
    """A run under way. `ready` is None for a worker that makes marks, `output` for one that puts nothing out."""

    workers: Workers
    ready: str | None
    loaded: Loaded
    broker: Broker
    output: str | None

    def said(self) -> list[Point]:
        """Returns the worker's own marks, if it makes any."""
        return marks(self.workers.lines()) if self.ready is None else []

    def started(self, said: list[Point]) -> bool:
        """Says whether events are being read."""
        return bool(said) if self.ready is None else self.workers.all_said(self.ready)

    def look(self) -> Point:
        """Returns how far the outputs show the worker to be, in events."""
        share = self.broker.end(self.output) / self.loaded.expected.records if self.output else 0.0
        return Point(share * self.loaded.events, time.time(), self.workers.cpu)

    def share(self, said: list[Point], seen: Point) -> float:
        """Returns the share of the events that is done, by the outputs and by the marks, as far as there are any."""
        shares = [said[-1].events] if said else []
        shares += [seen.events] if self.output else []
        return min(shares) / self.loaded.events


class Watched(NamedTuple):
    """What was seen of a run: the workers' own marks, if they make any, and points from outside."""

    said: list[Point]
    seen: list[Point]
    begin: _Usage
    end: _Usage
    memory: float


def measure(peer: Peer, loaded: Loaded, broker: Broker, logs: Path, tell: Callable[[float], object]) -> Measurement:
    """Runs a peer once; `tell` hears the share of the events that is done.

    Raises:
        PeerUnavailableError: it cannot run on this machine.
        EngineMissingError: the product cannot do what is asked.
        RunFailedError: it ended early, or stood still.
    """
    run = f"bench-{uuid.uuid4().hex[:8]}"
    output = f"{run}-out"
    with tempfile.TemporaryDirectory(prefix=f"{run}-", dir=logs) as folder:
        site = Site(broker.bootstrap, run, loaded.topic, output, Path(folder), loaded.events)
        broker.create(output)
        launch = peer.launch(site)
        log = Path(folder, "log.txt")
        try:
            with Workers(launch, peer.workers, log) as workers:
                found = watched(Watch(workers, launch.ready, loaded, broker, output if peer.emits else None), tell)
        finally:
            shutil.copyfile(log, logs / f"{peer.name}-{run}.txt")
    measured = _measurement(peer, loaded, found)
    volumes = broker.volumes(run)
    if peer.emits:
        measured.problems.extend(check(broker.read(output), loaded.expected, peer.counted))
    changelogs = [volume for topic, volume in volumes.items() if "changelog" in topic]
    measured.outputs = volumes[output].records
    measured.changelog_records = sum(volume.records for volume in changelogs)
    measured.changelog_mb = sum(volume.bytes for volume in changelogs) / 1e6
    broker.delete(list(volumes))
    return measured


def watched(watch: Watch, tell: Callable[[float], object]) -> Watched:
    """Looks at the workers until all is done, and a commit later.

    Raises:
        RunFailedError: a worker ended, or nothing advances.
    """
    begin: _Usage | None = None
    seen: list[Point] = []
    advanced, progress = time.monotonic(), 0.0
    while progress < 1:
        time.sleep(_LOOK_SECONDS)
        if not watch.workers.alive:
            raise RunFailedError(f"it ended early:\n{watch.workers.last_words()}")
        if time.monotonic() - advanced > _STALL_SECONDS:
            raise RunFailedError(f"it stands still at {progress:.0%}:\n{watch.workers.last_words()}")
        said = watch.said()
        if not watch.started(said):
            continue
        begin = begin or _usage(watch)
        seen.append(watch.look())
        now = watch.share(said, seen[-1])
        if now > progress:
            advanced, progress = time.monotonic(), now
            tell(progress)
    time.sleep(_COMMIT_SECONDS)
    assert begin is not None  # noqa: S101 # Only what has started makes progress.
    return Watched(watch.said(), seen, begin, _usage(watch), watch.workers.memory)


def _usage(watch: Watch) -> _Usage:
    return _Usage(busy_seconds(), watch.workers.cpu, cpu_seconds([watch.broker.pid]), own_cpu_seconds())


def _measurement(peer: Peer, loaded: Loaded, watched: Watched) -> Measurement:
    """Turns what was seen into figures: by the worker's own marks where it makes them, else by its outputs.

    By outputs the time begins when the worker is ready, before its first event, and ends when the last output is
    visible, after its last: the same run by marks would not look slower.
    """
    points = watched.said or watched.seen
    first, last = points[0], points[-1]
    # A reader of batches makes its mark after the half, not at it.
    half = next(point for point in points if point.events >= loaded.events // 2) if watched.said else None
    middle = half or at(points, loaded.events / 2)
    wall, events = last.time - first.time, last.events - first.events
    spent = _Usage(*(after - before for before, after in zip(watched.begin, watched.end, strict=True)))
    others = spent.machine - spent.workers - spent.broker - spent.harness
    bound = max(_OTHERS_SECONDS, _OTHERS_SHARE * wall * (os.cpu_count() or 1))
    return Measurement(
        name=peer.name,
        title=peer.title,
        events=loaded.events,
        wall_seconds=wall,
        rate=events / wall,
        warm_rate=(last.events - middle.events) / (last.time - middle.time),
        cpu_us=(watched.end.workers - first.cpu) / events * 1e6,
        warm_cpu_us=(watched.end.workers - middle.cpu) / (last.events - middle.events) * 1e6,
        memory_mb=watched.memory,
        broker_cpu_seconds=spent.broker,
        others_cpu_seconds=others,
        startup_cpu_seconds=first.cpu,
        disturbed=others > bound,
    )
