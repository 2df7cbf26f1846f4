"""Rules with priorities: the highest that applies and whose offer is permitted decides, and says so."""

from typing import Any

import pytest
from pydantic import ValidationError
from support.builders import MODEL, NO_BUDGETS, catalogue, offer, situation

from forestay.core.decision.answer import Answer
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.decide import decide
from forestay.core.decision.ladder import climb
from forestay.core.policy.weighing import weigh
from forestay.core.units import DAY
from forestay_schemas.decision import Decision
from forestay_schemas.types import Rung

USER = {
    "spend_180d": 180.0,
    "spend_total": 500.0,
    "tenure_hours": 8760.0,
    "average_basket": 20.0,
    "orders_total": 4.0,
}


def shop(*rules: dict[str, Any], exploration: float = 0.0, **policy: Any) -> Catalogue:
    offers = [offer(name, effect=0.01) for name in ("call", "coupon", "points")]
    settings = {"kind": "rules", "rules": list(rules), "exploration": exploration, **policy}
    content = catalogue(*offers, holdout=0).model_dump() | {"policy": settings, "tiers": {"silver": 400}}
    return Catalogue.model_validate(content)


def chosen(made: Catalogue, probability: float = 0.6, rung: Rung = Rung.MODEL) -> dict[str | None, float]:
    found = weigh(made.offers, situation(USER), probability, made, rung=rung)
    return {one.offer_id: one.propensity for one in found if one.propensity > 0}


def decided(made: Catalogue, probability: float = 0.6) -> Decision:
    churn = climb(situation(USER), None, Answer(probability, MODEL), DAY)
    return decide(situation(USER), [], churn, made, made.digest(), book=NO_BUDGETS)


def test_the_highest_priority_that_applies_speaks_and_of_equals_the_earlier() -> None:
    low, first, second = ({"id": name, "priority": place, "offers": name} for name, place in
                          (("points", 1), ("coupon", 5), ("call", 5)))  # fmt: skip
    assert chosen(shop(low, first, second)) == {"coupon": 1.0}
    assert chosen(shop(low, second, first)) == {"call": 1.0}


@pytest.mark.parametrize(
    ("when", "applies"),
    [
        ({}, True),
        ({"probability": {"at_least": 0.6}}, True),
        ({"probability": {"below": 0.6}}, False),
        ({"features": {"orders_total": {"at_least": 4, "below": 5}}}, True),
        ({"features": {"orders_total": {"at_least": 5}}}, False),
        ({"tiers": ["silver"]}, True),
        ({"triggers": ["silence"]}, False),
        ({"triggers": ["event"], "features": {"spend_180d": {"below": 180}}}, False),
    ],
)
def test_a_rule_applies_where_all_its_conditions_hold(when: dict[str, Any], applies: bool) -> None:
    assert chosen(shop({"id": "r", "when": when, "offers": ["call"]})) == {"call" if applies else None: 1.0}


def test_an_offer_that_guardrails_cut_leaves_the_word_to_the_next() -> None:
    made = shop({"id": "a", "priority": 2, "offers": ["call", "coupon"]}, {"id": "b", "offers": ["points"]})
    left = [one for one in made.offers if one.id != "call"]
    assert [one.offer_id for one in weigh(left, situation(USER), 0.6, made) if one.propensity] == ["coupon"]
    left = [one for one in left if one.id != "coupon"]
    assert [one.offer_id for one in weigh(left, situation(USER), 0.6, made) if one.propensity] == ["points"]


def test_a_rule_without_offers_ends_the_list() -> None:
    quiet = {"id": "leave-alone", "priority": 9, "when": {"features": {"orders_total": {"at_least": 4}}}}
    made = shop(quiet, {"id": "b", "offers": ["points"]}, exploration=0.4)
    assert chosen(made) == {None: 1.0}
    assert (decided(made).reasons[-1].code, "leave-alone" in decided(made).reasons[-1].text) == ("rule", True)


def test_exploration_is_among_what_applying_rules_name() -> None:
    made = shop({"id": "a", "offers": ["call", "coupon"]}, exploration=0.3)
    assert chosen(made) == {None: pytest.approx(0.1), "call": pytest.approx(0.8), "coupon": pytest.approx(0.1)}
    floor = shop({"id": "a", "offers": ["call", "coupon"]}, exploration_floor=0.2)
    assert chosen(floor) == {None: pytest.approx(0.2), "call": pytest.approx(0.6), "coupon": pytest.approx(0.2)}


def test_rules_are_the_floor_of_another_policy_where_no_model_answered() -> None:
    made = shop({"id": "a", "offers": ["points"]}, kind="expected_value")
    assert chosen(made, rung=Rung.RULE) == {"points": 1.0}
    assert chosen(made, rung=Rung.CACHED) == chosen(made) == {"call": 1.0}
    bare = made.model_copy(update={"policy": made.policy.model_copy(update={"rules": ()})})
    assert chosen(bare, rung=Rung.RULE) == chosen(bare)


def test_a_decision_says_which_rule_spoke() -> None:
    made = shop({"id": "big-spenders", "offers": ["coupon"]})
    decision = decided(made)
    assert (decision.offer_id, decision.policy.name, decision.policy.propensity) == ("coupon", "rules", 1.0)
    assert (decision.reasons[-1].code, "big-spenders" in decision.reasons[-1].text) == ("rule", True)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([], "the kind rules needs `rules`"),
        ([{"id": "a", "offers": ["letter"]}], "names an offer that is not there: letter"),
        ([{"id": "a"}, {"id": "a"}], "must be unique"),
        ([{"id": "a", "when": {"tiers": ["gold"]}}], "a tier that `tiers` does not name: gold"),
        ([{"id": "a", "when": {"features": {"age": {"below": 9}}}}], "there is no feature age"),
        ([{"id": "a", "when": {"probability": {}}}], "a bound needs"),
        ([{"id": "a", "when": {"probability": {"at_least": 0.5, "below": 0.5}}}], "nothing is"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(rules: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        shop(*rules)


def test_a_floor_of_exploration_changes_the_digest_and_none_does_not() -> None:
    plain = catalogue(offer("a"))
    assert catalogue(offer("a"), policy={"exploration_floor": 0.0}).digest() == plain.digest()
    assert catalogue(offer("a"), policy={"exploration_floor": 0.02}).digest() != plain.digest()
