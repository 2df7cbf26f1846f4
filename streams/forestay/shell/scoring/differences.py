"""How far a version that scores along is from the one that answers: sums and a histogram, never the pairs."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

#: Cells of the histogram of absolute differences: a quantile is known to 0.001.
_CELLS: Final = 1_000
_QUANTILES: Final = (0.5, 0.9, 0.99)


class Differences:
    """Differences in probability of two versions on the same users."""

    def __init__(self, thresholds: Sequence[float] = (0.5,)) -> None:
        """`thresholds`: probabilities at which something else is decided."""
        self._thresholds = np.array(sorted(thresholds))
        self.count = 0
        self.largest = 0.0
        #: Users of whom the two say other sides of a threshold.
        self.crossing = 0
        self._sum = 0.0
        self._absolute = 0.0
        self._cells = np.zeros(_CELLS + 1, np.int64)

    def add(self, answering: Sequence[float], along: Sequence[float]) -> None:
        """Takes the probabilities of one batch, user by user."""
        one, other = np.asarray(answering, np.float64), np.asarray(along, np.float64)
        differences = np.abs(other - one)
        self.count += len(one)
        self._sum += float((other - one).sum())
        self._absolute += float(differences.sum())
        self.largest = max(self.largest, float(differences.max(initial=0.0)))
        self.crossing += int((self._side(one) != self._side(other)).sum())
        self._cells += np.bincount((differences * _CELLS).astype(np.int64), minlength=_CELLS + 1)

    def told(self) -> dict[str, Any]:
        """Returns it for machines: means, quantiles of the absolute difference, and the share that crosses."""
        some = max(self.count, 1)
        return {
            "users": self.count,
            "mean_difference": self._sum / some,
            "mean_absolute_difference": self._absolute / some,
            "largest_difference": self.largest,
            "quantiles": {f"{share:g}": self._quantile(share) for share in _QUANTILES},
            "crossing_share": self.crossing / some,
            "thresholds": self._thresholds.tolist(),
        }

    def __str__(self) -> str:
        """Returns it in words."""
        told = self.told()
        quantiles = ", ".join(f"p{100 * float(share):g} {value:.3f}" for share, value in told["quantiles"].items())
        return (
            f"{self.count:,} users, {told['mean_absolute_difference']:.4f} apart on average"
            f" ({told['mean_difference']:+.4f}), {quantiles}, at most {self.largest:.4f};"
            f" {told['crossing_share']:.2%} on another side of a threshold"
        )

    def _side(self, probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.searchsorted(self._thresholds, probabilities, side="right")

    def _quantile(self, share: float) -> float:
        """Returns the upper end of the cell that holds the quantile, 0 without any."""
        if not self.count:
            return 0.0
        cell = int(np.searchsorted(np.cumsum(self._cells), share * self.count))
        return min((cell + 1) / _CELLS, self.largest)
