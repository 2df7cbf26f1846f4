"""scripts/bench transactions: what it costs to make a batch durable, in Kafka's transactions and without."""

import asyncio
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from rich.table import Table

from forestay_bench.barrier_loads import LOADS, PARTITIONS, Done, percentile, topics_of
from forestay_bench.broker import Broker
from forestay_bench.errors import BenchError
from forestay_bench.installs import python_of
from forestay_bench.paths import BENCH, CACHE
from forestay_bench.processes import cpu_seconds
from forestay_bench.screen import Screen

#: Ways by name, and what a reader would say they are.
WAYS: Final = {
    "barrier": "barrier, no fence",
    "fence": "barrier behind a fence of epochs",
    "state": "barrier, state in transactions (aiokafka)",
    "all": "all in transactions (aiokafka)",
    "librdkafka": "all in transactions, with offsets (librdkafka)",
}
_NUMBERS: Final = itertools.count()


@dataclass(frozen=True)
class Measured:
    """One way under one load; times in milliseconds, CPU in microseconds an event."""

    way: str
    load: str
    done: Done
    visible_p50: float
    visible_p99: float
    broker_cpu: float

    def as_json(self) -> dict[str, object]:
        """Returns it flat."""
        found = asdict(self)
        return {**found.pop("done"), **found}


class Place:
    """Where it is measured: a broker of our own, or one that runs already."""

    def __init__(self, bootstrap: str, brokers: Sequence[int], replicas: int) -> None:
        """`brokers`: the process ids of brokers on this machine, whose CPU is counted."""
        self.bootstrap = bootstrap
        self._brokers = brokers
        self._replicas = replicas

    def measure(self, way: str, load: str, seconds: float) -> Measured:
        """Runs one way in a process of its own while its actions are read here.

        Raises:
            BenchError: it failed; says why.
        """
        prefix = f"transactions-{os.getpid()}-{next(_NUMBERS)}"
        names = [*topics_of(prefix).values(), f"{prefix}-clickstream"]
        with KafkaAdminClient(bootstrap_servers=self.bootstrap) as admin:
            admin.create_topics([NewTopic(name, PARTITIONS, self._replicas) for name in names])
            try:
                return asyncio.run(self._measure(way, load, seconds, prefix))
            finally:
                admin.delete_topics(names)

    async def _measure(self, way: str, load: str, seconds: float, prefix: str) -> Measured:
        arguments = [self.bootstrap, prefix, load, str(seconds)]
        if way == "librdkafka":
            command = [str(python_of("reference")), str(BENCH / "python" / "librdkafka_transactions.py"), *arguments]
        else:
            command = [sys.executable, "-m", "forestay_bench.barrier_ways", way, *arguments]
        committed = way in ("all", "librdkafka")
        reader = await _Reader.open(self.bootstrap, topics_of(prefix)["actions"], committed=committed)
        reading = asyncio.create_task(reader.run())
        before = cpu_seconds(self._brokers)
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, "PYTHONPATH": _path()}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, errors = await process.communicate()
        used = cpu_seconds(self._brokers) - before
        reading.cancel()
        await reader.close()
        if process.returncode:
            raise BenchError(f"{way} failed:\n{errors.decode()[-2_000:]}")
        done = Done(**json.loads(out))
        seen = sorted(reader.latencies)
        # The two seconds it warms up are in the broker's part too.
        return Measured(
            way,
            load,
            done,
            percentile(seen, 50) * 1e3,
            percentile(seen, 99) * 1e3,
            used / (done.events * (seconds + 2) / seconds) * 1e6,
        )


class _Reader:
    """Whoever carries actions out: reads them as they come; only committed ones where there are transactions."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.latencies: list[float] = []

    @classmethod
    async def open(cls, bootstrap: str, topic: str, *, committed: bool) -> "_Reader":
        """Connects, at the beginning of the topic."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            isolation_level="read_committed" if committed else "read_uncommitted",
        )
        await consumer.start()
        consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
        return cls(consumer)

    async def run(self) -> None:
        """Takes note of how long after it was made an action is read, one of each batch."""
        made = 0
        while True:
            for records in (await self._consumer.getmany(timeout_ms=1_000)).values():
                now = time.monotonic_ns()
                for record in records:
                    if (stamp := int(record.value[:20])) != made:
                        made = stamp
                        self.latencies.append((now - made) / 1e9)

    async def close(self) -> None:
        """Disconnects."""
        await self._consumer.stop()


def _path() -> str:
    return os.pathsep.join([str(BENCH), *(entry for entry in sys.path if entry)])


@contextmanager
def place(bootstrap: str | None, replicas: int) -> Iterator[Place]:
    """Yields where to measure: at `bootstrap`, or on a broker started for it."""
    if bootstrap is not None:
        yield Place(bootstrap, [], replicas)
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=CACHE) as folder, Broker(Path(folder)) as broker:
        yield Place(broker.bootstrap, [broker.pid], replicas)


def measure_all(here: Place, ways: Sequence[str], seconds: float, rounds: int, screen: Screen) -> list[Measured]:
    """Measures each way under each load `rounds` times, in turns; returns the run of the median `durable_p50`."""
    found: list[Measured] = []
    for load in LOADS:
        runs: dict[str, list[Measured]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way in ways:
                runs[way].append(here.measure(way, load, seconds))
                done = runs[way][-1].done
                screen.note(f"{load}: {WAYS[way]}: {done.durable_p50:.1f} ms, {done.rate:,.0f} events/s")
        found += [sorted(run, key=lambda one: one.done.durable_p50)[len(run) // 2] for run in runs.values()]
    return found


def table(found: Sequence[Measured]) -> Table:
    """Returns the runs as a table for a person."""
    shown = Table(title="Batches made durable: times in ms (p50 / p99), CPU in µs an event")
    for name in (
        "load",
        "way",
        "durable",
        "read by a consumer",
        "events/s",
        "our CPU",
        "broker's CPU",
        "takeover of 4",
    ):
        shown.add_column(name, justify="left" if name in ("load", "way") else "right")
    for one in found:
        done = one.done
        shown.add_row(
            one.load,
            WAYS[one.way],
            f"{done.durable_p50:.1f} / {done.durable_p99:.1f}",
            f"{one.visible_p50:.1f} / {one.visible_p99:.1f}",
            f"{done.rate:,.0f}",
            f"{done.cpu:.1f}",
            f"{one.broker_cpu:.1f}",
            f"{done.taking_over:.0f}",
        )
    return shown
