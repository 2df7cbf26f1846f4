"""Expected against observed returns: how many of those scored should have ordered by now, and how many have.

A user's first score opens a window of the horizon; the model says how likely an order falls into it, and the stream
how it was. Once a window has closed the next score opens another, so a user counts once at a time. Of a calibrated
model no more is expected than that the sums agree, whoever is scored, and at whatever moments.
"""

from math import sqrt
from typing import Final, NamedTuple

import numpy as np

from forestay.core.hashing import hash64
from forestay.core.units import HOUR
from forestay.core.watch.ring import Ring

#: Open windows of a partition: 250 bytes each.
MOST_OPEN: Final = 10_000
#: The last hours of closed windows that are looked at together.
HOURS: Final = 24
#: Variance of what is expected below which a normal distribution is no bound.
_LEAST_VARIANCE: Final = 25.0
#: Standard deviations that are passed once in ten thousand times, on either side (see `stability.NORMAL`).
TWO_SIDED: Final = 3.890592
#: Relative error that is no alarm, however sure.
LEAST_ERROR: Final = 0.025


class Windows(NamedTuple):
    """Closed windows: how many, how many of their users were expected to order, its variance, and how many did."""

    closed: int
    expected: float
    variance: float
    observed: int

    @property
    def deviations(self) -> float | None:
        """Returns how many standard deviations more were observed, None where there are too few to tell.

        The sum of independent yes and no of different chances (Poisson-binomial) is close to normal.
        """
        if self.variance < _LEAST_VARIANCE:
            return None
        return (self.observed - self.expected) / sqrt(self.variance)

    @property
    def is_off(self) -> bool:
        """Says whether more or fewer returned than chance explains (0.01 %, both sides together)."""
        deviations = self.deviations
        if deviations is None or abs(deviations) < TWO_SIDED:
            return False
        return abs(self.observed - self.expected) >= LEAST_ERROR * self.expected


class Returns:
    """Windows of one partition's users."""

    def __init__(self, horizon: int, most_open: int = MOST_OPEN) -> None:
        """`horizon` in milliseconds; beyond `most_open` windows a half of the users is followed, then a quarter..."""
        self._horizon = horizon
        self._most = most_open
        self._open: dict[str, tuple[int, float, bool]] = {}
        #: Users are followed whose hash has zeros here. Never loosened again: who is dropped would be a choice.
        self._mask = 0
        self._closed = Ring(HOURS, 4)
        self.ever = np.zeros(4)

    @property
    def recent(self) -> Windows:
        """Returns the windows closed in the last day of traffic."""
        return windows_of(self._closed.total)

    @property
    def sums(self) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        """Returns `recent` as sums that can be added up over partitions."""
        return self._closed.total

    def expect(self, user_id: str, now: int, returning: float) -> None:
        """Opens a window at `now` (milliseconds) for who returns with this probability, if none is open."""
        if user_id in self._open or hash64(user_id) & self._mask:
            return
        if len(self._open) >= self._most:
            self._mask = self._mask << 1 | 1
            self._open = {known: one for known, one in self._open.items() if not hash64(known) & self._mask}
            if hash64(user_id) & self._mask:
                return
        self._open[user_id] = (now, returning, False)

    def ordered(self, user_id: str, ts: int) -> None:
        """Takes an order into the user's window."""
        window = self._open.get(user_id)
        if window is not None and window[0] < ts <= window[0] + self._horizon:
            self._open[user_id] = (window[0], window[1], True)

    def close(self, clock: int) -> None:
        """Closes windows that end by `clock` (milliseconds), in the order they were opened."""
        self._closed.advance(clock // HOUR)
        closed: list[str] = []
        expected, variance, observed = 0.0, 0.0, 0
        for user_id, (now, returning, came) in self._open.items():
            if now + self._horizon > clock:
                break
            closed.append(user_id)
            expected += returning
            variance += returning * (1 - returning)
            observed += came
        if closed:
            sums = np.array([len(closed), expected, variance, observed])
            self._closed.add(sums)
            self.ever += sums
            for user_id in closed:
                del self._open[user_id]


def windows_of(sums: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> Windows:
    """Returns sums as what they are."""
    closed, expected, variance, observed = (float(one) for one in sums)
    return Windows(round(closed), expected, variance, round(observed))


def quality(histogram: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> tuple[float, float] | None:
    """Returns the AUC and the Brier score that scores have if they are calibrated; None where they tell nothing.

    `histogram`: counts by bins of equal width from 0 to 1. Confidence-based performance estimation: of n users with
    the probability p, np leave (NannyML, docs, "Estimation of Performance of the Monitored Model").
    """
    bins = len(histogram)
    middle = (np.arange(bins) + 0.5) / bins
    leave, stay = histogram * middle, histogram * (1 - middle)
    if leave.sum() < 1 or stay.sum() < 1:
        return None
    lower = np.cumsum(stay) - stay
    auc = float((leave * (lower + stay / 2)).sum() / (leave.sum() * stay.sum()))
    return auc, float((leave * (1 - middle)).sum() / histogram.sum())
