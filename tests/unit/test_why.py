"""Why a decision was taken: what is told is true of the decision, and what would have changed it does change it."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.builders import NO_BUDGETS, START, catalogue, offer, situation

import forestay.core.decision
from forestay.core.decision.budgeting import EXHAUSTED
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.decide import decide
from forestay.core.decision.situation import Situation
from forestay.core.experiments.trials import Trials
from forestay.core.state.contact import Contact
from forestay.why.codes import MEANINGS, meaning
from forestay.why.explanation import explain
from forestay.why.search import Number, nearest_changes
from forestay.why.words import told
from forestay_schemas.decision import Decision, Suppressed
from forestay_schemas.outcome import DecisionOutcome
from forestay_schemas.retention_action import Churn, Factor
from forestay_schemas.types import Rung

#: 0.3 of 180.00 spent in 180 days is 54.00 at stake.
LOYAL = {
    "spend_180d": 180.0,
    "spend_total": 300.0,
    "tenure_hours": 24.0 * 365,
    "average_basket": 20.0,
    "orders_total": 4.0,
}
ALWAYS_BEST: dict[str, Any] = {"exploration": 0.0}
FACTORS = (
    Factor(group="base", log_odds=-1.0),
    Factor(group="rhythm", log_odds=0.5),
    Factor(group="cart", log_odds=-0.9),
)


def churn(probability: float) -> Churn:
    return Churn(probability=probability, horizon_days=60, model="m", version="7", rung=Rung.MODEL, factors=FACTORS)


def decided(
    shop: Catalogue, probability: float = 0.3, contacts: Sequence[Contact] = (), at: Situation | None = None
) -> Decision:
    """Returns a decision as a worker makes it."""
    moment = at or situation(LOYAL)

    def made(market: Catalogue, arms: Collection[str]) -> Decision:
        return decide(moment, contacts, churn(probability), market, shop.digest(), book=NO_BUDGETS, arms=arms)

    return Trials(shop).decide(moment, probability, made)


def changes(shop: Catalogue, decision: Decision) -> dict[tuple[str, str], list[dict[str, Any]]]:
    found = explain(decision, None, shop)["otherwise"]
    assert found["known"], found["unknown"]
    named: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in found["changes"]:
        named.setdefault((one["thing"], one["name"]), []).append(one)
    return named


def test_the_risk_at_which_an_offer_pays_for_itself_is_found_to_the_last_digit() -> None:
    """54.00 at stake, a tenth of it saved, 2.00 the cost: worth it from 37.037037 % on, and a hair more."""
    shop = catalogue(offer("dear", effect=0.1, cost={"fixed": 2.0}), policy=ALWAYS_BEST)
    [change] = changes(shop, decided(shop, 0.3))["probability", "probability"]
    assert (change["was"], change["needed"], change["offer_id"]) == (0.3, 0.370371, "dear")
    assert change["propensity"] == 1.0


def test_thresholds_of_rules_are_found_as_well() -> None:
    shop = catalogue(
        offer("risky", eligibility={"min_probability": 0.43}),
        offer("regular", eligibility={"min_orders": 7}),
        offer("rich", eligibility={"min_spend": 450.25}),
        policy=ALWAYS_BEST,
    )
    found = changes(shop, decided(shop))
    assert [one["needed"] for one in found["probability", "probability"]] == [0.43]
    assert [one["needed"] for one in found["feature", "orders_total"]] == [7]
    assert [one["needed"] for one in found["feature", "spend_total"]] == [450.25]
    assert {name: one[0]["offer_id"] for (thing, name), one in found.items() if thing == "rule"} == {
        "risk_too_low": "risky",
        "too_few_orders": "regular",
        "too_little_spend": "rich",
    }


def test_a_rule_that_is_lifted_lets_other_rules_stand() -> None:
    """The cooldown hides that the offer is not for this trigger: the record tells the trigger."""
    shop = catalogue(offer("a", eligibility={"triggers": ["silence"]}), cooldown_days=7, policy=ALWAYS_BEST)
    decision = decided(shop, contacts=[Contact(START - 1, "x")])
    assert [one.code for one in decision.suppressed] == ["cooldown"]
    assert ("rule", "cooldown") not in changes(shop, decision)


@pytest.mark.parametrize(("rule", "contacts"), [("holdout", []), ("frequency_cap", [Contact(START - 1, "x")])])
def test_but_for_a_guardrail_the_offer_would_have_been_made(rule: str, contacts: list[Contact]) -> None:
    shop = catalogue(offer("a"), policy=ALWAYS_BEST, **({"holdout": 1.0} if contacts == [] else {"cap_contacts": 1}))
    decision = decided(shop, contacts=contacts)
    assert decision.offer_id is None
    assert changes(shop, decision)["rule", rule][0]["offer_id"] == "a"


def test_the_arm_of_an_experiment_is_decided_under_and_can_be_lifted() -> None:
    arms = [{"id": "control", "change": {"act": False}}, {"id": "act", "weight": 0.001}]
    plan = {"users": 100}
    asked = {
        "id": "x",
        "layer": "l",
        "salt": "s",
        "from": "2000-01-01T00:00:00Z",
        "until": "2100-01-01T00:00:00Z",
        "arms": arms,
        "plan": plan,
    }
    shop = catalogue(offer("a"), policy=ALWAYS_BEST)
    shop = Catalogue.model_validate({**shop.model_dump(mode="json"), "experiments": [asked]})
    decision = decided(shop)
    assert [one.code for one in decision.suppressed] == ["experiment_arm"]
    assert changes(shop, decision)["rule", "experiment_arm"][0]["offer_id"] == "a"


@settings(deadline=None, max_examples=40)
@given(
    probability=st.integers(0, 1_000_000).map(lambda number: number / 1_000_000),
    effects=st.lists(st.floats(0.0, 0.5), min_size=1, max_size=4),
    costs=st.lists(st.floats(0.0, 20.0), min_size=4, max_size=4),
    thresholds=st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.8]), min_size=4, max_size=4),
    exploration=st.sampled_from([0.0, 0.1, 0.9]),
    user=st.integers(0, 50),
)
def test_every_change_told_changes_the_choice_and_a_digit_less_does_not(  # noqa: PLR0917 - drawn by hypothesis
    probability: float,
    effects: list[float],
    costs: list[float],
    thresholds: list[float],
    exploration: float,
    user: int,
) -> None:
    """The oracle is the worker itself, deciding on a user who differs in that one thing."""
    shop = catalogue(
        *(
            offer(f"o{n}", effect=effect, cost={"fixed": costs[n]}, eligibility={"min_probability": thresholds[n]})
            for n, effect in enumerate(effects)
        ),
        policy={"exploration": exploration},
    )
    at = situation(LOYAL, user_id=f"u{user}")
    decision = decided(shop, probability, at=at)
    assert explain(decision, None, shop)["otherwise"]["known"]
    found = changes(shop, decision)
    for one in found.get(("probability", "probability"), []):
        step = 1e-6 if one["needed"] > probability else -1e-6
        assert decided(shop, one["needed"], at=at).offer_id == one["offer_id"] != decision.offer_id
        assert decided(shop, round(one["needed"] - step, 6), at=at).offer_id == decision.offer_id
    for one in found.get(("feature", "spend_180d"), []):
        there = situation({**LOYAL, "spend_180d": one["needed"]}, user_id=f"u{user}")
        assert decided(shop, probability, at=there).offer_id == one["offer_id"] != decision.offer_id
    if len([one for one in decision.candidates if one.propensity > 0]) > 1:
        assert ("draw", "draw") in found


@given(was=st.floats(0.0, 1.0), threshold=st.integers(0, 1_000), rising=st.booleans())
def test_a_threshold_is_found_wherever_it_lies(was: float, threshold: int, rising: bool) -> None:
    """A choice that changes once, anywhere between 0 and 1 in thousandths, above or below where it is now."""
    limit = threshold / 1_000

    def side(value: float) -> bool:
        return value >= limit if rising else value > limit

    found = list(nearest_changes(Number(was, 3, most=1.0), lambda value: side(value) != side(was)))
    ticks = [tick / 1_000 for tick in range(1_001) if side(tick / 1_000) != side(was)]
    assert found == ([min(ticks, key=lambda tick: abs(tick - was))] if ticks else [])


def test_scarce_budgets_are_taken_as_they_were() -> None:
    """An offer is worth less by a price that is on no record: the values tell it."""
    shop = catalogue(offer("a", effect=0.1, cost={"fixed": 1.0}), policy=ALWAYS_BEST)
    paid = shop.offers[0].model_copy(update={"budgets": ("b",)})
    shop = shop.model_copy(update={"offers": [paid]})
    decision = decided(catalogue(offer("a", effect=0.1, cost={"fixed": 2.0}), policy=ALWAYS_BEST), 0.5)
    decision = decision.model_copy(update={"policy": decision.policy.model_copy(update={"version": shop.digest()})})
    # A cost of 1.00 at a price of 2: as if it cost 2.00.
    [change] = changes(shop, decision)["probability", "probability"]
    assert change["needed"] == 0.37037


def test_without_the_very_catalogue_nothing_is_supposed() -> None:
    shop, other = catalogue(offer("a")), catalogue(offer("a"), salt="other")
    found = explain(decided(shop), None, other)["otherwise"]
    assert not found["known"]
    assert found["changes"] == []
    assert shop.digest() in found["unknown"]
    assert other.digest() in found["unknown"]


def test_a_record_that_is_not_what_deciding_again_gives_is_not_supposed_about() -> None:
    shop = catalogue(offer("a"), policy=ALWAYS_BEST)
    decision = decided(shop)
    poorer = decision.model_copy(update={"features": {"spend_180d": 1.0}})
    foreign = decision.model_copy(update={"offer_id": None})
    for one in (poorer, foreign):
        assert not explain(one, None, shop)["otherwise"]["known"]


def test_it_is_told_in_words() -> None:
    shop = catalogue(
        offer("a", effect=0.1, cost={"fixed": 2.0}), offer("b", eligibility={"min_orders": 9}), policy=ALWAYS_BEST
    )
    decision = decided(shop)
    odd = Suppressed(offer_id="c", kind=decision.suppressed[0].kind, code="of_a_newer_version")
    decision = decision.model_copy(update={"suppressed": [*decision.suppressed, odd]})
    outcome = DecisionOutcome.model_validate(
        {
            **decision.model_dump(include={"decision_id", "user_id", "offer_id", "decided_at"}),
            "matured_at": "2026-03-01T00:00:00Z",
            "horizon_days": 7,
            "function": "margin/1",
            "reward": 1.25,
            "fragments": {
                "returned": True, "orders": 1, "revenue": 9.0, "refunded": 0.0, "margin": 2.0, "cost": 0.0,
                "feedback": {},
            },
        }
    )  # fmt: skip
    said = "\n".join(told(explain(decision, outcome, shop)))
    for words in (
        "30.0% likely not to order within 60 days, by m 7 (model)",
        "cart speaks for staying: odds times 0.407",
        "a: expected to earn -0.38 above its cost, probability 0",
        "b by too_few_orders: the user has fewer orders than the offer asks for",
        "c by of_a_newer_version\n",
        "chosen: nothing with probability 1, nothing else could be chosen",
        "came of it in 7 days: returned, orders 1, margin 2.00, cost 0.00; reward 1.25 by margin/1",
        "had the risk been 37.0371%, not 30.0000%, a would have been chosen (probability 1)",
        "had the number of orders been 9, not 4, b would have been chosen",
    ):
        assert words in said, said


def test_codes_are_meant_for_people() -> None:
    rules = "".join(path.read_text() for path in Path(forestay.core.decision.__file__).parent.glob("*.py"))
    assert {"holdout", "risk_too_low"} <= set(re.findall(r'yield "([a-z_]+)"', rules)) <= MEANINGS.keys()
    assert EXHAUSTED in MEANINGS
    assert meaning("of_a_newer_version") == "of_a_newer_version"
    assert all(words != code and "_" not in words for code, words in MEANINGS.items())
