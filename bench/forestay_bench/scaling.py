"""How the cost of an event grows: with users, and with workers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from forestay_bench.engine import Load, engine
from forestay_bench.paths import CACHE
from forestay_bench.results import Measurement
from forestay_bench.sitting import Sitting
from forestay_bench.stream import StreamSpec, stream

USERS: Final = (1_000, 10_000, 100_000, 1_000_000)
WORKERS: Final = (1, 2, 4)


class Step(NamedTuple):
    """One step of a series: so many users (those who have events) or workers, and what it took."""

    size: int
    run: Measurement


def by_users(sitting: Sitting, load: Load, events: int, skew: float, steps: Sequence[int] = USERS) -> list[Step]:
    """Runs the same number of events by ever more users. Of a million of Zipf's law not all have events."""
    done = []
    for users in steps:
        spec = StreamSpec(events, users, skew)
        active = len(np.unique(stream(spec, CACHE).users))
        peer = engine(load)
        run = sitting.run(replace(peer, title=f"{peer.title}, {active:,} users"), spec)
        done += [Step(active, run)] if run is not None else []
    return done


def by_workers(sitting: Sitting, load: Load, events: int, steps: Sequence[int] = WORKERS) -> list[Step]:
    """Runs the same events by ever more workers, who share the partitions."""
    runs = [(workers, sitting.run(engine(load, workers), StreamSpec(events))) for workers in steps]
    return [Step(workers, run) for workers, run in runs if run is not None]
