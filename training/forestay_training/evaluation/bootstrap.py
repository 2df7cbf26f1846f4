"""Intervals from a bootstrap over users: one user's rows rise and fall together, so users are drawn, not rows.

All models are measured on the same draws, so that their differences have intervals too.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forestay_training.evaluation.metrics import MEASURES, Labels, Measured, Vector

_DIGITS: Final = 4
#: Of the draws at least so many must have a value, or the interval would be of chance.
_ENOUGH: Final = 0.9


class Interval(NamedTuple):
    """A value and the ends of its 95 % interval; None where there is none, as of an AUC of one class."""

    value: float | None
    low: float | None
    high: float | None


Figures = dict[str, Interval]


class Comparison:
    """Models measured on the same rows and the same draws of users."""

    def __init__(
        self,
        users: NDArray[np.str_],
        churned: Labels,
        models: Mapping[str, Vector],
        draws: int,
        *,
        seed: int = 0,
        done: Callable[[int], None] = lambda _models: None,
    ) -> None:
        """`users`, `churned` and each model's probabilities are (N,); `done` is told how many models are measured."""
        _, numbers = np.unique(users, return_inverse=True)
        self._weights = _draw(numbers, draws, seed)
        #: Of each model (1 + draws, measures): all users as they are, then the draws.
        self.measured: dict[str, Vector] = {}
        for number, (name, probabilities) in enumerate(models.items(), start=1):
            one = Measured(churned, probabilities)
            self.measured[name] = np.stack([one.of(weights[numbers]) for weights in self._weights])
            done(number)

    def figures(self) -> dict[str, Figures]:
        """Returns each model's measures."""
        return {name: _intervals(measured) for name, measured in self.measured.items()}

    def difference(self, model: str, other: str) -> Figures:
        """Returns `model` minus `other`."""
        return _intervals(self.measured[model] - self.measured[other])


def mean_figures(comparisons: Sequence[Comparison], model: str, other: str | None = None) -> Figures:
    """Returns means over comparisons on the same rows and draws: of `model`'s measures, or of its lead on `other`."""
    found = [one.measured[model] - (0 if other is None else one.measured[other]) for one in comparisons]
    return _intervals(np.mean(found, axis=0))


def _draw(numbers: NDArray[np.int64], draws: int, seed: int) -> list[Vector]:
    """Returns how often each user counts: once, and then as drawn, with replacement."""
    generator = np.random.default_rng(seed)
    count = int(numbers.max()) + 1
    drawn = (np.bincount(generator.integers(count, size=count), minlength=count) for _ in range(draws))
    return [np.ones(count), *(weights.astype(np.float64) for weights in drawn)]


def _intervals(measured: Vector) -> Figures:
    """Takes (1 + draws, measures): the value first, then its draws."""
    return {name: _interval(column) for name, column in zip(MEASURES, measured.T, strict=True)}


def _interval(column: Vector) -> Interval:
    value, draws = column[0], column[1:][np.isfinite(column[1:])]
    if not np.isfinite(value):
        return Interval(None, None, None)
    if not len(draws) or len(draws) < _ENOUGH * (len(column) - 1):
        return Interval(_rounded(value), None, None)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(_rounded(value), _rounded(low), _rounded(high))


def _rounded(value: Any) -> float:
    # Adding zero: -0.0 is 0.0.
    return round(float(value), _DIGITS) + 0.0
