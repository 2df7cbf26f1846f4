"""Counts of seconds by bounds, as Prometheus has them."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

#: Seconds: a stage of a small batch takes a millisecond, a record after an outage is minutes old.
BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Histogram:
    """How many observations lie at or below each bound, and their sum."""

    def __init__(self, bounds: Sequence[float] = BOUNDS) -> None:
        """`bounds` rise; beyond the last is one more."""
        self.bounds = tuple(bounds)
        self.sum = 0.0
        self._counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Counts a value."""
        self.sum += value
        self._counts[bisect_left(self.bounds, value)] += 1

    def cumulative(self) -> list[tuple[str, int]]:
        """Returns, by upper bound in words, how many are not above it; the last is `+Inf`."""
        names = [*map(repr, self.bounds), "+Inf"]
        reached, made = 0, []
        for name, count in zip(names, self._counts, strict=True):
            reached += count
            made.append((name, reached))
        return made
