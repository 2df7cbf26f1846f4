"""Reasons in codes and in words, for the people who must answer for an action."""

from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.quiet_hours import Quiet
from forestay.core.decision.review_risk import signals
from forestay.core.decision.situation import Situation
from forestay_schemas.decision import Candidate
from forestay_schemas.retention_action import Churn, Factor, Reason
from forestay_schemas.types import Rung, TriggerKind

_SOURCE = {
    Rung.MODEL: "the model",
    Rung.CACHED: "the model's last score, since it did not answer",
    Rung.RULE: "a rule of thumb, since the model did not answer",
}
_DAY_HOURS = 24.0
#: The factor that everybody has: it tells nothing about a user.
_BASE = "base"
#: Factors that turn the odds by less than a tenth are not worth a word.
_WORTH_SAYING = 0.1
#: As many factors are named on either side.
_MOST_NAMED = 2
#: Characters of a zone's name that are repeated: it comes from outside.
_MOST_ZONE = 60


def why(
    situation: Situation, churn: Churn, chosen: Candidate, holdout: bool, rule: str | None = None
) -> list[Reason]:
    """Returns the reasons of a decision: the risk, what set it off, and why this choice; `rule` is what spoke."""
    return [_risk(churn), *_factors(churn), _trigger(situation), _choice(chosen, holdout, rule)]


def _risk(churn: Churn) -> Reason:
    text = f"{churn.probability:.0%} likely not to order within {churn.horizon_days} days, says {_SOURCE[churn.rung]}"
    return Reason(code="churn_risk", text=text)


def _factors(churn: Churn) -> list[Reason]:
    """Returns what speaks loudest for and against, if the model tells; the decision's churn has all of it."""
    telling = [one for one in churn.factors if one.group != _BASE and abs(one.log_odds) >= _WORTH_SAYING]
    telling.sort(key=lambda one: -abs(one.log_odds))
    sides = (
        ("for leaving", [one for one in telling if one.log_odds > 0]),
        ("for staying", [one for one in telling if one.log_odds < 0]),
    )
    said = [f"{side}: {_named(some)}" for side, some in sides if some]
    return [Reason(code="factors", text="what speaks " + ", ".join(said))] if said else []


def _named(factors: list[Factor]) -> str:
    return " and ".join(one.group.replace("_", " ") for one in factors[:_MOST_NAMED])


def _trigger(situation: Situation) -> Reason:
    if situation.trigger.kind is TriggerKind.EVENT:
        return Reason(code="event", text="the user has just been active")
    if situation.trigger.kind is TriggerKind.PATTERN:
        return Reason(code="pattern", text=f"the trigger {situation.trigger.name} came due")
    silence = situation.feature("hours_since_last_event") / _DAY_HOURS
    usual = situation.feature("session_gap_mean_hours") / _DAY_HOURS
    rhythm = f"usually back after {_days(usual)}" if usual else "no rhythm known yet"
    return Reason(code="silence", text=f"silent for {_days(silence)}, {rhythm}")


def why_so(situation: Situation, catalogue: Catalogue, quiet: Quiet | None, until: int | None) -> list[Reason]:
    """Returns what else is to be said: signs of abuse, a zone that is none, and until when the action waits (ms)."""
    reasons: list[Reason] = []
    found = [] if catalogue.review_risk is None else signals(situation, catalogue.review_risk)
    if found:
        said = ", ".join(f"{one.name.replace('_', ' ')} {one.found:g}, more than {one.limit:g}" for one in found)
        reasons.append(Reason(code="review_risk", text=f"nothing worth money until reviewed: {said}"))
    if quiet is not None and quiet.unknown is not None:
        text = f"the user's time zone {quiet.unknown[:_MOST_ZONE]!r} is none: quiet hours are those of {quiet.zone}"
        reasons.append(Reason(code="unknown_timezone", text=text))
    if until is not None:
        reasons.append(_waits())
    return reasons


def why_released(churn: Churn, code: str | None, *, waits: bool) -> list[Reason]:
    """Returns the reasons of a decision on an action that waited; `code` is of the rule that forbids it now."""
    if code is not None:
        return [
            _risk(churn),
            Reason(code="dropped", text=f"the action waited, and is not permitted any more: {code}"),
        ]
    if waits:
        return [_risk(churn), _waits()]
    return [_risk(churn), Reason(code="released", text="the quiet hours are over for which the action waited")]


def _waits() -> Reason:
    return Reason(code="held", text="the action waits for the end of the user's quiet hours")


def _days(days: float) -> str:
    return "less than a day" if days < 1 else "a day" if round(days) == 1 else f"{days:.0f} days"


def _choice(chosen: Candidate, holdout: bool, rule: str | None) -> Reason:
    if chosen.offer_id is not None and rule is not None:
        return Reason(code="rule", text=f"the rule {rule} asks for it")
    if chosen.offer_id is not None:
        return Reason(code="worth_it", text=f"expected to earn {chosen.expected_value:.2f} more than it costs")
    if holdout:
        return Reason(code="holdout", text="the user belongs to the holdout and is never marketed to")
    if rule is not None:
        return Reason(code="rule", text=f"the rule {rule} asks for nothing to be done")
    return Reason(code="nothing", text="no permitted offer was chosen")
