"""A policy assessed by a log: estimates, support, reward model, A/A check and verdict, as one JSON object."""

from collections.abc import Callable
from math import isfinite
from typing import Any, NamedTuple

from forestay_training.offpolicy import reward_model
from forestay_training.offpolicy.calibration import calibration
from forestay_training.offpolicy.estimators import Terms, terms
from forestay_training.offpolicy.intervals import Drawn, Interval, bootstrap
from forestay_training.offpolicy.log import Log, Matrix
from forestay_training.offpolicy.same_policy import SamePolicy, same_policy
from forestay_training.offpolicy.support import support
from forestay_training.offpolicy.verdict import verdict

Tell = Callable[[str, int, int | None], None]


class Way(NamedTuple):
    """How to judge: `by` names the estimator the verdict goes by, `at_least` is `logged`, a value, or None."""

    by: str
    model: reward_model.Kind
    draws: int
    seed: int
    at_least: float | str | None


def assess(log: Log, target: Matrix, way: Way, tell: Tell) -> dict[str, Any]:
    """Returns what the log says of the policy `target` (N, A), ready for JSON: what has no value is null."""
    tell("reward model", 0, None)
    fold = reward_model.folds_by_user(log.user, way.seed)
    answers = reward_model.cross_fitted(log, reward_model.maker(way.model, binary=log.binary), fold)
    made = terms(log, target, answers)
    drawn = bootstrap(log, made, way.draws, way.seed, lambda done: tell("draws", done, way.draws))
    same = same_policy(log, answers, way.draws, way.seed)
    found = support(log, target)
    judged = verdict(found, same, drawn.interval(way.by, "logged"), drawn.interval(way.by), way.at_least)
    return {
        "decisions": len(log.reward),
        "users": log.users,
        "actions": len(log.actions),
        "logged": _told(drawn.interval("logged")),
        "estimates": {name: _estimate(one, name, drawn) for name, one in made.items()},
        "support": {name: _number(value) for name, value in found._asdict().items()},
        "reward_model": _model(log, answers, way),
        "same_policy": None if same is None else _same(same),
        "verdict": {"by": way.by, "at_least": way.at_least, **judged._asdict()},
    }


def _estimate(one: Terms, name: str, drawn: Drawn) -> dict[str, Any]:
    value, logged = drawn.values[name], drawn.values["logged"]
    return {
        **_told(drawn.interval(name)),
        "gain": _told(drawn.interval(name, "logged")),
        "relative": _number(value / logged) if logged > 0 else None,
        # Infinity is no JSON: 'unlimited' says that nothing was cut.
        "knob": None if one.knob is None else one.knob if isfinite(one.knob) else "unlimited",
    }


def _model(log: Log, answers: Matrix, way: Way) -> dict[str, Any]:
    found = calibration(log.of_chosen(answers), log.reward)
    return {"kind": way.model, **found._asdict(), "bins": [one._asdict() for one in found.bins]}


def _same(same: SamePolicy) -> dict[str, Any]:
    above = {name: _told(one) for name, one in same.above.items()}
    return {**same._asdict(), "above": above, "failed": same.failed, "passed": same.passed}


def _told(one: Interval) -> dict[str, Any]:
    span = [one.low, one.high] if isfinite(one.low) else None
    return {"value": _number(one.value), "interval": span, "error": _number(one.error)}


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and not isfinite(value) else value
