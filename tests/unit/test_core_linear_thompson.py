"""The policy that learns: exact propensities, a floor under all, the shop's estimate where nothing was learned."""

import json
from collections import Counter
from math import erf, exp, pi, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.builders import NO_BUDGETS, catalogue, offer, situation

from forestay.catalogue_file import load_catalogue
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.decide import decide
from forestay.core.decision.policy import draw, expected_value
from forestay.core.decision.situation import POLICY_FEATURES
from forestay.core.errors import ConfigurationError
from forestay.core.experiments.changes import altered
from forestay.core.experiments.settings import Change
from forestay.core.hashing import identifier
from forestay.core.policy.posterior import SIGNALS, Posterior
from forestay.core.policy.signals import signals
from forestay.core.policy.thompson import best_probabilities
from forestay.core.policy.weighing import weigh
from forestay.why.explanation import explain
from forestay_schemas.retention_action import Churn
from forestay_schemas.types import Rung

LOYAL = {"spend_180d": 180.0, "tenure_hours": 24.0 * 365, "average_basket": 20.0, "orders_total": 4.0}
ALWAYS_BEST = {"exploration": 0.0}
SIZE = len(SIGNALS)
#: What the quadrature may miss of a probability, as its page says.
ERROR = 0.0013


def posterior(prior_deviation: float = 1.0, **heads: list[float]) -> dict[str, Any]:
    """Returns a posterior as its file has it: heads of these means, each with a variance of 0.01 a weight."""
    return {
        "signals": list(SIGNALS),
        "function": "net-margin/1",
        "decisions": 1_000,
        "prior_deviation": prior_deviation,
        "heads": {
            name: {"decisions": 500, "mean": mean, "covariance": (np.eye(SIZE) * 0.01).tolist()}
            for name, mean in heads.items()
        },
    }


def learned(*offers: dict[str, Any], exploration: float = 0.0, **more: Any) -> Catalogue:
    policy = {"kind": "linear_thompson", "posterior": posterior(**more), "exploration": exploration}
    return catalogue(*offers, policy=policy)


def head(**weights: float) -> list[float]:
    return [weights.get(name, 0.0) for name in SIGNALS]


def exact(means: list[float], deviations: list[float]) -> list[float]:
    """The naive oracle: each arm's density times the others' distributions, by 4,000 midpoints each."""

    def below(x: float, arm: int) -> float:
        return (1 + erf((x - means[arm]) / deviations[arm] / sqrt(2))) / 2

    arms, parts = range(len(means)), 4_000
    found = [1.0]
    for arm in arms:
        found[0] *= below(0.0, arm)
    for arm in arms:
        total = 0.0
        for part in range(parts):
            z = -8 + 16 * (part + 0.5) / parts
            x = means[arm] + deviations[arm] * z
            if x > 0:
                density = exp(-z * z / 2) / sqrt(2 * pi) * 16 / parts
                for other in arms:
                    density *= 1.0 if other == arm else below(x, other)
                total += density
        found.append(total)
    return found


@settings(deadline=None, max_examples=60)
@example([(0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (1.0, 1.0)])
@example([(3.0, 1.0), (1.0, 1.0), (1.0, 1.0), (1.0, 1.0), (1.0, 1.0)])
@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(-3, 1.5).map(lambda power: 10**power)), min_size=1, max_size=5))
def test_probabilities_are_those_of_the_integral(arms: list[tuple[float, float]]) -> None:
    means, deviations = [mean for mean, _ in arms], [deviation for _, deviation in arms]
    found = best_probabilities(np.array(means), np.array(deviations))
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert np.abs(found - exact(means, deviations)).max() <= ERROR


@pytest.mark.parametrize(
    "arms", [[(0.5, 1.0), (0.4, 0.9), (0.1, 1.2)], [(0.2, 0.01), (0.0, 2.0), (-1.0, 0.5), (0.21, 0.02)]]
)
def test_probabilities_are_those_of_sampling(arms: list[tuple[float, float]]) -> None:
    """Arms of one width, and a tight old one beside wide new ones, where a rule on one arm's nodes fails."""
    means, deviations = np.array(arms).T
    draws = 1_000_000
    sampled = np.random.default_rng(7).normal(means, deviations, (draws, len(arms)))
    best = np.where(sampled.max(axis=1) > 0, sampled.argmax(axis=1) + 1, 0)
    shares = np.bincount(best, minlength=len(arms) + 1) / draws
    # Four standard errors of the sampling are 0.002 at most.
    assert np.abs(best_probabilities(means, deviations) - shares).max() <= ERROR + 0.002


def test_signals_are_as_they_are_named() -> None:
    told = dict(zip(SIGNALS, signals(situation(LOYAL, kind="silence"), 0.5, catalogue()), strict=True))
    assert SIGNALS[5:13] == POLICY_FEATURES
    assert told["bias"] == told["trigger_silence"] == 1
    assert [told["risk"], told["risk_squared"], told["trigger_pattern"]] == [0.5, 0.25, 0]
    assert told["spend_180d"] == pytest.approx(np.log1p(180) / 10)
    assert told["value_at_stake"] == pytest.approx(np.log1p(54) / 10)


def test_nothing_learned_is_the_shops_estimate_with_doubt() -> None:
    shop = learned(offer("good", effect=0.5), offer("bad", effect=0.1, cost={"fixed": 9.0}), prior_deviation=1e-6)
    candidates = weigh(shop.offers, situation(LOYAL), 0.5, shop)
    assert [one.expected_value for one in candidates[1:]] == [
        expected_value(one, situation(LOYAL), 0.5, shop) for one in shop.offers
    ]
    assert [one.propensity for one in candidates] == [0.0, 1.0, 0.0]
    doubtful = weigh(shop.offers, situation(LOYAL), 0.5, learned(*map(as_content, shop.offers), prior_deviation=9.0))
    assert min(one.propensity for one in doubtful) > 0.05


