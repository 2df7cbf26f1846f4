"""How many users an experiment needs, and for how long: asked before it begins."""

import math
from typing import Any, Final, NamedTuple

from scipy.optimize import brentq
from scipy.stats import norm

from forestay.core.errors import UsageError
from forestay_training.experiments.baseline import Baseline
from forestay_training.experiments.sequential import bounds, crossing, spent

#: The curve tells the power of these multiples of the lift that is asked about.
_CURVE: Final = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)


class Design(NamedTuple):
    """What is to be found, and how: `lift` is relative."""

    lift: float
    power: float = 0.8
    alpha: float = 0.05
    arms: int = 2
    looks: int = 5


class _Looks(NamedTuple):
    """Shares of the users at the looks, and the bounds on |z| there."""

    fractions: list[float]
    bounds: list[float]


def plan(metric: Baseline, design: Design) -> dict[str, Any]:
    """Returns sizes and days as one JSON object: with one look at the end, and with the looks of the design.

    Arms are of one size, and each is compared with the control at alpha / (arms - 1).

    Raises:
        UsageError: there is nothing to find, or the metric has no such mean.
    """
    _check(metric, design)
    alpha = design.alpha / (design.arms - 1)
    fractions = [(number + 1) / design.looks for number in range(design.looks)]
    several = _Looks(fractions, bounds(fractions, spent(fractions, alpha)))
    one = _Looks([1.0], [float(norm.isf(alpha / 2))])
    users = _users(metric, design, several)
    lifts = (design.lift * times for times in _CURVE)
    return {
        "metric": metric._asdict(),
        "design": design._asdict(),
        "one_look": _told(metric, design, one, _users(metric, design, one)),
        "looks": _told(metric, design, several, users),
        "bounds": several.bounds,
        "power_curve": [
            {"lift": lift, "power": sum(_crossing(metric, design, several, users, lift))}
            for lift in lifts
            if _possible(metric, lift)
        ],
    }


def _check(metric: Baseline, design: Design) -> None:
    if metric.deviation is None and not 0 < metric.mean < 1:
        raise UsageError("a rate lies between 0 and 1: give --deviation for the mean of anything else")
    if metric.deviation == 0:
        raise UsageError("a metric that does not vary needs no experiment: give the --deviation there is")
    if design.lift == 0 or metric.mean == 0:
        raise UsageError("neither mean nor lift may be 0: there would be nothing to find")
    if not _possible(metric, design.lift):
        raise UsageError(f"a lift of {design.lift:+.0%} takes a rate of {metric.mean} out of 0 to 1")


def _possible(metric: Baseline, lift: float) -> bool:
    return metric.deviation is not None or 0 < metric.mean * (1 + lift) < 1


def _users(metric: Baseline, design: Design, looks: _Looks) -> float:
    """Returns the users of all arms at which the looks find the lift with the power asked for."""

    def lacking(drift: float) -> float:
        return sum(crossing(looks.fractions, looks.bounds, drift)) - design.power

    drift = brentq(lacking, 0.0, 20.0, xtol=1e-6)
    return float((drift / _drift(metric, design, 1.0, design.lift)) ** 2)


def _crossing(metric: Baseline, design: Design, looks: _Looks, users: float, lift: float) -> list[float]:
    return crossing(looks.fractions, looks.bounds, _drift(metric, design, users, lift))


def _drift(metric: Baseline, design: Design, users: float, lift: float) -> float:
    """Returns the mean of z for one arm and the control, when `users` of all arms are in."""
    variances = _variance(metric, 0.0) + _variance(metric, lift)
    a_side = users / design.arms
    return abs(metric.mean * lift) / math.sqrt(variances * (1 - metric.variance_cut) / a_side)


def _variance(metric: Baseline, lift: float) -> float:
    if metric.deviation is not None:
        return metric.deviation**2
    rate = metric.mean * (1 + lift)
    return rate * (1 - rate)


def _told(metric: Baseline, design: Design, looks: _Looks, users: float) -> dict[str, Any]:
    """Returns users rounded up to whole ones in each arm, and days: until they are exposed, and a horizon more.

    Those expected are what it takes on average if the lift is there: looks that find it are the last.
    """
    chances = _crossing(metric, design, looks, users, design.lift)
    stopped = sum(chance * fraction for chance, fraction in zip(chances, looks.fractions, strict=True))
    expected = users * (stopped + 1 - sum(chances))
    whole = design.arms * math.ceil(users / design.arms - 1e-9)
    return {
        "users": whole,
        "expected_users": round(expected),
        "days": _days(metric, whole),
        "expected_days": _days(metric, expected),
    }


def _days(metric: Baseline, users: float) -> float | None:
    return None if metric.users_a_day is None else users / metric.users_a_day + metric.horizon_days
