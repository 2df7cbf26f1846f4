"""The honest ladder: where a churn probability comes from when the model is late or down (design D10)."""

from math import exp, isfinite, log
from typing import Final

from forestay.core.units import HOUR
from forestay.core.user_state import NEVER, Score, UserState
from forestay_schemas.retention_action import Churn
from forestay_schemas.types import Rung

#: What the two lower rungs call themselves.
RULE_MODEL: Final = "recency-frequency-rule"
RULE_VERSION: Final = "1"


def climb(
    state: UserState, now: int, probability: float | None, model: "ModelIdentity", max_age: int
) -> tuple[Churn, Score | None]:
    """Returns the best churn probability to be had at `now`, and the new score if it is the model's.

    `probability` is the model's answer, None if there was none; an answer that is no probability counts as
    none. `max_age` (milliseconds) is how old the last score may be to stand in.
    """
    if probability is not None and isfinite(probability) and 0 <= probability <= 1:
        score = Score(probability, now, model.version)
        return model.churn(probability, model.version, Rung.MODEL), score
    last = state.score
    if last is not None and now - last.ts <= max_age:
        return model.churn(last.probability, last.version, Rung.CACHED), None
    rule = Churn(
        probability=round(rule_probability(state, now), 6),
        horizon_days=model.horizon_days,
        model=RULE_MODEL,
        version=RULE_VERSION,
        rung=Rung.RULE,
    )
    return rule, None


class ModelIdentity:
    """Which model answers, for which horizon; learnt from the server at the start."""

    def __init__(self, name: str, version: str, horizon_days: int) -> None:
        """Keeps what decisions are stamped with."""
        self.name = name
        self.version = version
        self.horizon_days = horizon_days

    def churn(self, probability: float, version: str, rung: Rung) -> Churn:
        """Returns the stamp of one probability, rounded to six decimals: what is logged is what is used."""
        return Churn(
            probability=round(probability, 6),
            horizon_days=self.horizon_days,
            model=self.name,
            version=version,
            rung=rung,
        )


def rule_probability(state: UserState, now: int) -> float:
    """Returns a churn probability from recency and frequency alone, the bottom rung.

    A logistic curve over log(silence / usual gap), with the usual gap taken as 30 days while it is unknown:
    0.5 when the silence is twice the usual gap. A rule of thumb, not fitted to any shop.
    """
    if state.last_ts == NEVER:
        return 0.5
    gap = state.rhythm.mean_gap() / HOUR or 30 * 24.0
    silence = max(now - state.last_ts, 0) / HOUR
    return 1 / (1 + exp(-log((silence + 1) / (2 * gap + 1))))
