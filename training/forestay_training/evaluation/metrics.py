"""Measures of churn probabilities, each of weighted rows: a bootstrap draws users by weighing their rows.

All models are looked at hundreds of times, so what does not depend on the weights (order, bins) is found once.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Labels = NDArray[np.float32]

#: Higher is better for the first three and the last; a slope of 1 is right.
MEASURES: Final = (
    "auc", "average_precision", "lift_at_10", "log_loss", "brier", "ece", "calibration_slope", "calibration_gap",
)  # fmt: skip
_BINS: Final = 15
#: Probabilities are held this far from the ends, as a single sure mistake would cost without bound.
_HELD: Final = 1e-7
_TOP: Final = 0.10
_STEPS: Final = 25
_CLOSE: Final = 1e-8
#: Logits beyond are as sure as can be, and their exponentials overflow.
_STEEP: Final = 30.0


class Measured:
    """One model's probabilities (N,) on rows whose labels (N,) are known."""

    def __init__(self, churned: Labels, probabilities: Vector) -> None:
        """Takes labels of 0 and 1 and probabilities, not necessarily of (0, 1)."""
        self._churned = churned.astype(np.float64)
        self._held = np.clip(np.asarray(probabilities, dtype=np.float64), _HELD, 1 - _HELD)
        self._logits = np.log(self._held / (1 - self._held))
        self._losses = -np.where(churned > 0, np.log(self._held), np.log1p(-self._held))
        self._squares = (self._churned - self._held) ** 2
        # Numbers of equal probabilities, the highest first.
        distinct, place = np.unique(-np.asarray(probabilities, dtype=np.float64), return_inverse=True)
        self._place, self._distinct = place, len(distinct)
        self._bins = bins_of(self._held, _BINS)
        self._start = np.array([0.0, 1.0])

    def of(self, weights: Vector) -> Vector:
        """Returns the numbers named in `MEASURES`; those that need both labels are nan where one is missing."""
        total = weights.sum()
        left: Vector = np.bincount(self._place, weights * self._churned, self._distinct).astype(np.float64)
        stayed: Vector = np.bincount(self._place, weights * (1 - self._churned), self._distinct).astype(np.float64)
        both = left.sum() > 0 and stayed.sum() > 0
        auc, precision, lift = _ranking(left, stayed) if both else (np.nan, np.nan, np.nan)
        gaps = np.bincount(self._bins, weights * (self._churned - self._held), _BINS)
        return np.array(
            [
                auc,
                precision,
                lift,
                (weights * self._losses).sum() / total,
                (weights * self._squares).sum() / total,
                np.abs(gaps).sum() / total,
                self._slope(weights) if both else np.nan,
                (weights * (self._held - self._churned)).sum() / total,
            ]
        )

    def _slope(self, weights: Vector) -> float:
        """Returns the slope of a logistic regression of the labels on the logit (Cox, 1958), by Newton's method.

        nan where it has none: labels that the logit separates, or all probabilities the same.
        """
        found = self._start
        for _ in range(_STEPS):
            fitted = 1 / (1 + np.exp(-np.clip(found[0] + found[1] * self._logits, -_STEEP, _STEEP)))
            errors = weights * (self._churned - fitted)
            curvature = weights * fitted * (1 - fitted)
            slope = np.array([errors.sum(), (errors * self._logits).sum()])
            cross = (curvature * self._logits).sum()
            square = np.array([[curvature.sum(), cross], [cross, (curvature * self._logits**2).sum()]])
            if not np.isfinite(square).all() or np.linalg.det(square) < _CLOSE:
                return float("nan")
            step = np.linalg.solve(square, slope)
            found = found + step
            if np.abs(step).max() < _CLOSE:
                break
        return float(found[1])


def measure(churned: Labels, probabilities: Vector) -> dict[str, float]:
    """Returns the measures by their names, all rows weighing alike."""
    values = Measured(churned, probabilities).of(np.ones(len(churned)))
    return dict(zip(MEASURES, values.tolist(), strict=True))


def log_loss(churned: Labels, probabilities: Vector) -> float:
    """Returns the mean negative log-likelihood in nats."""
    held = np.clip(probabilities, _HELD, 1 - _HELD)
    return float(-np.where(churned > 0, np.log(held), np.log1p(-held)).mean())


def bins_of(probabilities: Vector, count: int) -> NDArray[np.int64]:
    """Returns each row's bin, of `count` with equally many rows (Naeini et al., 2015); equal ones share a bin."""
    edges = np.quantile(probabilities, np.linspace(0, 1, count + 1)[1:-1])
    return np.searchsorted(edges, probabilities, side="right")


def _ranking(left: Vector, stayed: Vector) -> tuple[float, float, float]:
    """Returns AUC, average precision, and lift of the riskiest tenth, of weights by probability, falling."""
    positives, negatives = left.sum(), stayed.sum()
    above = np.cumsum(left)
    auc = ((above - left / 2) * stayed).sum() / (positives * negatives)
    seen = np.cumsum(left + stayed)
    there = seen > 0
    precision = (left[there] * above[there] / seen[there]).sum() / positives
    # Rows of one probability are in no order: as many of them as the tenth still needs.
    found = np.interp(_TOP * seen[-1], np.concatenate([[0.0], seen]), np.concatenate([[0.0], above]))
    return float(auc), float(precision), float(found / (_TOP * positives))
