"""Points of the plots: gains, calibration, ROC."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from forestay_training.evaluation.metrics import Labels, Vector, bins_of

_POINTS: Final = 101
_BINS: Final = 10


def gains(churned: Labels, probabilities: Vector) -> Vector:
    """Returns which share of those who left is among the riskiest 0 %, 1 %, ... 100 % of the rows, (101,)."""
    found = np.concatenate([[0.0], np.cumsum(churned[np.argsort(-probabilities, kind="stable")], dtype=np.float64)])
    wanted = np.linspace(0, len(churned), _POINTS)
    return np.asarray(np.interp(wanted, np.arange(len(found)), found / found[-1]))


def roc(churned: Labels, probabilities: Vector) -> tuple[Vector, Vector]:
    """Returns the shares of stayers and of leavers above falling thresholds, (101,) each."""
    order = np.argsort(-probabilities, kind="stable")
    left = np.cumsum(churned[order], dtype=np.float64)
    stayed = np.cumsum(1 - churned[order], dtype=np.float64)
    wanted = np.linspace(0, 1, _POINTS)
    return wanted, np.asarray(np.interp(wanted, stayed / stayed[-1], left / left[-1]))


def calibration(churned: Labels, probabilities: Vector) -> list[tuple[float, float, int]]:
    """Returns of tenths of the rows the mean probability, the share that left, and how many there are."""
    bins = bins_of(probabilities, _BINS)
    masks: list[NDArray[np.bool_]] = [bins == number for number in range(_BINS)]
    return [
        (float(probabilities[mask].mean()), float(churned[mask].mean()), int(mask.sum()))
        for mask in masks
        if mask.any()
    ]
