"""What is made durable in `scripts/bench transactions`, and how long it took; also for the job under librdkafka.

Imports nothing but the standard library: that job runs in an environment of its own.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

PARTITIONS: Final = 4
#: Bytes of a decision, an action and a user's state, about as the engine's.
_DECISION, _ACTION, _STATE = 900, 400, 300
#: Seconds between two commits of state.
_COMMIT: Final = 1.0
ROLES: Final = ("actions", "decisions", "outcomes", "dead_letters", "features", "ledger", "state")


class Record(NamedTuple):
    """A record to be written."""

    key: bytes
    value: bytes


@dataclass(frozen=True)
class Load:
    """Batches of some events, each with some decisions and actions; `rate` a second and partition, 0: all it can."""

    events: int
    decisions: int
    actions: int
    states: list[Record]
    rate: float


def _records(count: int, size: int) -> list[Record]:
    return [Record(b"user-%d" % number, b"x" * size) for number in range(count)]


#: 1,000 events a second in all; and as many as are taken, as after an outage.
LOADS: Final = {
    "live": Load(10, 1, 1, _records(250, _STATE), 25.0),
    "behind": Load(2_000, 200, 100, _records(2_500, _STATE), 0.0),
}


def topics_of(prefix: str) -> dict[str, str]:
    """Returns the topics of a run by their roles."""
    return {role: f"{prefix}-{role}" for role in ROLES}


@dataclass
class Batch:
    """One batch; `begins` when it is to be made, `begun` when it was (monotonic seconds).

    Who falls behind begins late: the engine would take more events into a batch then, and so shows no queue.
    """

    load: Load
    begins: float
    begun: float = 0.0

    def outputs(self) -> tuple[list[Record], list[Record]]:
        """Returns its decisions and actions; an action begins with when it was made (monotonic nanoseconds)."""
        self.begun = time.monotonic()
        stamp = b"%020d" % time.monotonic_ns()
        actions = [Record(record.key, stamp + record.value) for record in _ACTIONS[: self.load.actions]]
        return _DECISIONS[: self.load.decisions], actions


_DECISIONS: Final = _records(1_000, _DECISION)
_ACTIONS: Final = _records(1_000, _ACTION)


@dataclass
class Meter:
    """The time of one partition's batches."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    took: float = 0.0
    _began: float = 0.0
    _saved: float = 0.0

    def batches(self, load: Load, number: int) -> Iterator[Batch]:
        """Yields batches until the time is up; those of partitions are spread over the time between two."""
        self._began = self._saved = time.monotonic()
        count = 0
        gap = 1 / load.rate if load.rate else 0.0
        while True:
            begins = self._began + (count + number / PARTITIONS) * gap if gap else time.monotonic()
            self.took = time.monotonic() - self._began
            if begins > self._began + self.seconds:
                return
            yield Batch(load, begins)
            count += 1

    def durable(self, batch: Batch) -> None:
        """Takes note that a batch's outputs are durable."""
        self.latencies.append(time.monotonic() - batch.begun)

    def state_due(self) -> bool:
        """Says whether it is time to make states durable."""
        due = time.monotonic() - self._saved >= _COMMIT
        if due:
            self._saved = time.monotonic()
        return due


@dataclass
class Done:
    """What a run came to: milliseconds, events a second, and microseconds of our CPU an event."""

    durable_p50: float
    durable_p99: float
    rate: float
    cpu: float
    taking_over: float
    events: int

    @classmethod
    def of(cls, meters: Sequence[Meter], load: Load, cpu: float, taking_over: float) -> "Done":
        """`cpu` and `taking_over`: seconds used in all, and until all partitions were taken over."""
        latencies = sorted(latency for meter in meters for latency in meter.latencies)
        events = len(latencies) * load.events
        return cls(
            percentile(latencies, 50) * 1e3,
            percentile(latencies, 99) * 1e3,
            events / max(meter.took for meter in meters),
            cpu / events * 1e6,
            taking_over * 1e3,
            events,
        )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Returns a percentile of ordered numbers, by the nearest rank."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
