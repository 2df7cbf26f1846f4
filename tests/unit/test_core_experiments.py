"""Arms by salted hashes: even, independent, exclusive, sticky; and what a decision under experiment leaves."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from support.builders import START, offer, partition, settle, stream
from support.builders import catalogue as plain
from support.builders import click as event

from forestay.core.decision.catalogue import Catalogue
from forestay.core.experiments.assignment import arm_of, bucket, places, shares
from forestay.core.experiments.settings import BUCKETS, Experiment
from forestay_schemas import Decision

USERS = [f"user-{number}" for number in range(20_000)]
#: The 99.99 % points of chi-squared with 1, 3 and 99 degrees of freedom: the users are fixed, so it holds or not.
LIMIT = {1: 15.14, 3: 21.11, 99: 161.3}


def experiment(name: str = "coupon", *, start: Any = "2025-12-20T00:00:00Z", **more: Any) -> dict[str, Any]:
    """Returns an experiment as a catalogue's YAML has it: act or not, on everybody, for a month."""
    arms = [{"id": "control", "change": {"act": False}}, {"id": "act"}]
    dates = {"from": start, "until": "2026-01-20T00:00:00Z"}
    return {"id": name, "layer": "offers", "salt": f"{name}-1", "arms": arms, "plan": {"users": 1_000}} | dates | more


def read(**more: Any) -> Experiment:
    return Experiment.model_validate(experiment(**more))


def shop(*experiments: dict[str, Any], **more: Any) -> Catalogue:
    content = plain(offer("a"), offer("b", effect=0.1), **more).model_dump()
    return Catalogue.model_validate(content | {"experiments": list(experiments)})


def chi_squared(counts: list[int], expected: list[float]) -> float:
    return sum((count - one) ** 2 / one for count, one in zip(counts, expected, strict=True))


def arm(of: Experiment, user: str) -> str | None:
    found = arm_of(of, user)
    return None if found is None else found.id


