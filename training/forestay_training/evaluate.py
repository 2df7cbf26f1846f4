"""How good are probabilities: five measures, with intervals from a bootstrap over users.

Users are drawn, not rows: one user's rows rise and fall together. All models are measured on the same draws, so
that their differences have intervals too.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

Labels = NDArray[np.float32]
Probabilities = NDArray[np.float64]
Weights = NDArray[np.float64]
#: value, lower and upper end of the 95 % interval.
Interval = tuple[float, float, float]

MEASURES: Final = ("auc", "average_precision", "log_loss", "brier", "ece")
_BINS: Final = 15
_DIGITS: Final = 4


def log_loss(churned: Labels, probabilities: Probabilities) -> float:
    """Returns the mean negative log-likelihood in nats."""
    return float(sklearn_log_loss(churned, probabilities))


def calibration_error(churned: Labels, probabilities: Probabilities, weights: Weights) -> float:
    """Returns the expected calibration error over 15 bins of equally many rows (Naeini et al., 2015)."""
    edges = np.quantile(probabilities, np.linspace(0, 1, _BINS + 1)[1:-1])
    bins = np.searchsorted(edges, probabilities, side="right")
    gaps = np.bincount(bins, weights=weights * (churned - probabilities), minlength=_BINS)
    return float(np.abs(gaps).sum() / weights.sum())


def measure(churned: Labels, probabilities: Probabilities, weights: Weights) -> NDArray[np.float64]:
    """Returns the numbers named in `MEASURES`."""
    return np.array(
        [
            roc_auc_score(churned, probabilities, sample_weight=weights),
            average_precision_score(churned, probabilities, sample_weight=weights),
            sklearn_log_loss(churned, probabilities, sample_weight=weights),
            brier_score_loss(churned, probabilities, sample_weight=weights),
            calibration_error(churned, probabilities, weights),
        ]
    )


class Comparison:
    """Models measured on the same rows and on the same draws of users."""

    def __init__(
        self, users: NDArray[np.str_], churned: Labels, models: Mapping[str, Probabilities], draws: int, seed: int
    ) -> None:
        """`users`, `churned` and each model's probabilities are (N,)."""
        _, numbers = np.unique(users, return_inverse=True)
        generator = np.random.default_rng(seed)
        count = int(numbers.max()) + 1
        weights = [np.ones(len(users))]
        for _ in range(draws):
            drawn = np.bincount(generator.integers(count, size=count), minlength=count)
            weights.append(drawn[numbers].astype(np.float64))
        self._measured = {
            name: np.stack([measure(churned[w > 0], probabilities[w > 0], w[w > 0]) for w in weights])
            for name, probabilities in models.items()
        }

    def figures(self) -> dict[str, dict[str, Interval]]:
        """Returns each model's measures."""
        return {name: _intervals(measured) for name, measured in self._measured.items()}

    def differences(self, model: str, other: str) -> dict[str, Interval]:
        """Returns `model` minus `other`."""
        return _intervals(self._measured[model] - self._measured[other])


def _intervals(measured: NDArray[np.float64]) -> dict[str, Interval]:
    """Takes (1 + draws, measures): the value first, then its draws."""
    low, high = np.quantile(measured[1:], [0.025, 0.975], axis=0)
    rows = zip(measured[0], low, high, strict=True)
    return {
        name: (round(float(value), _DIGITS), round(float(lower), _DIGITS), round(float(upper), _DIGITS))
        for name, (value, lower, upper) in zip(MEASURES, rows, strict=True)
    }
