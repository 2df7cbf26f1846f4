"""Synthetic users to spend a budget on, and the most that could be had for it.

Nothing here is measured: what an offer is worth to a user is drawn from a lognormal distribution, less for each
further unit it costs.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from forestay.core.units import DAY, HOUR

#: Hundredths of the currency.
COSTS: Final = (100, 250, 500, 1_000, 2_000)
#: What the offers are worth to the median user, in hundredths; each unit less than the one before.
_WORTH: Final = (60, 120, 190, 280, 390)
#: Standard deviations of the logarithms: between users, and between the offers for one user.
_BETWEEN_USERS: Final = 1.0
_BETWEEN_OFFERS: Final = 0.6
_HOURS: Final = 24


class Market(NamedTuple):
    """A day's users in order: when they come (milliseconds of the day), what each offer is worth (users, offers)."""

    moments: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]


class Best(NamedTuple):
    """What a budget can be turned into at most, net of cost, and the price of a unit at which that is so."""

    value: float
    price: float


def draw_market(users: int, seed: int, swing: float = 0.0) -> Market:
    """Returns a day's users; values rise and fall over the day by the share `swing`, highest at 15:00."""
    chance = np.random.default_rng(seed)
    moments = np.sort(chance.integers(0, DAY, users))
    each = chance.lognormal(0, _BETWEEN_USERS, (users, 1)) * chance.lognormal(0, _BETWEEN_OFFERS, (users, len(COSTS)))
    by_hour = 1 + swing * np.sin(2 * np.pi * (moments / HOUR - 9) / _HOURS)
    return Market(moments, each * np.array(_WORTH) * by_hour[:, None])


def best(market: Market, limit: int) -> Best:
    """Returns the optimum of the linear programme that gives each user at most one offer, within `limit` hundredths.

    By strong duality that is the least, over prices mu >= 0, of mu x limit + the sum over users of the best of their
    net values less mu x cost, if any is above 0: convex in mu, so bisection finds it (Boyd and Vandenberghe, Convex
    Optimization, 5.2.3).
    """
    costs = np.array(COSTS)
    net = market.values - costs
    low, high = 0.0, 1e3
    for _ in range(60):
        middle = (low + high) / 2
        if _spent(net, costs, middle) > limit:
            low = middle
        else:
            high = middle
    gains = np.maximum((net - high * costs).max(axis=1), 0)
    return Best(float(high * limit + gains.sum()), 1 + high)


def hours_of(market: Market, limit: int) -> tuple[float, ...]:
    """Returns how the optimum spends over the hours of the day: what a shop would know from the day before."""
    costs = np.array(COSTS)
    net = market.values - best(market, limit).price * costs + costs
    chosen = net.argmax(axis=1)
    spent = np.where(net.max(axis=1) > 0, costs[chosen], 0)
    return tuple(np.bincount(market.moments // HOUR, spent, minlength=_HOURS).tolist())


def _spent(net: npt.NDArray[Any], costs: npt.NDArray[Any], mu: float) -> int:
    gains = net - mu * costs
    chosen = gains.argmax(axis=1)
    return int(costs[chosen][gains.max(axis=1) > 0].sum())