def policies(change: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns two arms, of which the other has a policy of its own."""
    return [{"id": "a"}, {"id": "b", "change": {"policy": change}}]


PRICES = {"by": "tier", "measure": "selection", "least": 0.8, "decisions": 1, "groups": {"z": {"price": 1.0}}}


def test_buckets_are_filled_evenly() -> None:
    hundreds = Counter(bucket("layer", "offers", user) // 100 for user in USERS)
    assert set(hundreds) == set(range(100))
    assert chi_squared([hundreds[number] for number in range(100)], [200.0] * 100) < LIMIT[99]


def test_arms_get_what_their_weights_say() -> None:
    arms = [{"id": "a", "weight": 1}, {"id": "b", "weight": 2}, {"id": "c", "weight": 3}, {"id": "d", "weight": 4}]
    given_arms = read(arms=arms)
    counts = Counter(arm(given_arms, user) for user in USERS)
    assert shares(given_arms) == [0.1, 0.2, 0.3, 0.4]
    expected = [share * len(USERS) for share in shares(given_arms)]
    assert chi_squared([counts[name] for name in "abcd"], expected) < LIMIT[3]


@pytest.mark.parametrize("other", [{"layer": "texts", "salt": "other"}, {"salt": "other"}])
def test_arms_of_layers_and_of_experiments_one_after_the_other_are_independent(other: dict[str, Any]) -> None:
    first, second = read(), read(**other)
    counts = Counter((arm(first, user), arm(second, user)) for user in USERS)
    assert (
        chi_squared([counts[x, y] for x in ("control", "act") for y in ("control", "act")], [5_000.0] * 4) < LIMIT[3]
    )


@given(st.integers(1, BUCKETS - 1), st.text(min_size=1))
def test_experiments_of_a_layer_share_no_user(cut: int, user: str) -> None:
    first, second = read(room=(0, cut)), read(name="second", room=(cut, BUCKETS))
    assert (arm_of(first, user) is None) != (arm_of(second, user) is None)


@given(
    st.text(min_size=1), st.lists(st.floats(0, 1), min_size=2, max_size=5), st.lists(st.floats(0.01, 9), min_size=2)
)
def test_a_user_stays_in_the_arm_while_traffic_grows(user: str, traffic: list[float], weights: list[float]) -> None:
    arms = [{"id": f"a{number}", "weight": weight} for number, weight in enumerate(weights[:8])]
    seen = [arm(read(arms=arms, traffic=share), user) for share in sorted(traffic)]
    assert seen == sorted(seen, key=lambda name: name is not None)
    assert len({name for name in seen if name is not None}) <= 1


@given(st.lists(st.floats(0.001, 1_000), min_size=2, max_size=8), st.floats(0, 1))
def test_places_lie_apart_and_fill_the_buckets_when_all_take_part(weights: list[float], traffic: float) -> None:
    arms = [{"id": f"a{number}", "weight": weight} for number, weight in enumerate(weights)]
    taken = [number for place in places(read(arms=arms, traffic=traffic)) for number in place]
    assert len(taken) == len(set(taken))
    assert sorted(number for place in places(read(arms=arms)) for number in place) == list(range(BUCKETS))
    assert abs(len(taken) - traffic * BUCKETS) <= len(weights)


def decided(catalogue: Catalogue, users: list[str]) -> list[Decision]:
    """Returns a decision on each user, who all leave with probability 0.9 unless something is done."""
    bought = [
        event(f"e{user}", user, "purchase", price=100, quantity=1, order_id=user, item_id="i") for user in users
    ]
    return settle(partition(shop=catalogue), stream(*bought)).decisions


def test_control_does_nothing_and_notes_what_would_have_been_done() -> None:
    everybody = USERS[:200]
    without = {one.user_id: one for one in decided(shop(policy={"exploration": 0}), everybody)}
    counts = Counter[str]()
    for decision in decided(shop(experiment(), policy={"exploration": 0}), everybody):
        (trial,) = decision.experiments
        counts[trial.arm] += 1
        assert trial.would == {"control": None, "act": "a"}
        assert decision.offer_id == trial.would[trial.arm]
        assert decision.reasons[-1].text == f"decided under arm {trial.arm} of coupon"
        suppressed = {one.offer_id: one.code for one in decision.suppressed}
        assert suppressed == ({"a": "experiment_arm", "b": "experiment_arm"} if trial.arm == "control" else {})
        told = {"experiments", "reasons"}
        if trial.arm == "act":
            assert decision.model_dump(exclude=told | {"policy"}) == without[decision.user_id].model_dump(
                exclude=told | {"policy"}
            )
    assert min(counts["control"], counts["act"]) > 60


def test_an_answer_that_a_user_waits_for_is_given_in_every_arm() -> None:
    content = shop(experiment(), policy={"exploration": 0}).model_dump()
    content["offers"].append(offer("receipt", effect=0.01, transactional=True))
    for decision in decided(Catalogue.model_validate(content), USERS[:40]):
        (trial,) = decision.experiments
        assert trial.would == {"control": "receipt", "act": "a"}
        assert "receipt" not in {one.offer_id for one in decision.suppressed}


def test_an_action_names_the_experiment_and_its_arm() -> None:
    bought = event("e1", "u1", "purchase", price=100, quantity=1, order_id="o", item_id="i")
    arms = [{"id": "control", "weight": 0.0001, "change": {"act": False}}, {"id": "act", "weight": 1000}]
    (action,) = settle(partition(shop=shop(experiment(arms=arms))), stream(bought)).actions
    assert action.experiment is not None
    assert (action.experiment.name, action.experiment.arm) == ("coupon", "act")


def test_the_holdout_is_carved_out_first() -> None:
    found = decided(shop(experiment(), holdout=0.5), USERS[:200])
    assert {(one.holdout, bool(one.experiments)) for one in found} == {(True, False), (False, True)}


def test_arms_of_two_layers_work_together() -> None:
    arms = [{"id": "all"}, {"id": "only-b", "change": {"offers": ["b"]}}]
    both = shop(experiment(), experiment("range", layer="texts", arms=arms), policy={"exploration": 0})
    seen = set()
    for decision in decided(both, USERS[:200]):
        coupon, offers = decision.experiments
        seen.add((coupon.arm, offers.arm, decision.offer_id))
        acting = coupon.arm == "act"
        assert offers.would == ({"all": "a", "only-b": "b"} if acting else {"all": None, "only-b": None})
        assert coupon.would == {"control": None, "act": "a" if offers.arm == "all" else "b"}
    assert seen == {
        ("control", "all", None),
        ("control", "only-b", None),
        ("act", "all", "a"),
        ("act", "only-b", "b"),
    }


def test_an_arm_may_set_the_policy() -> None:
    arms = [{"id": "best"}, {"id": "even", "change": {"policy": {"exploration": 1.0}}}]
    for decision in decided(shop(experiment(arms=arms), policy={"exploration": 0}), USERS[:40]):
        even = decision.experiments[0].arm == "even"
        assert [one.propensity for one in decision.candidates] == pytest.approx([1 / 3] * 3 if even else [0, 1, 0])


@pytest.mark.parametrize("audience", [{"triggers": ["silence"]}, {"min_probability": 0.91}, {"countries": ["DE"]}])
def test_only_its_audience_is_asked(audience: dict[str, Any]) -> None:
    assert not any(one.experiments for one in decided(shop(experiment(audience=audience)), USERS[:20]))


@pytest.mark.parametrize(("shift", "asked"), [(0, True), (1, False)])
def test_it_begins_and_ends_to_the_millisecond(shift: int, asked: bool) -> None:
    begins = decided(shop(experiment(start=START + shift)), ["u1"])
    ends = decided(shop(experiment(until=START + 1 - shift)), ["u1"])
    assert [bool(one.experiments) for one in (*begins, *ends)] == [asked, asked]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([experiment(), experiment("b")], "share buckets at one time"),
        ([experiment(), experiment(layer="b", salt="b")], "experiments must be unique; repeated: coupon"),
        ([experiment(), experiment("b", layer="b", salt="coupon-1")], "salts of experiments must be unique"),
        ([experiment(room=(5, 5))], "`room` must be two buckets"),
        ([experiment(until="2025-12-20T00:00:00Z")], "`from` must lie before `until`"),
        ([experiment(arms=[{"id": "a"}, {"id": "a"}])], "arms must be unique"),
        ([experiment(arms=[{"id": "a"}, {"id": "b", "change": {"offers": ["z"]}}])], "offers that are not there: z"),
        ([experiment(arms=[{"id": "a"}, {"id": "b", "change": {"policy": {"explore": 1}}}])], "explore"),
        # What an arm's policy names must be there too, or its users would silently be treated otherwise.
        (
            [experiment(arms=policies({"rules": [{"id": "r", "offers": ["z"]}]}))],
            "coupon: the rule r names an offer .*: z",
        ),
        ([experiment(arms=policies({"rules": [{"id": "r", "when": {"tiers": ["z"]}}]}))], "coupon: the rule r .*: z"),
        ([experiment(arms=policies({"parity": PRICES}))], "coupon: policy.parity has a price for a tier .*: z"),
        ([experiment(arms=policies({"embedding": True}))], "coupon: an arm reads the model's embedding"),
        (
            [
                experiment(name, layer=name, arms=[{"id": "a"}, {"id": "b", "change": {"policy": {"margin": 0.1}}}])
                for name in ("x", "y")
            ],
            r"both set policy.margin at one time",
        ),
    ],
)
def test_a_catalogue_with_experiments_that_cannot_be_is_refused(wrong: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        shop(*wrong)


def test_a_catalogue_without_experiments_has_the_digest_it_had() -> None:
    assert "experiments" not in plain().model_dump_json()
    assert shop().digest() != shop(experiment()).digest()


def test_an_arm_spends_from_its_own_part_of_a_budget() -> None:
    budgets = [{"id": "daily", "limit": 20_000, "arms": {"left": 20_000}}]
    paid = plain(offer("a", cost={"fixed": 1}, budgets=["daily"]), policy={"exploration": 0}, budgets=budgets)
    trial = experiment(arms=[{"id": "left"}, {"id": "right"}])
    market = Catalogue.model_validate(paid.model_dump() | {"experiments": [trial]})
    drawn: dict[str, set[str | None]] = {"left": set(), "right": set()}
    for decision in decided(market, USERS[:100]):
        drawn[decision.experiments[0].arm].add(decision.budgets[0].arm if decision.budgets else None)
    assert drawn["right"] == {None}
    # Of those in the arm some get nothing too: what is scarce costs more.
    assert drawn["left"] == {"left", None}


@pytest.mark.parametrize(("one", "other"), [({"kind": "rules"}, {"rules": []}), ({"rules": []}, {"posterior": None})])
def test_no_user_is_in_arms_that_cannot_work_together(one: dict[str, Any], other: dict[str, Any]) -> None:
    both = [experiment(name, layer=name, salt=name, arms=policies(each)) for name, each in (("x", one), ("y", other))]
    with pytest.raises(ValidationError, match=r"both set policy.kind at one time: put them into one layer"):
        shop(*both, policy={"rules": [{"id": "r", "offers": ["a"]}]})


def test_an_arm_may_read_the_embedding_that_all_are_asked_for() -> None:
    arms = policies({"exploration": 0.5, "embedding": True})
    assert shop(experiment(arms=arms), policy={"embedding": True}).policy.reads_embedding
