"""Whom an offer is for and whether there is any: each rule on its own, and the signs of abuse."""

from typing import Any

import pytest
from pydantic import ValidationError
from support.builders import START, situation

from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.guardrails import screen
from forestay.core.decision.reasons import why_so
from forestay.core.decision.situation import Situation
from forestay.core.units import DAY, to_datetime

RICH = {"orders_total": 10.0, "spend_total": 1_000.0, "average_basket": 100.0}
OPEN = {"cap_contacts": None, "cooldown_days": 0, "holdout": 0}


def shop(*offers: dict[str, Any], **more: Any) -> Catalogue:
    alike = {"channel": "email", "effect": 0.5, "cooldown_days": 0}
    content = [{"id": f"o{n}", "kind": "message", **alike, **one} for n, one in enumerate(offers)]
    return Catalogue.model_validate({"name": "shop", "guardrails": OPEN, "offers": content, **more})


def code(one: Catalogue, at: Situation | None = None) -> dict[str, str]:
    return {cut.offer_id: cut.code for cut in screen(at or situation(RICH), [], 0.5, one)[1]}


@pytest.mark.parametrize(
    ("offset", "expected"), [(-1, "not_yet_available"), (0, None), (DAY - 1, None), (DAY, "no_longer_available")]
)
def test_an_offer_is_available_from_and_until_just_before(offset: int, expected: str | None) -> None:
    days = {"from": to_datetime(START).isoformat(), "until": to_datetime(START + DAY).isoformat()}
    found = code(shop({"available": days}, {}), situation(RICH, now=START + offset))
    assert found == ({} if expected is None else {"o0": expected})


@pytest.mark.parametrize(
    ("switches", "stopped"),
    [
        ({"everything": True}, {"o0": "paused", "o1": "paused", "o2": "paused"}),
        ({"paused": ["o1"]}, {"o1": "paused"}),
        ({"paused_kinds": ["outreach"]}, {"o2": "paused"}),
        ({"out_of_stock": ["o0"]}, {"o0": "out_of_stock"}),
    ],
)
def test_a_switch_stops_an_offer_a_kind_or_everything_and_what_is_transactional_too(
    switches: dict[str, Any], stopped: dict[str, str]
) -> None:
    offers: list[dict[str, Any]] = [{}, {"transactional": True}, {"kind": "outreach"}]
    assert code(shop(*offers, switches=switches)) == stopped


@pytest.mark.parametrize(
    ("spend", "tier"), [(0, None), (499, None), (500, "silver"), (1_999, "silver"), (2_000, "gold")]
)
def test_a_tier_is_reached_by_spend(spend: float, tier: str | None) -> None:
    tiers = {"silver": 500, "gold": 2_000}
    one = shop({"eligibility": {"tiers": ["gold"]}}, {"eligibility": {"tiers": ["silver", "gold"]}}, tiers=tiers)
    assert one.tier(spend) == tier
    expected = {None: {"o0", "o1"}, "silver": {"o0"}, "gold": set[str]()}[tier]
    assert code(one, situation(RICH | {"spend_total": spend})) == dict.fromkeys(sorted(expected), "other_tier")


@pytest.mark.parametrize(("floor", "cut"), [(0.2, False), (0.21, True)])
def test_an_offer_leaves_its_margin_floor(floor: float, cut: bool) -> None:
    """Of a basket of 100 with a margin of 30, a coupon of 5 % and 5 more leave 20."""
    one = shop({"cost": {"fixed": 5, "basket_share": 0.05}, "eligibility": {"margin_floor": floor}})
    assert code(one) == ({"o0": "margin_too_low"} if cut else {})
    assert code(one, situation({})) == {"o0": "margin_too_low"}


@pytest.mark.parametrize(
    ("rule", "features"),
    [
        ({"refunds_per_order": 0.5}, {"refunds_total": 6}),
        ({"refunded_share": 0.5}, {"refund_value_total": 501}),
        ({"promotions_per_order": 1}, {"select_promotion_count_30d": 5, "purchase_count_30d": 4}),
        ({"orders_a_day": 4}, {"purchase_count_1d": 5}),
        ({"baskets_a_day": 6}, {"spend_1d": 601}),
    ],
)
def test_a_sign_of_abuse_stops_what_is_worth_money_and_asks_for_a_review(
    rule: dict[str, float], features: dict[str, float]
) -> None:
    offers = [{"kind": kind} for kind in ("promotion", "loyalty", "message", "review_risk")]
    one = shop(*offers, review_risk=rule)
    assert code(one) == {"o3": "nothing_to_review"}
    suspect = situation(RICH | features)
    assert code(one, suspect) == {"o0": "review_risk", "o1": "review_risk"}
    (reason,) = why_so(suspect, one, None, None)
    (name,) = rule
    assert reason.code == "review_risk"
    assert name.replace("_", " ") in reason.text
    # Of who has hardly bought, nothing is known.
    assert code(one, situation(RICH | features | {"orders_total": 2})) == {"o3": "nothing_to_review"}


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"switches": {"paused": ["o1"]}}, "switches name what is no offer: o1"),
        ({"switches": {"out_of_stock": ["x"]}}, "no offer: x"),
        ({"tiers": {"silver": -1}}, "silver"),
        ({"review_risk": {"refunds": 1}}, "refunds"),
    ],
)
def test_what_names_nothing_is_refused(content: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        shop({}, **content)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"eligibility": {"tiers": ["gold"]}}, "tiers that `tiers` does not name: gold"),
        ({"available": {"from": "2026-02-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"}}, "`from` lies before"),
        ({"available": {"from": "2026-02-01"}}, "needs a zone"),
    ],
)
def test_an_offer_that_nobody_could_have_is_refused(content: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        shop(content)


@pytest.mark.parametrize(
    ("quiet", "named"),
    [
        ({"from": "21:00", "until": "21:00"}, "begin and end"),
        ({"from": "00:00", "until": "24:00"}, "begin and end"),
        ({"from": "9 pm", "until": "08:00"}, "written as 21:00"),
        ({"from": "21:60", "until": "08:00"}, "written as 21:00"),
        ({"from": "25:00", "until": "08:00"}, "less than or equal to 1440"),
        ({"from": "21:00", "until": "08:00", "days": ["saturday"]}, "days"),
        ({"from": "21:00", "until": "08:00", "then": "wait"}, "then"),
    ],
)
def test_quiet_hours_that_cannot_be_are_refused(quiet: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        shop({}, guardrails=OPEN | {"quiet_hours": quiet})
    with pytest.raises(ValidationError, match="no IANA time zone"):
        shop({}, guardrails=OPEN | {"timezone": "CEST"})
