"""Sums over the last few hours or minutes: a ring of buckets of event time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Ring:
    """The newest `size` buckets of sums of one shape; a bucket is a number that only grows."""

    def __init__(self, size: int, *shape: int) -> None:
        """Starts empty."""
        self._buckets = np.zeros((size, *shape))
        self._newest = -1

    @property
    def newest(self) -> int:
        """Returns the newest bucket, -1 before there is one."""
        return self._newest

    def advance(self, bucket: int) -> NDArray[np.float64]:
        """Goes on to `bucket`; returns the sums of those that fell out. One that lies behind changes nothing."""
        size = len(self._buckets)
        steps = min(bucket - self._newest, size) if self._newest >= 0 else 0
        self._newest = max(self._newest, bucket)
        if steps <= 0:
            return np.zeros(self._buckets.shape[1:])
        gone: NDArray[np.float64] = self._buckets[self._newest % size].copy()
        self._buckets[self._newest % size] = 0
        for bucket_before in range(self._newest - steps + 1, self._newest):
            gone += self._buckets[bucket_before % size]
            self._buckets[bucket_before % size] = 0
        return gone

    def add(self, sums: NDArray[Any]) -> None:
        """Adds to the newest bucket."""
        self._buckets[self._newest % len(self._buckets)] += sums

    @property
    def total(self) -> NDArray[np.float64]:
        """Returns the sums over all buckets."""
        total: NDArray[np.float64] = self._buckets.sum(axis=0)
        return total
