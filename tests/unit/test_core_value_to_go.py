"""Advice on the long run: bounded, on the record, the same whatever the order, and silent where nothing is known."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from support.builders import NO_BUDGETS, catalogue, offer, situation

from forestay.catalogue_file import load_catalogue
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.decide import decide
from forestay.core.errors import ConfigurationError
from forestay.core.experiments.changes import altered
from forestay.core.experiments.settings import Change
from forestay.core.policy.posterior import SIGNALS
from forestay.core.policy.signals import signals
from forestay.core.policy.weighing import weigh
from forestay.why.explanation import explain
from forestay.why.words import told
from forestay_schemas.decision import Decision
from forestay_schemas.retention_action import Churn
from forestay_schemas.types import Rung

LOYAL = {"spend_180d": 180.0, "tenure_hours": 24.0 * 365, "average_basket": 20.0, "orders_total": 4.0}
WEIGHT = st.floats(-50, 50).map(lambda value: round(value, 3))


def learned(doubt: float = 0.0, variance: float = 0.0, **bias: float) -> dict[str, Any]:
    """Returns a value to go as its file has it: what each offer adds is the same for everybody."""
    return {
        "signals": list(SIGNALS),
        "function": "net-margin/1",
        "horizon_days": 28.0,
        "discount": 0.95,
        "doubt": doubt,
        "decisions": 1_000,
        "heads": {
            name: {
                "decisions": 500,
                "mean": [added] + [0.0] * (len(SIGNALS) - 1),
                "covariance": np.diag([variance] + [0.0] * (len(SIGNALS) - 1)).tolist(),
            }
            for name, added in bias.items()
        },
    }


def advised(*offers: dict[str, Any], file: dict[str, Any] | None, **more: Any) -> Catalogue:
    policy: dict[str, Any] = {key: more.pop(key) for key in ("kind", "posterior", "rules") if key in more}
    advice = None if file is None else {"file": file, **more}
    return catalogue(*offers, policy={"exploration": 0.0, **policy, "value_to_go": advice})


def nothing_learned() -> dict[str, Any]:
    return {
        "signals": list(SIGNALS), "function": "net-margin/1", "decisions": 0, "prior_deviation": 1.0, "heads": {},
    }  # fmt: skip


def values(shop: Catalogue, probability: float = 0.5, **more: Any) -> dict[str | None, tuple[float, float]]:
    """Returns the value and the advice of each candidate."""
    found = weigh(shop.offers, situation(LOYAL), probability, shop, **more)
    return {one.offer_id: (one.expected_value, one.value_to_go) for one in found}


def made(shop: Catalogue) -> Decision:
    churn = Churn(probability=0.5, horizon_days=60, model="m", version="7", rung=Rung.MODEL)
    return decide(situation(LOYAL), [], churn, shop, shop.digest(), book=NO_BUDGETS)


# At a risk of 0.5 an effect of 0.1 is worth 2.70, one of 0.5 13.50: 54.00 are at stake.
SMALL, LARGE = offer("small", effect=0.1), offer("large", effect=0.5)


def test_advice_is_added_and_told_but_never_more_than_its_share() -> None:
    shop = advised(SMALL, LARGE, file=learned(small=1.0, large=-100.0))
    assert values(shop) == {None: (0.0, 0.0), "small": (3.7, 1.0), "large": (6.75, -6.75)}
    shop = advised(SMALL, LARGE, file=learned(small=1.0, large=-100.0), weight=0.5, cap=1.0)
    assert values(shop) == {None: (0.0, 0.0), "small": (3.2, 0.5), "large": (0.0, -13.5)}


@given(
    bias=st.lists(WEIGHT, min_size=3, max_size=3),
    effects=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    cap=st.floats(0, 3),
    weight=st.floats(0, 1),
    thompson=st.booleans(),
)
def test_whatever_is_learned_the_bound_holds_and_the_order_of_offers_does_not_matter(
    bias: list[float], effects: list[float], cap: float, weight: float, thompson: bool
) -> None:
    offers = [offer(f"o{place}", effect=effect, cost={"fixed": 5.0}) for place, effect in enumerate(effects)]
    kind = {"kind": "linear_thompson", "posterior": nothing_learned()} if thompson else {}
    file = learned(**{f"o{place}": added for place, added in enumerate(bias)})
    plain = values(advised(*offers, file=None, **kind))
    shop = advised(*offers, file=file, cap=cap, weight=weight, **kind)
    found = values(shop)
    for name, (value, added) in found.items():
        immediate = plain[name][0]
        assert abs(added) <= cap * abs(immediate) + 1e-6
        assert value == pytest.approx(immediate + added, abs=1e-6)
        if cap < 1:
            # Short of its whole value, advice makes no harmful offer a good one, nor the other way round.
            assert value * immediate >= 0
    backwards = values(advised(*reversed(offers), file=file, cap=cap, weight=weight, **kind))
    assert backwards == found
    assert values(shop) == found


def test_where_doubt_is_larger_or_nothing_is_known_there_is_no_advice() -> None:
    doubtful = advised(SMALL, LARGE, file=learned(doubt=2.0, variance=0.16, small=1.0, large=0.7))
    assert values(doubtful) == {None: (0.0, 0.0), "small": (2.9, pytest.approx(0.2)), "large": (13.5, 0.0)}
    assert values(advised(SMALL, LARGE, file=learned(small=1.0)))["large"] == (13.5, 0.0)


def test_what_budgets_are_scarce_by_is_neither_counted_in_nor_outvoted() -> None:
    """The bound is a share of the value before scarcity, and scarcity comes off in full."""
    shop = advised(LARGE, file=learned(large=100.0))
    assert values(shop, surcharges={"large": 20.0})["large"] == (13.5 + 6.75 - 20.0, 6.75)


def test_advice_changes_what_is_chosen_and_brings_back_nothing_that_was_cut() -> None:
    near = offer("near", effect=0.45)
    assert made(advised(near, LARGE, file=None)).offer_id == "large"
    assert made(advised(near, LARGE, file=learned(near=3.0))).offer_id == "near"
    barred = offer("near", effect=0.45, eligibility={"min_orders": 100})
    decision = made(advised(barred, LARGE, file=learned(near=3.0)))
    assert [one.offer_id for one in decision.candidates] == [None, "large"]


def test_rules_do_not_weigh_and_are_not_advised() -> None:
    rules = [{"id": "all", "offers": ["small"]}]
    shop = advised(SMALL, LARGE, file=learned(large=100.0), kind="rules", rules=rules)
    assert values(shop)["large"] == (13.5, 0.0)


def test_the_record_tells_it_and_why_says_so_and_decides_again() -> None:
    shop = advised(SMALL, LARGE, file=learned(large=2.0))
    decision = made(shop)
    again = Decision.model_validate_json(decision.model_dump_json())
    assert [one.value_to_go for one in again.candidates] == [0.0, 0.0, 2.0]
    found = explain(again, None, shop)
    assert found["otherwise"]["known"]
    lines = [line for line in told(found) if "advice on the long run" in line]
    assert lines == [
        "  large: expected to earn 15.50 above its cost, probability 1; of that +2.00 is advice on the long run"
    ]


def test_without_advice_the_record_is_as_it_was() -> None:
    assert "value_to_go" not in made(advised(SMALL, file=None)).model_dump_json()
    assert "value_to_go" not in json.dumps(advised(SMALL, file=None).model_dump(mode="json"))


def test_a_feature_that_is_not_on_the_record_is_an_error_not_silence() -> None:
    shop = advised(LARGE, file=learned(large=2.0))
    unknown = situation(LOYAL | {"sessions_total": float("nan")})
    assert np.isnan(signals(unknown, 0.5, shop)).any()
    with pytest.raises(ValidationError):
        weigh(shop.offers, unknown, 0.5, shop)


def test_a_catalogue_names_the_file_and_its_digest_the_content(tmp_path: Path) -> None:
    def loaded(added: float) -> Catalogue:
        (tmp_path / "long.json").write_text(json.dumps(learned(o1=added)))
        content = {"name": "shop", "offers": [offer()], "policy": {"value_to_go": {"file": "long.json"}}}
        (tmp_path / "shop.yaml").write_text(yaml.safe_dump(content))
        return load_catalogue(tmp_path / "shop.yaml")

    assert loaded(1.0).digest() == loaded(1.0).digest() != loaded(2.0).digest()
    (tmp_path / "long.json").write_text(json.dumps(learned() | {"signals": ["bias"]}))
    with pytest.raises(ConfigurationError, match="fit-value"):
        load_catalogue(tmp_path / "shop.yaml")
    (tmp_path / "long.json").unlink()
    with pytest.raises(ConfigurationError, match=r"the value to go .*long\.json cannot be read"):
        load_catalogue(tmp_path / "shop.yaml")


def test_an_arm_of_an_experiment_may_go_without() -> None:
    shop = advised(LARGE, file=learned(large=2.0))
    without = altered(shop, [Change(policy={"value_to_go": None})])
    assert (values(shop)["large"], values(without)["large"]) == ((15.5, 2.0), (13.5, 0.0))
