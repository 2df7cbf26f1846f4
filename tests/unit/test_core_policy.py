"""The policy: expected value, the best of what is in play, and draws that happen as often as logged."""

from collections import Counter
from itertools import pairwise

import pytest
from support.builders import MODEL, NO_BUDGETS, START, catalogue, click, offer, partition, settle, situation, source

from forestay.core.decision.answer import Answer
from forestay.core.decision.decide import action_of, decide
from forestay.core.decision.ladder import climb
from forestay.core.decision.policy import cost, draw, expected_value, weigh
from forestay.core.hashing import hash64, identifier, unit_interval
from forestay.core.rules import Rules
from forestay.core.state.contact import Contact
from forestay.core.units import DAY, HOUR
from forestay_schemas.retention_action import Factor

#: 0.3 of 180.00 spent in 180 days is 54.00 at stake over 180 days.
LOYAL = {"spend_180d": 180.0, "tenure_hours": 24.0 * 365, "average_basket": 20.0}


def test_the_value_at_stake_carries_the_spend_of_the_last_half_year_forward() -> None:
    assert situation(LOYAL).value_at_stake(0.3, 180) == pytest.approx(54.0)
    assert situation(LOYAL).value_at_stake(0.3, 90) == pytest.approx(27.0)
    # Of a newcomer at least thirty days are taken as observed, or one order would make them a millionaire.
    new = situation({"spend_180d": 30.0, "tenure_hours": 1.0})
    assert new.value_at_stake(1.0, 180) == pytest.approx(180.0)


def test_expected_value_is_probability_times_effect_times_stake_less_cost() -> None:
    shop = catalogue(offer("a", effect=0.1, cost={"fixed": 0.5, "basket_share": 0.1}), policy={"margin": 0.3})
    assert cost(shop.offers[0], 20.0) == 2.5
    assert expected_value(shop.offers[0], situation(LOYAL), 0.5, shop) == pytest.approx(0.5 * 0.1 * 54 - 2.5)


def test_an_offer_worth_no_more_than_nothing_is_never_in_play() -> None:
    shop = catalogue(offer("dear", cost={"fixed": 1e6}), offer("free", effect=0), policy={"exploration": 1.0})
    candidates = weigh(shop.offers, situation(LOYAL), 0.9, shop)
    assert [(c.offer_id, c.propensity) for c in candidates] == [(None, 1.0), ("dear", 0.0), ("free", 0.0)]


def test_ties_go_to_the_earlier_offer_of_the_catalogue() -> None:
    shop = catalogue(offer("a"), offer("b"), policy={"exploration": 0.3})
    propensities = [c.propensity for c in weigh(shop.offers, situation(LOYAL), 0.9, shop)]
    assert propensities == pytest.approx([0.1, 0.8, 0.1])


@pytest.mark.parametrize("exploration", [0.0, 0.05, 0.5, 1.0])
def test_draws_are_as_frequent_as_their_propensities(exploration: float) -> None:
    shop = catalogue(*(offer(f"o{n}", effect=0.1 * n) for n in range(5)), policy={"exploration": exploration})
    candidates = weigh(shop.offers, situation(LOYAL), 0.9, shop)
    count = 20_000
    drawn = Counter(draw(candidates, identifier("decision", str(n)), "salt") for n in range(count))
    for index, candidate in enumerate(candidates):
        p = candidate.propensity
        # Five standard deviations: fails by chance once in a million runs, and the ids are fixed.
        assert abs(drawn[index] - count * p) <= 5 * (count * p * (1 - p)) ** 0.5


def test_a_draw_depends_on_decision_and_salt_alone() -> None:
    shop = catalogue(*(offer(f"o{n}") for n in range(5)), policy={"exploration": 1.0})
    candidates = weigh(shop.offers, situation(LOYAL), 0.9, shop)
    ids = [identifier("decision", str(n)) for n in range(500)]
    first = [draw(candidates, one, "a") for one in ids]
    assert first == [draw(candidates, one, "a") for one in ids]
    assert first != [draw(candidates, one, "b") for one in ids]


