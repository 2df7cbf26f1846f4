"""The honest ladder: where a churn probability comes from when the model is late or down (design D10)."""

from math import exp, log
from typing import Final

from forestay.core.decision.situation import Situation
from forestay.core.state.contact import Score
from forestay_schemas.retention_action import Churn
from forestay_schemas.types import Rung

#: Digits of a probability in a decision: what is logged is what is used.
SCORE_DIGITS: Final = 6
#: What the two lower rungs call themselves.
RULE_MODEL: Final = "recency-frequency-rule"
RULE_VERSION: Final = "1"


def climb(
    situation: Situation, last: Score | None, probability: float | None, model: "ModelIdentity", max_age: int
) -> Churn:
    """Returns the best churn probability to be had.

    `probability` is the model's answer, None if there was none; an answer that is no probability counts as
    none. `last` is the user's last score, `max_age` (milliseconds) how old it may be to stand in.
    """
    if probability is not None and 0 <= probability <= 1:
        return model.churn(probability, model.version, Rung.MODEL)
    if last is not None and situation.now - last.ts <= max_age:
        return model.churn(last.probability, last.version, Rung.CACHED)
    return Churn(
        probability=round(rule_probability(situation), SCORE_DIGITS),
        horizon_days=model.horizon_days,
        model=RULE_MODEL,
        version=RULE_VERSION,
        rung=Rung.RULE,
    )


class ModelIdentity:
    """Which model answers, for which horizon; learnt from the server at the start."""

    def __init__(self, name: str, version: str, horizon_days: int) -> None:
        """Keeps what decisions are stamped with."""
        self.name = name
        self.version = version
        self.horizon_days = horizon_days

    def churn(self, probability: float, version: str, rung: Rung) -> Churn:
        """Returns the stamp of one probability, rounded."""
        return Churn(
            probability=round(probability, SCORE_DIGITS),
            horizon_days=self.horizon_days,
            model=self.name,
            version=version,
            rung=rung,
        )


def rule_probability(situation: Situation) -> float:
    """Returns a churn probability from recency and frequency alone, the bottom rung.

    A logistic curve over log(silence / usual gap), with the usual gap taken as 30 days while it is unknown:
    0.5 when the silence is twice the usual gap. A rule of thumb, not fitted to any shop.
    """
    gap = situation.feature("session_gap_mean_hours") or 30 * 24.0
    silence = situation.feature("hours_since_last_event")
    return 1 / (1 + exp(-log((silence + 1) / (2 * gap + 1))))
