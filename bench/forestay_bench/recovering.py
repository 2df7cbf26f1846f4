"""scripts/bench recovery: how fast state comes back from the changelog that the job has left, beside peers."""

import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.table import Table

from forestay_bench.broker import PARTITIONS, Volume
from forestay_bench.engine import SAME_JOB, engine, settings
from forestay_bench.errors import BenchError, PeerUnavailableError, RunFailedError
from forestay_bench.measuring import Watch, watched
from forestay_bench.peers import KAFKA_STREAMS, STOCK_FAUST, Launch, Peer, Site
from forestay_bench.sitting import Sitting
from forestay_bench.stream import StreamSpec
from forestay_bench.workers import Workers

HEADINGS: Final = ("engine", "records", "MB", "records/s", "MB/s", "µs CPU a record", "seconds", "peak MB")
_LOOK_SECONDS: Final = 0.05
#: So long may a worker that was killed keep its place in the group, and restoring then take.
_RESTORED_WITHIN: Final = 300.0


@dataclass(frozen=True)
class Recovery:
    """One recovery of all state by one worker: from the first partition's beginning to the last one's end."""

    name: str
    title: str
    records: int
    mb: float
    seconds: float
    cpu_seconds: float
    memory_mb: float

    @property
    def rate(self) -> float:
        """Returns the changelog's records per second."""
        return self.records / self.seconds

    @property
    def cpu_us(self) -> float:
        """Returns the CPU time of the worker a record, in microseconds."""
        return self.cpu_seconds / self.records * 1e6


def recoveries(sitting: Sitting, spec: StreamSpec) -> list[Recovery]:
    """Has this engine and its peers do the job, end, and bring their state back; stock Faust with few events."""
    few = replace(spec, events=min(spec.events, STOCK_FAUST.most_events or spec.events))
    jobs: Sequence[tuple[Peer, StreamSpec, Callable[[Site, Launch], Launch]]] = (
        (engine(SAME_JOB), spec, _ours),
        (KAFKA_STREAMS, spec, _the_same),
        (STOCK_FAUST, few, _the_same),
    )
    found = []
    for peer, stream, again in jobs:
        try:
            found.append(_recovery(sitting, peer, stream, again))
        except PeerUnavailableError as error:
            sitting.outcome.left_out.append(f"{peer.title}: {error}")
        except BenchError as error:
            sitting.outcome.failures.append(f"{peer.title}: {error}")
    return found


def _the_same(_: Site, launch: Launch) -> Launch:
    return launch


def _ours(site: Site, _: Launch) -> Launch:
    """Returns what does all that a worker does before it is ready, and says how long that took."""
    command = [sys.executable, "-m", "forestay_bench.recovery_child", str(PARTITIONS)]
    return Launch(command, settings(SAME_JOB, site))


def _recovery(sitting: Sitting, peer: Peer, spec: StreamSpec, again: Callable[[Site, Launch], Launch]) -> Recovery:
    loaded, broker = sitting.loaded(spec, peer.windows), sitting.broker
    run = f"bench-{uuid.uuid4().hex[:8]}"
    output = f"{run}-out"
    broker.create(output)
    with tempfile.TemporaryDirectory(prefix=f"{run}-", dir=sitting.logs) as folder:
        site = Site(broker.bootstrap, run, loaded.topic, output, Path(folder, "state"), loaded.events)
        site.state.mkdir()
        launch = peer.launch(site)
        with (
            sitting.screen.step(f"{peer.title} does the job") as tell,
            Workers(launch, 1, Path(folder, "1")) as worker,
        ):
            watched(Watch(worker, launch.ready, loaded, broker, output), tell)
        shutil.rmtree(site.state)
        site.state.mkdir()
        launch = again(site, peer.launch(site))
        volume = _changelog(broker.volumes(run))
        with sitting.screen.step(f"{peer.title} comes back"), Workers(launch, 1, Path(folder, "2")) as worker:
            # Kafka Streams tells of each partition, the others of all.
            begin, end = _restored(worker, PARTITIONS if peer is KAFKA_STREAMS else 1)
            memory = worker.memory
    broker.delete(list(broker.volumes(run)))
    return Recovery(
        peer.name, peer.title, volume.records, volume.bytes / 1e6, end[0] - begin[0], end[1] - begin[1], memory
    )


def _changelog(volumes: dict[str, Volume]) -> Volume:
    found = [volume for topic, volume in volumes.items() if "changelog" in topic]
    return Volume(sum(volume.records for volume in found), sum(volume.bytes for volume in found))


def _restored(worker: Workers, count: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Returns time and CPU seconds at the first of the last `count` beginnings and at the last end.

    Raises:
        RunFailedError: the worker ended, or takes too long.
    """
    deadline = time.monotonic() + _RESTORED_WITHIN
    while time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        if not worker.alive:
            raise RunFailedError(f"it ended early:\n{worker.last_words()}")
        said = [words[1:] for line in worker.lines() if (words := line.split())[:1] == ["RESTORE"]]
        begun = [(float(at), float(cpu)) for what, at, cpu in said if what == "begin"]
        ended = [(float(at), float(cpu)) for what, at, cpu in said if what == "end"]
        if len(ended) == count and len(begun) >= count:
            # Faust says at each rebalance that it begins, and once more when there is something to restore.
            return begun[-count], ended[-1]
    raise RunFailedError(f"nothing was restored in {_RESTORED_WITHIN:.0f} s:\n{worker.last_words()}")


def table(found: Sequence[Recovery]) -> Table:
    """Returns the table for a terminal."""
    shown = Table()
    for number, heading in enumerate(HEADINGS):
        shown.add_column(heading, justify="right" if number else "left")
    for one in found:
        shown.add_row(
            one.title,
            f"{one.records:,}",
            f"{one.mb:.1f}",
            f"{one.rate:,.0f}",
            f"{one.mb / one.seconds:.0f}",
            f"{one.cpu_us:.2f}",
            f"{one.seconds:.2f}",
            f"{one.memory_mb:,.0f}",
        )
    return shown


def ratios(found: Sequence[Recovery]) -> dict[str, float]:
    """Returns our records/s by theirs, and their CPU a record by ours: larger when this engine is better."""
    ours = [one for one in found if one.name.startswith("forestay")]
    told: dict[str, float] = {}
    for theirs in found:
        if ours and theirs not in ours:
            name = theirs.name.replace("-", "_")
            told |= {f"vs_{name}": round(ours[0].rate / theirs.rate, 3)}
            told |= {f"cpu_vs_{name}": round(theirs.cpu_us / ours[0].cpu_us, 3)}
    return told
