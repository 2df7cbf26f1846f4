"""Where the time goes: seconds by stage, counted once a batch, never once an event."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from forestay.shell.observing.histogram import Histogram


class Timings:
    """Sums of seconds and counts over a worker's life; cheap enough to be always on."""

    def __init__(self) -> None:
        """Starts at zero."""
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.counts: Counter[str] = Counter()
        #: How long each run of a stage took.
        self.runs: defaultdict[str, Histogram] = defaultdict(Histogram)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds the time the block takes to stage `name`; awaiting counts as time taken."""
        started = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - started
            self.seconds[name] += seconds
            self.runs[name].observe(seconds)

    def count(self, name: str, amount: int) -> None:
        """Adds to a count."""
        self.counts[name] += amount

    def __str__(self) -> str:
        """Returns one line for the log."""
        counts = " ".join(f"{name}={amount}" for name, amount in sorted(self.counts.items()))
        stages = " ".join(f"{name}={seconds:.2f}s" for name, seconds in sorted(self.seconds.items()))
        return f"{counts} | {stages}"
