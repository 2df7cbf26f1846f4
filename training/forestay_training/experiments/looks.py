"""The looks of an experiment: taken by the calendar of its plan, whoever asks and however often.

So a log read twice tells the same, and reading it every hour is no more peeking than reading it once.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy.stats import norm

from forestay.core.experiments.settings import Experiment
from forestay.core.units import DAY, to_milliseconds
from forestay_training.experiments import sequential
from forestay_training.experiments.effects import effects
from forestay_training.experiments.estimates import Estimate
from forestay_training.experiments.exposures import Exposures
from forestay_training.experiments.metrics import Metric, measured

#: A look waits until each arm has so many: Welch's test leans on means being nearly normal.
LEAST_USERS: Final = 50


class Look(NamedTuple):
    """A look: when (ms), how many matured users, their share of the plan, and each arm's effect.

    `last` is the one that spends what chance of error is left: the plan's users are in, or nobody is to come.
    """

    at: int
    users: int
    fraction: float
    last: bool
    effects: dict[str, Estimate]


def looks(exposures: Exposures, experiment: Experiment, metric: Metric, as_of: int) -> list[Look]:
    """Returns the looks that were due by `as_of` (ms), first to last; none after the last one."""
    plan = experiment.plan
    wait = metric.horizons * exposures.horizon
    end = to_milliseconds(experiment.until) + wait
    due = to_milliseconds(experiment.start) + wait
    taken: list[Look] = []
    while (due := min(due + round(plan.look_days * DAY), end)) <= as_of:
        look = _look(exposures, experiment, metric, due, last=due == end)
        if look is not None and (look.last or not taken or look.users > taken[-1].users):
            taken.append(look)
        if due == end or (taken and taken[-1].last):
            break
    return taken


def _look(exposures: Exposures, experiment: Experiment, metric: Metric, at: int, *, last: bool) -> Look | None:
    known = measured(exposures, metric, at)
    users = len(known.value)
    counts = np.bincount(known.arms, minlength=len(experiment.arms))
    if counts.min() < LEAST_USERS:
        return None
    found = effects(known, experiment, experiment.plan.alpha)
    return Look(at, users, users / experiment.plan.users, last or users >= experiment.plan.users, found)


def bounds(taken: Sequence[Look], alpha: float) -> list[float]:
    """Returns the bound on |z| of each look, for an arm judged at alpha."""
    fractions = _rising([look.fraction for look in taken])
    used = sequential.spent(fractions, alpha)
    if taken and taken[-1].last:
        # What is left is spent here, also if fewer users came than were planned.
        used[-1] = alpha
    return sequential.bounds(fractions, used)


def crossed_at(taken: Sequence[Look], arm: str, alpha: float) -> int | None:
    """Returns the number of the first look (from 0) at which an arm's effect is beyond chance, None if at none."""
    for number, (look, bound) in enumerate(zip(taken, bounds(taken, alpha), strict=True)):
        p_value = look.effects[arm].p_value
        if p_value is not None and p_value < 2 * norm.sf(bound):
            return number
    return None


def _rising(fractions: Sequence[float]) -> list[float]:
    """Returns the shares of information, each above the one before: a last look may find nobody new."""
    risen: list[float] = []
    for fraction in fractions:
        risen.append(max(fraction, risen[-1] + 1e-6) if risen else fraction)
    return risen
