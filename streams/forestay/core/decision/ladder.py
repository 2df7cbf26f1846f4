"""The honest ladder: where a churn probability comes from when the model is late or down (design D10)."""

from math import exp, log
from typing import Final

from numpy import float32

from forestay.core.decision.answer import Answer, ModelIdentity
from forestay.core.decision.situation import Situation
from forestay.core.state.contact import Score
from forestay.core.units import HOUR
from forestay_schemas.retention_action import Churn, Curve, Factor
from forestay_schemas.types import Rung

#: Digits of a probability in a decision: what is logged is what is used.
SCORE_DIGITS: Final = 6
#: Digits of a factor: people read them, nothing is computed from them.
_FACTOR_DIGITS: Final = 4
#: What the two lower rungs call themselves.
RULE_MODEL: Final = "recency-frequency-rule"
RULE_VERSION: Final = "1"


def climb(situation: Situation, last: Score | None, answer: Answer, max_age: int) -> Churn:
    """Returns the best churn probability to be had.

    An `answer` that is no probability counts as none, and a curve that is none is left out. `last` is the user's
    last score, `max_age` (milliseconds) how old it may be to stand in.
    """
    probability, model = answer.probability, answer.model
    if probability is not None and 0 <= probability <= 1:
        # What is no curve would be written into the state, and the next owner of the partition refuse to read it.
        told = answer.survival if answer.survival is not None and answer.survival.is_curve() else None
        curve = None if told is None else Curve(hours=told.hours, shares=told.shares)
        return _churn(probability, model, Rung.MODEL, tuple(map(_rounded, answer.factors)), curve)
    if last is not None and situation.now - last.ts <= max_age:
        return _churn(_by_now(situation, last, model), model._replace(version=last.version), Rung.CACHED)
    rule = ModelIdentity(RULE_MODEL, RULE_VERSION, model.horizon_days)
    return _churn(rule_probability(situation), rule, Rung.RULE)


def _by_now(situation: Situation, last: Score, model: ModelIdentity) -> float:
    """Returns what the last score has become: with its curve, where the user has not ordered since."""
    silent = max(situation.now - last.ts, 0) / HOUR
    # As the feature is rounded: else the very order that was scored would count, every other time, as one since.
    if last.survival is None or situation.feature("hours_since_purchase") < float32(silent):
        return last.probability
    if not last.survival.knows(silent):
        return last.probability
    return last.survival.lasting(silent, 24.0 * model.horizon_days)


def _churn(
    probability: float,
    model: ModelIdentity,
    rung: Rung,
    factors: tuple[Factor, ...] = (),
    survival: Curve | None = None,
) -> Churn:
    return Churn(
        probability=round(probability, SCORE_DIGITS),
        horizon_days=model.horizon_days,
        model=model.name,
        version=model.version,
        rung=rung,
        factors=factors,
        survival=survival,
    )


def _rounded(factor: Factor) -> Factor:
    return Factor(group=factor.group, log_odds=round(factor.log_odds, _FACTOR_DIGITS))


def rule_probability(situation: Situation) -> float:
    """Returns a churn probability from recency and frequency alone, the bottom rung.

    A logistic curve over log(silence / usual gap), with the usual gap taken as 30 days while it is unknown:
    0.5 when the silence is twice the usual gap. A rule of thumb, not fitted to any shop.
    """
    gap = situation.feature("session_gap_mean_hours") or 30 * 24.0
    silence = situation.feature("hours_since_last_event")
    return 1 / (1 + exp(-log((silence + 1) / (2 * gap + 1))))
