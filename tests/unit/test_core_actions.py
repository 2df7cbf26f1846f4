"""Payloads: what each kind has, filled in for a user from the decision's record alone."""

from typing import Any

import pytest
from pydantic import ValidationError
from support.builders import MODEL, NO_BUDGETS, catalogue, offer, situation

from forestay.core.actions.payload import slots
from forestay.core.decision.answer import Answer
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.decide import action_of, decide
from forestay.core.decision.ladder import climb
from forestay.core.units import DAY
from forestay_schemas.decision import Decision
from forestay_schemas.retention_action import RetentionAction

USER = {
    "spend_180d": 180.0,
    "spend_total": 512.345,
    "tenure_hours": 8760.0,
    "average_basket": 20.0,
    "orders_total": 4.0,
    "hours_since_last_event": 756.0,
    "session_gap_mean_hours": 240.0,
}


def shop(kind: str, payload: dict[str, Any], **more: Any) -> Catalogue:
    return catalogue(offer("a", kind=kind, payload=payload, **more), holdout=0, policy={"exploration": 0})


def acted(made: Catalogue) -> RetentionAction:
    churn = climb(situation(USER), None, Answer(0.6, MODEL), DAY)
    decision = decide(situation(USER), [], churn, made, made.digest(), book=NO_BUDGETS)
    action = action_of(decision, made)
    again = action_of(Decision.model_validate_json(decision.model_dump_json()), made)
    assert action is not None
    assert again is not None
    # Made again from its log, an action has the same bytes.
    assert again.model_dump_json() == action.model_dump_json()
    return action


@pytest.mark.parametrize(
    ("kind", "payload", "said"),
    [
        ("promotion", {"coupon_percent": 10, "coupon_amount": 5}, "either coupon_percent or coupon_amount"),
        ("promotion", {"code": "X"}, "either coupon_percent or coupon_amount"),
        ("promotion", {"coupon_percent": 101}, "coupon_percent: Input should be less than or equal to 100"),
        ("loyalty", {"extra": {}}, "loyalty is points, a tier, or both"),
        ("loyalty", {"points": 5.5}, "points: "),
        ("outreach", {"team": "care"}, "task: Field required"),
        ("message", {"text": "Dear {name}"}, r"there is no slot \{name\}"),
        ("message", {"text": "Dear {orders!r}"}, "a slot is a name in braces and no more"),
        ("message", {"text": "Dear {orders"}, "expected '}'"),
        ("message", {"extra": {"a": 1}}, "a message has a template, a text, or both"),
        ("recommendation", {"count": 3}, "list: Field required"),
        ("recommendation", {"list": "new", "colour": "red"}, "colour: Extra inputs are not permitted"),
        ("review_risk", {"points": 3}, "under `extra`"),
    ],
)
def test_a_payload_is_what_its_kind_has(kind: str, payload: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        shop(kind, payload)


def test_points_and_tiers_agree_with_the_rest_of_the_catalogue() -> None:
    with pytest.raises(ValidationError, match="it costs 500 points and gives 400"):
        shop("loyalty", {"points": 400}, cost={"points": 500})
    with pytest.raises(ValidationError, match="tiers that `tiers` does not name: gold"):
        shop("loyalty", {"tier": "gold"})


def test_fields_of_the_shops_own_are_passed_on() -> None:
    payload = {"coupon_percent": 10.0, "extra": {"colour": {"of": ["red", 1, None]}}}
    assert shop("promotion", payload).offers[0].payload == payload


def test_a_coupon_is_good_until_its_action_expires_or_for_its_own_hours() -> None:
    action = acted(shop("promotion", {"coupon_percent": 10}, expires_after_hours=48))
    assert action.payload == {"coupon_percent": 10.0, "valid_until": _written(action, 48)}
    shorter = acted(shop("promotion", {"coupon_amount": 5, "valid_hours": 24}, expires_after_hours=48))
    assert shorter.payload["valid_until"] == _written(shorter, 24)
    longer = acted(shop("promotion", {"coupon_amount": 5, "valid_hours": 72}, expires_after_hours=48))
    assert longer.payload["valid_until"] == _written(longer, 48)


def _written(action: RetentionAction, hours: int) -> str:
    moment = action.decided_at.timestamp() + hours * 3600
    return type(action.decided_at).fromtimestamp(moment, action.decided_at.tzinfo).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_a_person_is_given_what_they_need_to_know() -> None:
    payload = acted(shop("outreach", {"task": "Call them"})).payload
    context = payload["context"]
    assert isinstance(context, dict)
    told = {"risk": 0.6, "orders": 4, "spend": 512.34, "days_silent": 31.5, "usual_days_between_visits": 10.0}
    assert context.items() >= told.items()
    assert context["value_at_stake"] == round(situation(USER).value_at_stake(0.3, 180), 2)
    assert isinstance(context["why"], list)
    assert str(context["why"][0]).startswith("60% likely not to order")


def test_the_slots_of_a_message_are_filled() -> None:
    text = "{orders} orders, {{thanks}}: {days_silent} days gone"
    payload = acted(shop("message", {"text": text})).payload
    assert payload == {
        "text": "4 orders, {thanks}: 32 days gone",
        "slots": {"orders": "4", "days_silent": "32"},
    }
    assert slots(text) == ["orders", "days_silent"]


@pytest.mark.parametrize("kind", ["promotion", "outreach", "message", "recommendation"])
def test_an_empty_payload_stays_empty(kind: str) -> None:
    assert acted(shop(kind, {})).payload == {}
