"""An action's payload filled in for its user.

Everything comes from the decision's record and the catalogue: an action made again from the log has the same bytes.
"""

from datetime import datetime, timedelta
from typing import Final

from pydantic import JsonValue

from forestay.core.actions.payload import slots
from forestay.core.decision.catalogue import Catalogue, Offer
from forestay.core.units import HOUR
from forestay_schemas.decision import Decision
from forestay_schemas.types import ActionKind

_DAY_HOURS: Final = 24.0
#: Reasons that tell a person nothing about the user.
_NOT_TOLD: Final = frozenset({"worth_it", "rule", "held", "unknown_timezone"})


def expires_at(offer: Offer, decision: Decision) -> datetime:
    """Returns until when the action is worth doing."""
    return decision.decided_at + timedelta(milliseconds=round(offer.expires_after_hours * HOUR))


def filled(offer: Offer, decision: Decision, catalogue: Catalogue) -> dict[str, JsonValue]:
    """Returns the payload of the action that a decision asks for; an empty one stays empty."""
    payload = dict(offer.payload)
    if not payload:
        return payload
    if offer.kind is ActionKind.PROMOTION:
        payload["valid_until"] = _valid_until(offer, decision)
    elif offer.kind is ActionKind.OUTREACH:
        payload["context"] = _context(decision, catalogue)
    elif offer.kind is ActionKind.REVIEW_RISK:
        payload["context"] = _context(decision, catalogue)
        payload["signs"] = [one.text for one in decision.reasons if one.code == "review_risk"]
    elif decision.items:
        gone = catalogue.switches.items_out_of_stock
        payload["items"] = [item for item in decision.items if item not in gone]
    elif offer.kind is ActionKind.MESSAGE and isinstance(payload.get("text"), str):
        text = str(payload["text"])
        values = _slot_values(offer, decision)
        payload["text"] = text.format_map(values)
        payload["slots"] = {name: values[name] for name in slots(text)}
    return payload


def _valid_until(offer: Offer, decision: Decision) -> str:
    until = expires_at(offer, decision)
    hours = offer.payload.get("valid_hours")
    if isinstance(hours, int | float):
        until = min(until, decision.decided_at + timedelta(milliseconds=round(hours * HOUR)))
    return _written(until)


def _written(moment: datetime) -> str:
    """Returns a moment as all records have it: RFC 3339 in UTC, with milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _context(decision: Decision, catalogue: Catalogue) -> dict[str, JsonValue]:
    """Returns what a person must know before they speak to the user, or judge them; money in the shop's currency."""
    features = decision.features
    observed = min(max(features.get("tenure_hours", 0.0) / _DAY_HOURS, 30.0), 180.0)
    settings = catalogue.policy
    stake = settings.margin * features.get("spend_180d", 0.0) / observed * settings.value_days
    return {
        "risk": decision.churn.probability,
        "horizon_days": decision.churn.horizon_days,
        "value_at_stake": round(stake, 2),
        "orders": round(features.get("orders_total", 0.0)),
        "spend": round(features.get("spend_total", 0.0), 2),
        "average_basket": round(features.get("average_basket", 0.0), 2),
        "days_silent": _days(features, "hours_since_last_event"),
        "usual_days_between_visits": _days(features, "session_gap_mean_hours"),
        "known_for_days": _days(features, "tenure_hours"),
        "why": [one.text for one in decision.reasons if one.code not in _NOT_TOLD],
    }


def _slot_values(offer: Offer, decision: Decision) -> dict[str, str]:
    features = decision.features
    return {
        "orders": f"{features.get('orders_total', 0.0):.0f}",
        "spend": f"{features.get('spend_total', 0.0):.2f}",
        "average_basket": f"{features.get('average_basket', 0.0):.2f}",
        "days_silent": f"{features.get('hours_since_last_event', 0.0) / _DAY_HOURS:.0f}",
        "expires_on": expires_at(offer, decision).date().isoformat(),
    }


def _days(features: dict[str, float], name: str) -> float:
    return round(features.get(name, 0.0) / _DAY_HOURS, 1)
