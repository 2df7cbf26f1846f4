"""What a group's rate can be made by a price, and which prices bring all groups into a band at the least cost.

All rates shall lie in one band [L, L / least]: then each is at least `least` of any other (the four-fifths rule, 29
CFR 1607.4 D). For each group a table tells rate and value at each of some prices. A group bears a price of its own
alone, so once L is known each takes, of its points in the band, the most valuable; and L may be taken to be the
lowest rate chosen. All L are tried: the choice is the best there is of the points in the tables.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from forestay_training.offpolicy.log import Vector

#: What sums of probabilities may differ by.
_ROUNDING = 1e-9


class Frontier(NamedTuple):
    """Prices in rising order, one of them 0, and the rate and value of the group at each: all (P,).

    A rate is nan where nothing is offered and the rate is one of what is.
    """

    prices: Vector
    rates: Vector
    values: Vector

    @property
    def free(self) -> int:
        """Returns the place of the price 0."""
        return int(np.flatnonzero(self.prices == 0)[0])


def least_cost(frontiers: Mapping[str, Frontier], least: float) -> dict[str, int] | None:
    """Returns the place of each group's price, None where no prices of the tables bring all into a band.

    Nobody bears a price if no price is needed, nor does a group whose rate lies in the band without, or which has
    none as nothing is offered to it. Of equal values the smaller prices count.
    """
    idle = {name: one.free for name, one in frontiers.items() if not np.isfinite(one.rates[one.free])}
    frontiers = {name: one for name, one in frontiers.items() if name not in idle}
    free = [float(one.rates[one.free]) for one in frontiers.values()]
    if not frontiers or min(free) >= least * max(free) - _ROUNDING:
        return {**idle, **{name: one.free for name, one in frontiers.items()}}
    lows = np.unique(np.concatenate([one.rates for one in frontiers.values()]))
    found: tuple[float, float, dict[str, int]] | None = None
    for low in lows[np.isfinite(lows)].tolist():
        places = {name: _place(one, low, least) for name, one in frontiers.items()}
        chosen = {name: place for name, place in places.items() if place is not None}
        if len(chosen) < len(places):
            continue
        value = sum(float(frontiers[name].values[place]) for name, place in chosen.items())
        priced = sum(abs(float(frontiers[name].prices[place])) for name, place in chosen.items())
        better = found is None or value > found[0] + _ROUNDING
        if better or (found is not None and value > found[0] - _ROUNDING and priced < found[1]):
            found = value, priced, chosen
    return None if found is None else {**found[2], **idle}


def _place(one: Frontier, low: float, least: float) -> int | None:
    inside = (one.rates >= low - _ROUNDING) & (one.rates * least <= low + _ROUNDING)
    if inside[one.free]:
        return one.free
    if not inside.any():
        return None
    best = one.values[inside].max()
    near = np.flatnonzero(inside & (one.values >= best - _ROUNDING))
    return int(near[np.abs(one.prices[near]).argmin()])


def between(values: Sequence[float], most: int) -> list[float]:
    """Returns 0 and prices that part the values: one between any two neighbours (of quantiles, if many), two beyond.

    At a price between two values of offers, those above are made and those below are not.
    """
    distinct = np.unique(np.round(np.asarray(values, dtype=np.float64), 6)) if len(values) else np.zeros(1)
    if len(distinct) > most:
        distinct = np.unique(np.quantile(distinct, np.linspace(0, 1, most)))
    pad = float(distinct[-1] - distinct[0]) or 1.0
    middles = (distinct[1:] + distinct[:-1]) / 2
    return sorted({0.0, float(distinct[0]) - pad, *middles.tolist(), float(distinct[-1]) + pad})
