"""Group-sequential tests: bounds for several looks at growing data that together err as often as one look would.

Lan and DeMets, Discrete sequential boundaries for clinical trials, Biometrika 70 (1983): the chance of error is spent
by a function of the share of information that is in, so looks may come when they come. The bounds are found by the
recursive integration of Armitage, McPherson and Rowe (1969) over the score process, a Brownian motion.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from forestay_training.experiments.arrays import Floats

#: No bound lies further out: beyond it nothing is spent that numbers could tell (as in R's ldbounds).
_FURTHEST: Final = 8.0
#: A density is held at its Gauss-Legendre points: this many, and more where looks are close to each other.
_LEAST_POINTS: Final = 64
_MOST_POINTS: Final = 1_500
_POINTS_A_STEP: Final = 6


def spent(fractions: Sequence[float], alpha: float) -> list[float]:
    """Returns the two-sided chance of error used up by each share of the information, like O'Brien and Fleming.

    Each side spends 2 - 2 Phi(z / sqrt(t)) of its alpha / 2, with z the normal quantile at 1 - alpha / 4
    (Lan and DeMets 1983, alpha_1*): next to nothing early, nearly all at the end.
    """
    quantile = norm.isf(alpha / 4)
    return [float(4 * norm.sf(quantile / np.sqrt(min(fraction, 1.0)))) for fraction in fractions]


class _Density(NamedTuple):
    """The part of the score process that has crossed no bound: where, with what weight, at what information."""

    points: Floats
    mass: Floats
    fraction: float


_START: Final = _Density(np.zeros(1), np.ones(1), 0.0)


def bounds(fractions: Sequence[float], used: Sequence[float]) -> list[float]:
    """Returns for each look the bound on |z| that spends `used`, the chance of error in all until then.

    `fractions` are the shares of the information at the looks, rising and above 0.
    """
    found: list[float] = []
    density, before = _START, 0.0
    for index, (fraction, until_now) in enumerate(zip(fractions, used, strict=True)):
        found.append(_bound(density, fraction, until_now - before))
        before = until_now
        density = _carried(density, fraction, found[-1], _next_step(fractions, index), 0.0)
    return found


def crossing(fractions: Sequence[float], at: Sequence[float], drift: float) -> list[float]:
    """Returns the chance of first crossing the bounds `at` at each look, where z has mean drift * sqrt(fraction)."""
    chances: list[float] = []
    density = _START
    for index, (fraction, bound) in enumerate(zip(fractions, at, strict=True)):
        chances.append(_crossed(density, fraction, bound, drift))
        density = _carried(density, fraction, bound, _next_step(fractions, index), drift)
    return chances


def _bound(density: _Density, fraction: float, chance: float) -> float:
    """Returns the bound that is crossed with `chance` if nothing is going on."""

    def excess(bound: float) -> float:
        return _crossed(density, fraction, bound, 0.0) - chance

    if excess(_FURTHEST) >= 0:
        return _FURTHEST
    return float(brentq(excess, 0.0, _FURTHEST, xtol=1e-10))


def _crossed(density: _Density, fraction: float, bound: float, drift: float) -> float:
    step = fraction - density.fraction
    edge, scale = bound * np.sqrt(fraction), np.sqrt(step)
    moved = density.points + drift * step
    beyond = norm.sf((edge - moved) / scale) + norm.cdf((-edge - moved) / scale)
    return float(density.mass @ beyond)


def _carried(density: _Density, fraction: float, bound: float, next_step: float, drift: float) -> _Density:
    """Returns the density at the next look, of what lies within its bound."""
    step = fraction - density.fraction
    edge = bound * np.sqrt(fraction)
    finest = np.sqrt(min(step, next_step))
    many = min(_LEAST_POINTS + int(_POINTS_A_STEP * 2 * edge / finest), _MOST_POINTS)
    nodes, weights = np.polynomial.legendre.leggauss(many)
    points = edge * nodes
    moved = density.points + drift * step
    kernel = norm.pdf(points[:, None], moved[None, :], np.sqrt(step))
    return _Density(points, edge * weights * (kernel @ density.mass), fraction)


def _next_step(fractions: Sequence[float], index: int) -> float:
    return fractions[index + 1] - fractions[index] if index + 1 < len(fractions) else 1.0
