"""Whether the reward model's answers, of users it has not seen, are what then came."""

from typing import Final, NamedTuple

import numpy as np

from forestay_training.offpolicy.log import Vector

_BINS: Final = 10


class Bin(NamedTuple):
    """About a tenth of the decisions, by what was expected: means of both, and how many."""

    expected: float
    came: float
    decisions: int


class Calibration(NamedTuple):
    """`gap` is expected less come, over all; `error` the mean distance of both over the bins.

    `explained` is 1 - mean squared error / variance: 0 is the mean, below it the model is worse than none.
    """

    expected: float
    came: float
    gap: float
    error: float
    explained: float | None
    bins: list[Bin]


def calibration(expected: Vector, came: Vector) -> Calibration:
    """Compares answers for the chosen actions (N,) with their rewards (N,)."""
    edges = np.quantile(expected, np.linspace(0, 1, _BINS + 1)[1:-1])
    # Equal answers share a bin.
    place = np.searchsorted(edges, expected, side="right")
    bins = [
        Bin(
            float(expected[place == number].mean()), float(came[place == number].mean()), int((place == number).sum())
        )
        for number in np.unique(place)
    ]
    spread = float(came.var())
    return Calibration(
        expected=float(expected.mean()),
        came=float(came.mean()),
        gap=float(expected.mean() - came.mean()),
        error=sum(abs(one.expected - one.came) * one.decisions for one in bins) / len(came),
        explained=1 - float(((came - expected) ** 2).mean()) / spread if spread > 0 else None,
        bins=bins,
    )
