"""Intervals of 95 % from a bootstrap over the people of the test; the models are not fitted anew in each draw."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from forestay_training.uplift.campaign import Matrix, Vector

_ENDS: Final = (2.5, 97.5)
_DIGITS: Final = 6

Figure = dict[str, Any]


def drawn_weights(people: int, draws: int, seed: int) -> list[Vector]:
    """Returns how often each person counts in each draw, (N,) each."""
    generator = np.random.default_rng(seed)
    picked = (generator.integers(people, size=people) for _ in range(draws))
    return [np.bincount(one, minlength=people).astype(np.float64) for one in picked]


def measured(of: Callable[[Vector | None], float], weights: list[Vector]) -> Figure:
    """Returns the figure of all people with its interval over the draws."""
    return figure(of(None), np.array([of(one) for one in weights]))


def means(columns: Mapping[str, Vector], weights: list[Vector]) -> tuple[dict[str, float], dict[str, Vector]]:
    """Returns each column's mean, and its mean in each draw (draws,)."""
    table: Matrix = np.stack(list(columns.values()), axis=1)
    drawn = np.array([one @ table / one.sum() for one in weights])
    return dict(zip(columns, table.mean(axis=0).tolist(), strict=True)), dict(zip(columns, drawn.T, strict=True))


def figure(value: float, drawn: Vector) -> Figure:
    """Returns a value with its interval, None where there is none."""
    if not np.isfinite(value):
        return {"value": None, "interval": None}
    if not np.isfinite(drawn).all():
        return {"value": rounded(value), "interval": None}
    low, high = np.percentile(drawn, _ENDS)
    return {"value": rounded(value), "interval": [rounded(low), rounded(high)]}


def rounded(value: float) -> float:
    """Returns `value` to six digits after the point; -0.0 is 0.0."""
    return round(float(value), _DIGITS) + 0.0