def test_chance_is_even_never_reaches_one_and_tells_its_parts_apart() -> None:
    points = [unit_interval("salt", str(n)) for n in range(50_000)]
    assert 0 <= min(points) <= max(points) < 1
    counts = Counter(int(point * 10) for point in points)
    assert all(abs(count - 5_000) < 5 * (50_000 * 0.1 * 0.9) ** 0.5 for count in counts.values())
    assert unit_interval("ab", "c") != unit_interval("a", "bc")
    assert identifier("a", "b") != identifier("ab")
    assert hash64("x") == 3_094_092_122_915_261_713  # stable over versions: stored and sent


def test_a_decision_tells_its_story() -> None:
    payload = {"template": "hello", "extra": {"x": 1}}
    shop = catalogue(offer("a", payload=payload, expires_after_hours=0.5), holdout=0, policy={"exploration": 0})
    factors = (("base", 2.0), ("rhythm", -1.0), ("orders", 0.5), ("returns", 0.6), ("cart", 0.05), ("steps", 0.2))
    told = tuple(Factor(group=group, log_odds=log_odds) for group, log_odds in factors)
    churn = climb(situation(LOYAL), None, Answer(0.123456789, MODEL, told), DAY)
    decision = decide(situation(LOYAL), [], churn, shop, shop.digest(), book=NO_BUDGETS)
    assert (decision.offer_id, decision.churn.probability, decision.policy.version) == ("a", 0.123457, shop.digest())
    assert [reason.code for reason in decision.reasons] == ["churn_risk", "factors", "event", "worth_it"]
    assert decision.reasons[0].text == "12% likely not to order within 60 days, says the model"
    assert decision.reasons[1].text == "what speaks for leaving: returns and orders, for staying: rhythm"
    action = action_of(decision, shop)
    assert action is not None
    assert (action.decision_id, action.action_id) == (decision.decision_id, decision.action_id)
    assert (action.payload, action.cost) == (payload, 0.0)
    assert (action.expires_at - action.decided_at).total_seconds() == 1800
    assert action_of(decision, catalogue(offer("other"))) is None


@pytest.mark.parametrize(
    ("contacts", "holdout", "code"), [([], 1.0, "holdout"), ([Contact(START, "a")], 0.0, "nothing")]
)
def test_a_decision_to_do_nothing_says_why(contacts: list[Contact], holdout: float, code: str) -> None:
    shop = catalogue(offer("a"), holdout=holdout, cooldown_days=1)
    decision = decide(
        situation(LOYAL),
        contacts,
        climb(situation(LOYAL), None, Answer(0.9, MODEL), DAY),
        shop,
        shop.digest(),
        book=NO_BUDGETS,
    )
    assert (decision.offer_id, decision.action_id, action_of(decision, shop)) == (None, None, None)
    assert decision.reasons[-1].code == code


def test_digests_change_with_any_change_of_the_catalogue() -> None:
    digests = [
        catalogue(offer("a"), **more).digest() for more in ({}, {"holdout": 0.1}, {"salt": "x"}, {"cap_contacts": 1})
    ]
    digests += [catalogue(offer("a", payload={"template": f"t{n}"})).digest() for n in range(2)]
    assert len(set(digests)) == len(digests)
    assert catalogue(offer("a")).digest() == digests[0]


def test_a_users_decisions_have_increasing_moments_even_in_one_millisecond() -> None:
    core = partition(Rules(score_interval=0))
    events = [source(click(f"e{n}", ts=START + n // 3 * HOUR), n) for n in range(9)]
    decisions = settle(core, events).decisions
    assert all(a.decided_at < b.decided_at for a, b in pairwise(decisions))
    assert len(decisions) == 3
    assert settle(core, [source(click("late", ts=START - DAY), 9)]).decisions == []
