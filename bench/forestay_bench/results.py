"""The figures of a run, and the ratios of a sitting."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass
class Measurement:
    """One run. `warm_` is of its second half; CPU is that of the worker, a commit after the last event inside.

    A worker's CPU does not include what it took to start (`startup_cpu_seconds`).
    """

    name: str
    title: str
    events: int
    wall_seconds: float
    rate: float
    warm_rate: float
    cpu_us: float
    warm_cpu_us: float
    memory_mb: float
    broker_cpu_seconds: float
    others_cpu_seconds: float
    startup_cpu_seconds: float
    disturbed: bool
    outputs: int = 0
    changelog_records: int = 0
    changelog_mb: float = 0.0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Figures:
    """What ratios are made of: warm events/s, warm CPU microseconds an event."""

    rate: float
    cpu_us: float


Ratios = dict[str, dict[str, float | None]]


def figures(runs: Sequence[Measurement], name: str) -> Figures | None:
    """Returns the mean of a peer's runs (the reference runs before and after), None if there is none."""
    mine = [run for run in runs if run.name == name]
    if not mine:
        return None
    return Figures(statistics.fmean(run.warm_rate for run in mine), statistics.fmean(run.warm_cpu_us for run in mine))


def ratios(runs: Sequence[Measurement]) -> Ratios:
    """Returns the ratios by load, each larger when this engine is better; None where either side was not run.

    `vs_` is our warm events/s by theirs, `cpu_vs_` their warm CPU time an event by ours.
    """
    asked: Mapping[str, Mapping[str, str]] = {
        "same_job": {
            "vs_stock_faust": "faust",
            "vs_aiokafka_json": "aiokafka",
            "cpu_vs_kafka_streams": "kafka-streams",
            "cpu_vs_flink": "flink",
        },
        "full": {"vs_aiokafka_json": "aiokafka", "cpu_vs_kafka_streams": "kafka-streams"},
    }
    return {
        load: {
            key: _ratio(key, figures(runs, f"forestay-{load}"), figures(runs, name)) for key, name in others.items()
        }
        for load, others in asked.items()
    }


def _ratio(key: str, ours: Figures | None, theirs: Figures | None) -> float | None:
    if ours is None or theirs is None:
        return None
    value = theirs.cpu_us / ours.cpu_us if key.startswith("cpu_") else ours.rate / theirs.rate
    return round(value, 3)
