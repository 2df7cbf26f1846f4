"""Prices of parity: borne by the right group, on the record, and no way round a guardrail."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.builders import NO_BUDGETS, catalogue, offer, situation

from forestay.catalogue_file import load_catalogue
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.decide import decide
from forestay.core.decision.situation import Situation
from forestay.core.errors import ConfigurationError
from forestay.core.experiments.changes import altered
from forestay.core.experiments.settings import Change
from forestay.core.policy.posterior import SIGNALS
from forestay.core.policy.weighing import weigh
from forestay.why.explanation import explain
from forestay.why.words import told
from forestay_schemas.decision import Decision
from forestay_schemas.retention_action import Churn
from forestay_schemas.types import Rung

USER = {"spend_180d": 180.0, "tenure_hours": 24.0 * 365, "average_basket": 20.0, "orders_total": 4.0}
GOLD, PLAIN = situation(USER | {"spend_total": 2_000.0}), situation(USER | {"spend_total": 50.0})
# At a risk of 0.5 an effect of 0.1 is worth 2.70, one of 0.5 13.50 less its cost of 3: 54.00 are at stake.
SMALL = offer("small", effect=0.1)
LARGE = offer("large", effect=0.5, cost={"fixed": 1.0, "basket_share": 0.1})


def prices(by: str = "tier", measure: str = "selection", **groups: Any) -> dict[str, Any]:
    """Returns prices as their file has them; a group is a price, or price and rate."""
    told_as = {name: one if isinstance(one, tuple) else (one, 0.0) for name, one in groups.items()}
    named = {name.replace("others", "(others)"): {"price": p, "rate": r} for name, (p, r) in told_as.items()}
    return {"by": by, "measure": measure, "least": 0.8, "decisions": 1_000, "groups": named}


def shop(*offers: dict[str, Any], parity: dict[str, Any] | None, **policy: Any) -> Catalogue:
    made = catalogue(*(offers or (SMALL, LARGE)), policy={"exploration": 0.0})
    content = made.model_dump(mode="json") | {"tiers": {"gold": 1_000.0}}
    return Catalogue.model_validate(content | {"policy": {"exploration": 0.0, "parity": parity, **policy}})


def values(made: Catalogue, at: Situation) -> dict[str | None, tuple[float, float]]:
    """Returns what each candidate is weighed by, and the price it bears."""
    return {one.offer_id: (one.expected_value, one.parity_price) for one in weigh(made.offers, at, 0.5, made)}


def decided(made: Catalogue, at: Situation) -> Decision:
    churn = Churn(probability=0.5, horizon_days=60, model="m", version="7", rung=Rung.MODEL)
    return decide(at, [], churn, made, made.digest(), book=NO_BUDGETS)


def test_each_group_bears_its_own_price_and_others_none() -> None:
    made = shop(parity=prices(gold=3.0, others=-1.5))
    assert values(made, GOLD) == {None: (0.0, 0.0), "small": (-0.3, 3.0), "large": (7.5, 3.0)}
    assert values(made, PLAIN) == {None: (0.0, 0.0), "small": (4.2, -1.5), "large": (12.0, -1.5)}
    assert values(shop(parity=prices(gold=3.0)), PLAIN)["large"] == (10.5, 0.0)


def test_a_price_of_discount_is_for_what_an_offer_costs_beyond_the_rate() -> None:
    """3.00 of a basket of 20.00 against 0.1 of it: 1.00 too much, at a price of 2."""
    made = shop(parity=prices(measure="discount", gold=(2.0, 0.1)))
    assert values(made, GOLD) == {None: (0.0, 0.0), "small": (2.7 + 4.0, -4.0), "large": (10.5 - 2.0, 2.0)}


def test_countries_are_those_that_events_tell() -> None:
    made = shop(parity=prices(by="country", DE=3.0, others=1.0))
    for country, price in (("DE", 3.0), (None, 1.0), ("IT", 0.0)):
        assert values(made, GOLD._replace(country=country))["large"] == (10.5 - price, price)


def test_what_users_wait_for_bears_no_price() -> None:
    answer = offer("answer", effect=0.1, transactional=True)
    assert values(shop(answer, LARGE, parity=prices(gold=3.0)), GOLD)["answer"] == (2.7, 0.0)


def test_a_price_below_zero_brings_back_nothing_that_was_cut() -> None:
    barred = offer("barred", effect=0.5, eligibility={"min_orders": 100})
    decision = decided(shop(barred, SMALL, parity=prices(gold=-100.0)), GOLD)
    assert [one.offer_id for one in decision.candidates] == [None, "small"]


@given(
    effects=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    price=st.floats(-30, 30),
    discount=st.booleans(),
    thompson=st.booleans(),
)
def test_the_order_of_offers_does_not_matter_and_the_price_is_all_that_differs(
    effects: list[float], price: float, discount: bool, thompson: bool
) -> None:
    offers = [offer(f"o{place}", effect=effect, cost={"fixed": 5.0}) for place, effect in enumerate(effects)]
    learned = {"signals": SIGNALS, "function": "m", "decisions": 0, "prior_deviation": 1.0, "heads": {}}
    kind = {"kind": "linear_thompson", "posterior": learned} if thompson else {}
    bears = prices(measure="discount" if discount else "selection", gold=(price, 0.05))
    plain = values(shop(*offers, parity=None, **kind), GOLD)
    found = values(shop(*offers, parity=bears, **kind), GOLD)
    for name, (value, taken) in found.items():
        expected = 0.0 if name is None else price * (4.0 if discount else 1.0)
        assert taken == pytest.approx(expected, abs=1e-6)
        assert value == pytest.approx(plain[name][0] - expected, abs=2e-6)
    assert values(shop(*reversed(offers), parity=bears, **kind), GOLD) == found


@pytest.mark.parametrize(("by", "at", "group"), [("tier", GOLD, "gold"), ("country", GOLD, "DE")])
def test_the_record_tells_it_and_why_says_so_and_decides_again(by: str, at: Situation, group: str) -> None:
    made = shop(parity=prices(by, gold=3.0, DE=3.0) if by == "country" else prices(by, gold=3.0))
    decision = Decision.model_validate_json(decided(made, at._replace(country="DE")).model_dump_json())
    assert decision.parity is not None
    assert (decision.parity.by, decision.parity.group) == (by, group)
    found = explain(decision, None, made)
    assert found["otherwise"]["known"]
    lines = list(told(found))
    assert f"considered, at the price of parity for {by} {group}:" in lines
    assert any("large" in line and "of that -3.00 is the price of parity" in line for line in lines)


def test_without_prices_the_record_and_the_digest_are_as_they_were() -> None:
    assert "parity" not in decided(shop(parity=None), GOLD).model_dump_json()
    assert "parity" not in json.dumps(shop(parity=None).model_dump(mode="json"))


def test_rules_do_not_weigh_and_bear_no_price() -> None:
    made = shop(parity=prices(gold=3.0), kind="rules", rules=[{"id": "all", "offers": ["small"]}])
    decision = decided(made, GOLD)
    assert (decision.offer_id, decision.parity) == ("small", None)
    assert values(made, GOLD)["large"] == (10.5, 0.0)


def test_an_arm_of_an_experiment_may_go_without() -> None:
    without = altered(shop(parity=prices(gold=3.0)), [Change(policy={"parity": None})])
    assert values(without, GOLD)["large"] == (10.5, 0.0)


def test_a_catalogue_names_the_file_and_only_tiers_it_has(tmp_path: Path) -> None:
    (tmp_path / "parity.json").write_text(json.dumps(prices(gold=3.0)))
    content = {"name": "shop", "offers": [offer()], "tiers": {"gold": 1_000}, "policy": {"parity": "parity.json"}}
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(content))
    found = load_catalogue(tmp_path / "shop.yaml").policy.parity
    assert found is not None
    assert found.groups["gold"].price == 3.0
    (tmp_path / "parity.json").write_text(json.dumps(prices(silver=3.0)))
    with pytest.raises(ConfigurationError, match="a tier that `tiers` does not name: silver"):
        load_catalogue(tmp_path / "shop.yaml")
    (tmp_path / "parity.json").unlink()
    with pytest.raises(ConfigurationError, match=r"the prices of parity .*parity\.json cannot be read"):
        load_catalogue(tmp_path / "shop.yaml")
