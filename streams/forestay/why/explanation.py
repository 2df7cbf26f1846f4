"""Why one decision was taken, as one object for machines; `words.py` says the same to people."""

from math import exp
from typing import Any, Final

from forestay.core.decision.catalogue import Catalogue
from forestay.why.codes import meaning
from forestay.why.counterfactuals import Counterfactual, counterfactuals
from forestay.why.reevaluation import Reevaluation, reevaluation
from forestay_schemas.decision import Decision
from forestay_schemas.outcome import DecisionOutcome

#: The factor that everybody has: it tells nothing about a user.
_BASE: Final = "base"


def explain(decision: Decision, outcome: DecisionOutcome | None, catalogue: Catalogue | None) -> dict[str, Any]:
    """Returns what was considered, cut and chosen, what came of it, and what would have changed it.

    `catalogue` is the one the decision may have been made with: its digest is compared with that on the record.
    """
    return {
        **decision.model_dump(mode="json", include={"decision_id", "user_id", "decided_at", "trigger", "policy"}),
        "risk": decision.churn.model_dump(mode="json", exclude={"factors", "survival"}),
        "factors": _factors(decision),
        "considered": [one.model_dump(mode="json") for one in decision.candidates],
        "parity": None if decision.parity is None else decision.parity.model_dump(mode="json"),
        "cut": _cut(decision),
        "chosen": _chosen(decision),
        "experiments": [one.model_dump(mode="json") for one in decision.experiments],
        "reasons": [one.model_dump(mode="json") for one in decision.reasons],
        "outcome": None if outcome is None else outcome.model_dump(mode="json"),
        "otherwise": _otherwise(decision, catalogue),
    }


def _factors(decision: Decision) -> list[dict[str, Any]]:
    """Returns what the model weighed, the weightiest first; `odds` is what it multiplies the odds of leaving by."""
    telling = [one for one in decision.churn.factors if one.group != _BASE]
    telling.sort(key=lambda one: -abs(one.log_odds))
    return [
        {"group": one.group, "log_odds": one.log_odds, "odds": round(exp(min(one.log_odds, 700.0)), 4)}
        for one in telling
    ]


def _cut(decision: Decision) -> list[dict[str, Any]]:
    codes = dict.fromkeys(one.code for one in decision.suppressed)
    return [
        {
            "code": code,
            "meaning": meaning(code),
            "offers": [one.offer_id for one in decision.suppressed if one.code == code],
        }
        for code in codes
    ]


def _chosen(decision: Decision) -> dict[str, Any]:
    return {
        "offer_id": decision.offer_id,
        "action_id": decision.action_id,
        "propensity": decision.policy.propensity,
        "how": _how(decision),
        "items": list(decision.items),
        "items_by": decision.items_by,
    }


def _how(decision: Decision) -> str:
    """Returns `only` where nothing else could be chosen, `explored` where chance took a less likely one."""
    likely = [one.propensity for one in decision.candidates if one.propensity > 0]
    if len(likely) == 1:
        return "only"
    return "likeliest" if decision.policy.propensity >= max(likely) else "explored"


def _otherwise(decision: Decision, catalogue: Catalogue | None) -> dict[str, Any]:
    again, unknown = _reevaluated(decision, catalogue)
    if again is None:
        return {"known": False, "unknown": unknown, "draw": None, "changes": []}
    changes = [_change(one) for one in counterfactuals(again)]
    return {"known": True, "unknown": None, "draw": again.point, "changes": changes}


def _reevaluated(decision: Decision, catalogue: Catalogue | None) -> tuple[Reevaluation | None, str | None]:
    if catalogue is None:
        return None, "there is no catalogue to decide again with"
    digest, version = catalogue.digest(), decision.policy.version
    if digest != version:
        return (
            None,
            f"the catalogue is version {digest}, and the decision was made with {version} (--catalogue names it)",
        )
    again = reevaluation(decision, catalogue)
    if again is None:
        return None, "deciding again does not give what is on the record, so what is not on it decided too"
    return again, None


def _change(found: Counterfactual) -> dict[str, Any]:
    return {
        "thing": found.thing,
        "name": found.name,
        "was": found.was,
        "needed": found.needed,
        "share": found.share,
        "offer_id": found.choice.offer_id,
        "propensity": found.choice.propensity,
    }
