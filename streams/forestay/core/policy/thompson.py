"""Gaussian Thompson sampling without sampling: how probable it is that each arm is the best, and above 0.

For independent Gaussians P(arm a is best) is the integral over x > 0 of its density times the probability that all
others lie below x. It is taken over one grid for all arms, the quantiles of each pooled and sorted, by trapezoids in
the arm's own distribution function; Gauss-Hermite nodes of one arm miss a much narrower one. P(nothing) is the
probability that all lie below 0, exact but for the distribution function.
"""

from functools import lru_cache
from statistics import NormalDist
from typing import Final

import numpy as np

from forestay.core.policy.posterior import Vector

#: Quantiles an arm adds to the grid, at Chebyshev's nodes of (0, 1): dense where the tails of others are. Within
#: 0.0013 of the exact probabilities, for deviations a thousand times apart.
_POINTS: Final = 17
#: Error function by Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: within 1.5e-7 everywhere.
_SLOPE: Final = 0.3275911
_TERMS: Final = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
_NARROW: Final = 1e-9


def best_probabilities(means: Vector, deviations: Vector) -> Vector:
    """Returns P(nothing), whose value is 0, and of each of K arms P(it is the best and above 0): (K + 1,), sum 1."""
    deviations = np.maximum(deviations, _NARROW)
    points = (means[:, None] + deviations[:, None] * _quantiles(len(means))).ravel()
    grid = np.concatenate([[0.0], np.sort(points[points > 0])])
    below = _cumulative((grid - means[:, None]) / deviations[:, None])
    others = _without_each(below)
    inside = (np.diff(below, axis=1) * (others[:, 1:] + others[:, :-1]) / 2).sum(axis=1)
    # Beyond the last point all others lie below, nearly always.
    parts = np.concatenate([[below[:, 0].prod()], inside + 1 - below[:, -1]])
    return np.asarray(parts / parts.sum())


@lru_cache(maxsize=256)
def _quantiles(arms: int) -> Vector:
    """Returns the quantiles (K, G) of the standard normal distribution that arms add to the grid.

    Those of an arm lie between those of the others, so that arms that are alike, as all are in the beginning, make a
    grid that is finer, and not the same points again.
    """
    nodes = np.arange(_POINTS) + (np.arange(arms)[:, None] + 0.5) / max(arms, 1)
    shares = (1 - np.cos(np.pi * nodes / _POINTS)) / 2
    inverse = NormalDist().inv_cdf
    return np.array([[inverse(share) for share in row] for row in shares.tolist()]).reshape(arms, _POINTS)


def _without_each(below: Vector) -> Vector:
    """Returns for each arm (K) and point (G) the product over all other arms, from products before and after it."""
    one = np.ones((1, below.shape[1]))
    before = np.concatenate([one, np.cumprod(below[:-1], axis=0)])
    after = np.concatenate([np.cumprod(below[:0:-1], axis=0)[::-1], one])
    return np.asarray(before * after)


def _cumulative(z: Vector) -> Vector:
    """Returns the standard normal distribution function."""
    x = np.abs(z) / np.sqrt(2)
    t = 1 / (1 + _SLOPE * x)
    series = np.zeros_like(x)
    for term in reversed(_TERMS):
        series = (series + term) * t
    return np.asarray((1 + np.sign(z) * (1 - series * np.exp(-x * x))) / 2)
