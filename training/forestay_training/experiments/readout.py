"""The read-out of an experiment: whether it can be read at all, then what it says, and no more than that."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import numpy as np
from scipy.stats import norm

from forestay.core.errors import ForestayError
from forestay.core.experiments.assignment import shares
from forestay.core.experiments.settings import Experiment
from forestay.core.units import to_datetime, to_milliseconds
from forestay_schemas.types import rfc3339
from forestay_training.experiments.effects import always_valid, effects
from forestay_training.experiments.estimates import Estimate
from forestay_training.experiments.exposures import Exposures
from forestay_training.experiments.families import SAMPLE_RATIO_LIMIT, benjamini_hochberg, holm, sample_ratio
from forestay_training.experiments.looks import LEAST_USERS, Look, bounds, crossed_at, looks
from forestay_training.experiments.metrics import BY_NAME, GUARDRAILS, METRICS, Metric, measured

#: A last look without a find, and one that is not yet the last.
_NO_DIFFERENCE: Final = "no_difference_found"
_UNDECIDED: Final = "undecided"


class Primary(NamedTuple):
    """What the looks say of an arm: the level it is judged at, and the first look (from 0) that found an effect."""

    level: float
    crossed: int | None
    verdict: str


def read_out(exposures: Exposures, experiment: Experiment, as_of: datetime | None = None) -> dict[str, Any]:
    """Returns the read-out as one JSON object, as of the latest outcome in the log or an earlier moment.

    `blocked` is true if the arms' sizes are no accident: then there are no effects in it.

    Raises:
        ForestayError: `as_of` is later than the log goes.
    """
    moment = exposures.latest_outcome if as_of is None else to_milliseconds(as_of)
    if moment > exposures.latest_outcome:
        raise ForestayError(f"the log ends at {_time(exposures.latest_outcome)}: read it as of then, or earlier")
    everybody, known = _counts(exposures, experiment, moment)
    chances = [sample_ratio(counts, shares(experiment)) for counts in (everybody, known)]
    found: dict[str, Any] = {
        "experiment": experiment.id,
        "as_of": _time(moment),
        "horizon_days": exposures.horizon / 86_400_000,
        "exposed": _by_arm(experiment, everybody),
        "known": _by_arm(experiment, known),
        "sample_ratio": {
            "expected": _by_arm(experiment, shares(experiment)), "p_exposed": chances[0], "p_known": chances[1]
        },
        "in_two_arms": exposures.in_two_arms,
        "blocked": min(chances) < SAMPLE_RATIO_LIMIT,
    }  # fmt: skip
    return found if found["blocked"] else found | _effects(exposures, experiment, moment)


def _counts(exposures: Exposures, experiment: Experiment, moment: int) -> tuple[list[int], list[int]]:
    """Returns the users of each arm who are exposed, and those whose primary metric is known: both can be lost."""
    exposed = exposures.arms[exposures.exposed_at <= moment]
    known = measured(exposures, BY_NAME[experiment.plan.primary], moment).arms
    many = len(experiment.arms)
    return np.bincount(exposed, minlength=many).tolist(), np.bincount(known, minlength=many).tolist()


def _effects(exposures: Exposures, experiment: Experiment, moment: int) -> dict[str, Any]:
    metric = BY_NAME[experiment.plan.primary]
    taken = looks(exposures, experiment, metric, moment)
    judged = _judged(taken, experiment, metric)
    over = bool(taken) and (taken[-1].last or all(one.crossed is not None for one in judged.values()))
    return {
        "primary": _told_primary(taken, judged, experiment, metric),
        "concluded": over,
        # Before the end a second metric would be a second way to peek.
        "secondary": _secondary(exposures, experiment, moment) if over else None,
        "guardrails": _guardrails(exposures, experiment, moment),
        "missing": {
            one.name: _by_arm(experiment, measured(exposures, one, moment).missing) for one in (*METRICS, *GUARDRAILS)
        },
    }


def _judged(taken: Sequence[Look], experiment: Experiment, metric: Metric) -> dict[str, Primary]:
    arms = [arm.id for arm in experiment.arms[1:]]
    levels = holm(arms, lambda arm, level: crossed_at(taken, arm, level) is not None, experiment.plan.alpha)
    return {arm: _verdict(taken, arm, levels[arm], metric) for arm in arms}


def _verdict(taken: Sequence[Look], arm: str, level: float, metric: Metric) -> Primary:
    crossed = crossed_at(taken, arm, level)
    if crossed is not None:
        better = taken[crossed].effects[arm].effect * metric.rises > 0
        return Primary(level, crossed, "better" if better else "worse")
    return Primary(level, None, _NO_DIFFERENCE if taken and taken[-1].last else _UNDECIDED)


def _told_primary(
    taken: Sequence[Look], judged: dict[str, Primary], experiment: Experiment, metric: Metric
) -> dict[str, Any]:
    return {
        "metric": metric.name,
        "title": metric.title,
        "planned_users": experiment.plan.users,
        "alpha": experiment.plan.alpha,
        "arms": {
            arm: {
                "verdict": one.verdict,
                "found_at": None if one.crossed is None else _time(taken[one.crossed].at),
                "looks": [
                    _told_look(look, arm, bound) for look, bound in zip(taken, bounds(taken, one.level), strict=True)
                ],
            }
            for arm, one in judged.items()
        },
    }


def _told_look(look: Look, arm: str, bound: float) -> dict[str, Any]:
    found = look.effects[arm]
    # A repeated confidence interval (Jennison and Turnbull 1989): all looks' intervals together hold the truth.
    half = bound * found.standard_error
    return _told(found, (found.effect - half, found.effect + half)) | {
        "at": _time(look.at),
        "users": look.users,
        "fraction": look.fraction,
        "p_value": found.p_value,
        "p_value_needed": float(2 * norm.sf(bound)),
    }


def _secondary(exposures: Exposures, experiment: Experiment, moment: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for metric in METRICS:
        known = measured(exposures, metric, moment)
        if metric.name == experiment.plan.primary or _too_few(known.arms, experiment):
            continue
        for arm, found in effects(known, experiment, experiment.plan.alpha).items():
            told = {"metric": metric.name, "arm": arm, "users": len(known.value), "p_value": found.p_value}
            rows.append(told | _told(found, found.interval))
    p_values = {str(number): row["p_value"] for number, row in enumerate(rows) if row["p_value"] is not None}
    adjusted = benjamini_hochberg(p_values)
    return [row | {"p_value_adjusted": adjusted.get(str(number))} for number, row in enumerate(rows)]


def _guardrails(exposures: Exposures, experiment: Experiment, moment: int) -> list[dict[str, Any]]:
    rows = []
    limits: dict[str, float] = dict(experiment.plan.limits.items())
    for metric in GUARDRAILS:
        known = measured(exposures, metric, moment)
        if _too_few(known.arms, experiment):
            continue
        limit = limits.get(metric.name)
        # As they are: score and history foretell little of them, and a cost of 0 should read 0.
        rises = effects(known, experiment, experiment.plan.alpha, sharpen=False)
        for number, (arm, found) in enumerate(rises.items(), start=1):
            users = int(np.sum((known.arms == 0) | (known.arms == number)))
            interval = always_valid(found, users, experiment)
            alarm = limit is not None and interval[0] > limit
            told = {"metric": metric.name, "arm": arm, "users": users, "limit": limit, "alarm": alarm}
            rows.append(told | _told(found, interval))
    return rows


def _too_few(arms: Any, experiment: Experiment) -> bool:
    return bool(np.bincount(arms, minlength=len(experiment.arms)).min() < LEAST_USERS)


def _told(found: Estimate, interval: tuple[float, float] | None) -> dict[str, Any]:
    return {
        "control": found.control,
        "treatment": found.treatment,
        "effect": found.effect,
        "interval": interval,
        "relative": found.relative,
        "variance_cut": found.variance_cut,
    }


def _by_arm(experiment: Experiment, values: Sequence[Any]) -> dict[str, Any]:
    return {arm.id: value for arm, value in zip(experiment.arms, values, strict=True)}


def _time(moment: int) -> str:
    return rfc3339(to_datetime(moment))