def as_content(one: Any) -> dict[str, Any]:
    content: dict[str, Any] = one.model_dump(mode="json")
    return content


def test_what_was_learned_moves_the_value_and_the_choice() -> None:
    shop = learned(offer("a", effect=0.1), offer("b", effect=0.1), a=head(bias=-9.0), b=head(risk=6.0))
    nothing, a, b = weigh(shop.offers, situation(LOYAL), 0.5, shop)
    assert [a.expected_value, b.expected_value] == pytest.approx([2.7 - 9, 2.7 + 3])
    assert b.propensity > 0.999 > a.propensity
    assert nothing.expected_value == 0
    dearer = weigh(shop.offers, situation(LOYAL), 0.5, shop, {"b": 1.5})[2]
    assert dearer.expected_value == pytest.approx(2.7 + 3 - 1.5)


@pytest.mark.parametrize("exploration", [0.0, 0.06, 1.0])
def test_every_candidate_has_its_floor_and_they_sum_to_one(exploration: float) -> None:
    shop = learned(offer("a"), offer("b"), exploration=exploration, a=head(bias=-99.0), b=head(bias=5.0))
    propensities = [one.propensity for one in weigh(shop.offers, situation(LOYAL), 0.5, shop)]
    assert sum(propensities) == pytest.approx(1, abs=1e-12)
    assert min(propensities) >= exploration / 3 - 1e-9
    assert weigh([], situation(LOYAL), 0.5, shop)[0].propensity == 1


def test_draws_are_as_frequent_as_their_propensities() -> None:
    shop = learned(offer("a", effect=0.01), offer("b", effect=0.02), prior_deviation=2.0)
    candidates = weigh(shop.offers, situation(LOYAL), 0.5, shop)
    count = 20_000
    drawn = Counter(draw(candidates, identifier("decision", str(n)), "salt") for n in range(count))
    for index, candidate in enumerate(candidates):
        p = candidate.propensity
        assert 0.05 < p < 0.9
        assert abs(drawn[index] - count * p) <= 5 * (count * p * (1 - p)) ** 0.5


def test_a_decision_of_it_is_the_same_again_and_answers_for_itself() -> None:
    shop = learned(offer("a", effect=0.05), offer("b"), exploration=0.1, a=head(risk=3.0))
    churn = Churn(probability=0.4, horizon_days=60, model="m", version="1", rung=Rung.MODEL)
    made = [decide(situation(LOYAL), [], churn, shop, shop.digest(), book=NO_BUDGETS) for _ in range(2)]
    assert made[0] == made[1]
    assert (made[0].policy.name, made[0].policy.version) == ("linear-thompson", shop.digest())
    assert explain(made[0], None, shop)["otherwise"]["known"]


def test_a_catalogue_names_the_file_of_what_was_learned(tmp_path: Path) -> None:
    content = catalogue(offer("a")).model_dump(mode="json")
    content["policy"] = {"kind": "linear_thompson", "posterior": "learned.json"}
    (tmp_path / "offers.yaml").write_text(yaml.safe_dump(content))
    digests = set()
    for weight in (1.0, 2.0):
        (tmp_path / "learned.json").write_text(json.dumps(posterior(a=head(bias=weight))))
        shop = load_catalogue(tmp_path / "offers.yaml")
        assert shop.policy.posterior == Posterior.model_validate(posterior(a=head(bias=weight)))
        assert Catalogue.model_validate_json(shop.model_dump_json()).digest() == shop.digest()
        digests |= {shop.digest(), shop.policy.posterior.digest()}
    assert len(digests) == 4
    (tmp_path / "learned.json").unlink()
    with pytest.raises(ConfigurationError, match=r"learned\.json cannot be read"):
        load_catalogue(tmp_path / "offers.yaml")
    (tmp_path / "learned.json").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"learned\.json"):
        load_catalogue(tmp_path / "offers.yaml")


def test_the_learner_needs_what_was_learned() -> None:
    with pytest.raises(ValidationError, match="needs a posterior"):
        catalogue(offer("a"), policy={"kind": "linear_thompson"})
    assert "posterior" not in catalogue(offer("a")).model_dump_json()


def test_an_arm_may_go_by_what_was_learned_and_the_others_not() -> None:
    offers = offer("a", effect=0.1), offer("b", effect=0.1)
    shop = catalogue(*offers, policy={"posterior": posterior(a=head(bias=-9.0)), "exploration": 0.0})
    arm = altered(shop, [Change(policy={"kind": "linear_thompson", "name": "linear-thompson"})])
    assert weigh(shop.offers, situation(LOYAL), 0.5, shop) == weigh(
        shop.offers, situation(LOYAL), 0.5, catalogue(*offers, policy=ALWAYS_BEST)
    )
    assert [one.expected_value for one in weigh(arm.offers, situation(LOYAL), 0.5, arm)][1] == pytest.approx(2.7 - 9)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"signals": ["bias"]}, "other signals"),
        ({"heads": {"a": {"decisions": 1, "mean": [0.0], "covariance": [[1.0]]}}}, "16 weights"),
        (
            {"heads": {"a": {"decisions": 1, "mean": head(), "covariance": (-np.eye(SIZE)).tolist()}}},
            "no variance below 0",
        ),
        ({"prior_deviation": 0.0}, "greater than 0"),
    ],
)
def test_a_posterior_that_is_none_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Posterior.model_validate(posterior() | change)
