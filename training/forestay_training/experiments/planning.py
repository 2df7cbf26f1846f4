"""How many users an experiment needs, and for how long: asked before it begins."""

import math
from typing import Any, Final, NamedTuple

from scipy.optimize import brentq
from scipy.stats import norm

from forestay.core.errors import ForestayError
from forestay_training.experiments.sequential import bounds, crossing, spent

#: The curve tells the power of these multiples of the lift that is asked about.
_CURVE: Final = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)


class Question(NamedTuple):
    """What the primary metric is like, and what is to be found.

    `deviation` is its standard deviation; None for a rate, whose mean tells it. `lift` is relative. `variance_cut` is
    the share of the variance that covariates take away. `users_a_day` are those exposed, in all arms together.
    """

    mean: float
    deviation: float | None
    lift: float
    power: float = 0.8
    alpha: float = 0.05
    arms: int = 2
    looks: int = 5
    variance_cut: float = 0.0
    users_a_day: float | None = None
    horizon_days: float = 28.0


def plan(question: Question) -> dict[str, Any]:
    """Returns sizes and days as one JSON object: with one look at the end, and with the looks of the question.

    Arms are of one size, and each is compared with the control at alpha / (arms - 1).

    Raises:
        ForestayError: there is nothing to find, or the metric has no such mean.
    """
    _check(question)
    alpha = question.alpha / (question.arms - 1)
    fractions = [(number + 1) / question.looks for number in range(question.looks)]
    at = bounds(fractions, spent(fractions, alpha))
    once = [float(norm.isf(alpha / 2))]
    fixed = _users(question, [1.0], once, question.lift)
    sequential = _users(question, fractions, at, question.lift)
    return {
        "question": question._asdict(),
        "one_look": _told(question, fixed, fixed),
        "looks": _told(question, sequential, sequential * _expected_share(question, sequential, fractions, at)),
        "bounds": at,
        "power_curve": [_point(question, question.lift * times, sequential, fractions, at) for times in _CURVE],
    }


def _check(question: Question) -> None:
    if question.deviation is None and not 0 < question.mean < 1:
        raise ForestayError("a rate lies between 0 and 1: give --deviation for the mean of anything else")
    if question.lift == 0 or question.mean == 0:
        raise ForestayError("neither mean nor lift may be 0: there would be nothing to find")
    if question.deviation is None and not 0 < question.mean * (1 + question.lift) < 1:
        raise ForestayError(f"a lift of {question.lift:+.0%} takes a rate of {question.mean} out of 0 to 1")


def _drift(question: Question, users: float, lift: float) -> float:
    """Returns the mean of z for one arm and the control, when `users` of all arms are in."""
    variances = _variance(question, 0.0) + _variance(question, lift)
    a_side = users / question.arms
    return abs(question.mean * lift) / math.sqrt(variances * (1 - question.variance_cut) / a_side)


def _variance(question: Question, lift: float) -> float:
    if question.deviation is not None:
        return question.deviation**2
    rate = question.mean * (1 + lift)
    return rate * (1 - rate)


def _users(question: Question, fractions: list[float], at: list[float], lift: float) -> float:
    """Returns the users at which the looks find the lift with the power asked for."""

    def lacking(drift: float) -> float:
        return sum(crossing(fractions, at, drift)) - question.power

    drift = brentq(lacking, 0.0, 20.0, xtol=1e-6)
    return float((drift / _drift(question, 1.0, lift)) ** 2)


def _expected_share(question: Question, users: float, fractions: list[float], at: list[float]) -> float:
    """Returns the share of the users after which the experiment is over on average, if the lift is there."""
    chances = crossing(fractions, at, _drift(question, users, question.lift))
    stopped = sum(chance * fraction for chance, fraction in zip(chances, fractions, strict=True))
    return stopped + 1 - sum(chances)


def _point(question: Question, lift: float, users: float, fractions: list[float], at: list[float]) -> dict[str, Any]:
    drift = abs(question.mean * lift) / abs(question.mean * question.lift) * _drift(question, users, question.lift)
    return {"lift": lift, "power": sum(crossing(fractions, at, drift))}


def _told(question: Question, users: float, expected: float) -> dict[str, Any]:
    """Returns users rounded up to whole ones in each arm, and days: until they are exposed, and a horizon more."""
    whole = question.arms * math.ceil(users / question.arms - 1e-9)
    days = None if question.users_a_day is None else whole / question.users_a_day + question.horizon_days
    sooner = None if question.users_a_day is None else expected / question.users_a_day + question.horizon_days
    return {"users": whole, "expected_users": round(expected), "days": days, "expected_days": sooner}
