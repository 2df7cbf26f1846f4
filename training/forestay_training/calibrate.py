"""Platt's calibration: a slope and an intercept on the logit, fitted where a model has not been fitted."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

Probabilities = NDArray[np.float64]


class Platt(NamedTuple):
    """p = sigmoid(slope logit(q) + intercept). Platt, 'Probabilistic outputs for support vector machines', 1999."""

    slope: float
    intercept: float

    @classmethod
    def fit(cls, churned: NDArray[np.float32], probabilities: Probabilities) -> Self:
        """Fits both numbers by maximum likelihood (a penalty of 1e-6 keeps separable data finite)."""
        model = LogisticRegression(C=1e6).fit(logit(probabilities)[:, None], churned)
        return cls(float(model.coef_[0, 0]), float(model.intercept_[0]))

    def apply(self, probabilities: Probabilities) -> Probabilities:
        """Returns calibrated probabilities."""
        calibrated: Probabilities = 1 / (1 + np.exp(-(self.slope * logit(probabilities) + self.intercept)))
        return calibrated


def calibrated_log_loss(churned: NDArray[np.float32], probabilities: Probabilities) -> float:
    """Returns the log-loss that calibration on these very rows would leave.

    Choices are made by it: what a model gets wrong in level alone is put right later, and the level differs between
    seasons by more than models differ otherwise.
    """
    return log_loss(churned, Platt.fit(churned, probabilities).apply(probabilities))


def logit(probabilities: Probabilities) -> Probabilities:
    """Returns log(p / (1 - p)) with p held within 1e-6 of the ends."""
    held = np.clip(probabilities, 1e-6, 1 - 1e-6)
    odds: Probabilities = np.log(held / (1 - held))
    return odds
