"""`forestay fair --price`: beside all assignments tried by brute force, and through the gate of `forestay fair`."""

import csv
import json
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from support.builders import catalogue, offer
from support.decision_logs import FUNCTION, decisions, outcomes, write_lines
from typer.testing import CliRunner, Result

from forestay.cli.main import app
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.policy import cost, expected_value
from forestay.core.errors import ForestayError
from forestay.core.policy.parity_measure import Measure
from forestay.core.policy.posterior import SIGNALS
from forestay_schemas.types import GroupedBy, TriggerKind
from forestay_training.fairness.groups import by_tier
from forestay_training.fairness.pricing import Wanted, met, priced, with_prices
from forestay_training.offpolicy.catalogue_policy import situation_of
from forestay_training.offpolicy.records import Candidate, Cause, Decided, Score

pytestmark = pytest.mark.training

TIERS = {"silver": 1_000.0, "gold": 2_000.0}


def shop(*, fixed: float = 1.0, **policy: Any) -> Catalogue:
    made = catalogue(
        offer("small", effect=0.2, cost={"fixed": fixed, "basket_share": 0.05}),
        offer("large", effect=0.5, cost={"fixed": 4.0 * fixed, "basket_share": 0.2}),
    )
    policy = {"exploration": 0.0, "value_days": 180, **policy}
    return Catalogue.model_validate(made.model_dump(mode="json") | {"policy": policy, "tiers": TIERS})


def decision(number: int, tier: int, spend: float, basket: float | None = None) -> Decided:
    """Returns a decision on a user of a tier (0 is none) and such a spend, at a risk of 0.5."""
    return Decided(
        decision_id=f"d{number}",
        user_id=f"u{number}",
        decided_at=datetime(2026, 1, 1, tzinfo=UTC),
        trigger=Cause(TriggerKind.EVENT),
        churn=Score(0.5),
        holdout=False,
        candidates=(Candidate(None, 1.0), Candidate("small", 0.0), Candidate("large", 0.0)),
        suppressed=(),
        offer_id=None,
        features={
            "spend_total": 1_000.0 * tier,
            "spend_180d": float(spend),
            "tenure_hours": 24.0 * 180,
            "average_basket": spend / 4 if basket is None else basket,
        },
    )


def wanted(measure: Measure, least: float, users: int = 1) -> Wanted:
    return Wanted(GroupedBy.TIER, measure, least, users)


def most_in_band(made: list[Decided], measure: Measure, least: float, market: Catalogue) -> float:
    """Returns the most value of all assignments whose groups' rates lie in a band: each is tried."""
    offers = [None, *market.offers]
    baskets = [one.features["average_basket"] for one in made]
    worth = [[0.0 if each is None else expected_value(each, situation_of(one), 0.5, market) for each in offers]
             for one in made]  # fmt: skip
    costs = [[0.0 if each is None else cost(each, basket) for each in offers] for basket in baskets]
    tiers = [one.features["spend_total"] for one in made]
    best = -np.inf
    for chosen in product(range(len(offers)), repeat=len(made)):
        value = sum(worth[row][place] for row, place in enumerate(chosen))
        if value <= best:
            continue
        rates = []
        for tier in set(tiers):
            rows = [row for row, each in enumerate(tiers) if each == tier]
            taken = [row for row in rows if chosen[row]]
            if measure is Measure.SELECTION:
                rates.append(len(taken) / len(rows))
            elif taken:
                rates.append(sum(costs[row][chosen[row]] for row in taken) / sum(baskets[row] for row in taken))
        if min(rates, default=0.0) >= least * max(rates, default=0.0) - 1e-9:
            best = value
    return best


def met_at_prices(
    made: list[Decided], measure: Measure, least: float, market: Catalogue
) -> tuple[float, list[float]]:
    """Returns the value that the priced policy earns, and the rates of its groups."""
    groups = by_tier(market, made)
    found = met(made, with_prices(market, priced(made, groups, market, wanted(measure, least))), measure)
    rows = [np.array([row for row, each in enumerate(groups) if each == name]) for name in sorted(set(groups))]
    return float(found.value.sum()), [found.rate(one) for one in rows]


SPENDS = st.lists(st.integers(1, 300), min_size=2, max_size=4, unique=True)


@settings(deadline=None, max_examples=40)
@given(spends=st.lists(SPENDS, min_size=2, max_size=2), least=st.sampled_from([0.5, 0.8, 1.0]))
def test_no_assignment_in_the_band_is_worth_more(spends: list[list[int]], least: float) -> None:
    pairs = [(tier, spend) for tier, own in enumerate(spends) for spend in own]
    made = [decision(number, tier, spend) for number, (tier, spend) in enumerate(pairs)]
    value, rates = met_at_prices(made, Measure.SELECTION, least, shop())
    assert min(rates) >= least * max(rates) - 1e-9
    assert value == pytest.approx(most_in_band(made, Measure.SELECTION, least, shop()), abs=1e-5)


def test_three_groups_beside_all_assignments() -> None:
    spends = [(0, 11), (0, 17), (0, 25), (1, 40), (1, 90), (1, 21), (2, 150), (2, 220), (2, 300)]
    made = [decision(number, tier, spend) for number, (tier, spend) in enumerate(spends)]
    value, rates = met_at_prices(made, Measure.SELECTION, 0.8, shop())
    unpriced = met(made, shop(), Measure.SELECTION)
    assert float(unpriced.value.sum()) > value == pytest.approx(most_in_band(made, Measure.SELECTION, 0.8, shop()))
    assert min(rates) >= 0.8 * max(rates)


@pytest.mark.parametrize("least", [0.8, 0.95])
def test_many_users_beside_the_linear_programme(least: float) -> None:
    """The programme may make part of an offer: what a whole one more or less of each group is worth may be missed."""
    generator, market = np.random.default_rng(5), shop()
    rows = [
        (tier, float(spend)) for tier, mean in enumerate((40, 90, 160)) for spend in generator.gamma(2, mean, 150)
    ]
    made = [decision(number, tier, spend) for number, (tier, spend) in enumerate(rows)]
    groups = by_tier(market, made)
    prices = priced(made, groups, market, wanted(Measure.SELECTION, least))
    found = met(made, with_prices(market, prices), Measure.SELECTION)
    value = float(found.value.sum())
    rates = [found.rate(np.flatnonzero(np.array(groups) == name)) for name in prices.groups]
    worth = np.array(
        [[expected_value(each, situation_of(one), 0.5, market) for each in market.offers] for one in made]
    )
    users, offers = worth.shape
    once = np.hstack([np.kron(np.eye(users), np.ones(offers)), np.zeros((users, 1))])
    of_tier = np.array([[tier == each for each, _spend in rows] for tier in range(3)]) / 150
    rate = np.kron(of_tier, np.ones(offers))
    above = np.hstack([-rate, np.ones((3, 1))])
    below = np.hstack([least * rate, -np.ones((3, 1))])
    solved = linprog(
        -np.append(worth.ravel(), 0.0),
        A_ub=np.vstack([once, above, below]),
        b_ub=np.concatenate([np.ones(users), np.zeros(6)]),
        bounds=(0, 1),
    )
    free = float(met(made, market, Measure.SELECTION).value.sum())
    print(f"{value:.2f} at prices, {-solved.fun:.2f} at most in the band, {free:.2f} without; rates {rates}")
    assert min(rates) >= least * max(rates) - 1e-9
    assert free > -solved.fun >= value - 1e-6
    assert value >= -solved.fun - sum(abs(one.price) for one in prices.groups.values())


@pytest.mark.parametrize("seed", range(6))
def test_prices_of_discount_are_in_the_band_and_near_the_best_assignment(seed: int) -> None:
    """A price cannot part what a mixture would need: what it misses of the best is a decision a group at most."""
    generator, market = np.random.default_rng(seed), shop(fixed=0.0)
    spends = [*generator.integers(20, 120, 4).tolist(), *generator.integers(100, 300, 4).tolist()]
    made = [decision(number, number // 4, spend, generator.uniform(10, 60)) for number, spend in enumerate(spends)]
    value, rates = met_at_prices(made, Measure.DISCOUNT, 0.8, market)
    offered = [rate for rate in rates if np.isfinite(rate)]
    assert min(offered) >= 0.8 * max(offered) - 1e-9
    best = most_in_band(made, Measure.DISCOUNT, 0.8, market)
    print(f"{value:.3f} of {best:.3f}, {met(made, market, Measure.DISCOUNT).value.sum():.3f} without a band; {rates}")
    assert best - 2 * float(met(made, market, Measure.DISCOUNT).value.max()) <= value <= best + 1e-5


def test_what_is_in_the_band_bears_no_price() -> None:
    made = [decision(number, number % 2, 200 + number) for number in range(10)]
    prices = priced(made, by_tier(shop(), made), shop(exploration=0.3), wanted(Measure.SELECTION, 0.8))
    assert {one.price for one in prices.groups.values()} == {0.0}


def test_small_groups_bear_none_and_it_takes_two() -> None:
    made = [decision(number, number % 2 if number < 6 else 0, 200 + number) for number in range(10)]
    groups = by_tier(shop(), made)
    with pytest.raises(ForestayError, match="1 of 2 groups have 5 users"):
        priced(made, groups, shop(), wanted(Measure.SELECTION, 0.8, users=5))
    rules = shop(kind="rules", rules=[{"id": "all", "offers": ["small"]}])
    with pytest.raises(ForestayError, match="goes by rules"):
        priced(made, groups, rules, wanted(Measure.SELECTION, 0.8))


# -- the command ---------------------------------------------------------------------------------------------------

USERS = 500
MARKET = Catalogue.model_validate(
    catalogue(
        offer("small", effect=0.1, cost={"fixed": 1.0}),
        offer("large", effect=0.4, cost={"fixed": 9.0}),
        policy={"exploration": 0.2, "margin": 0.3},
        holdout=0.05,
    ).model_dump(mode="json")
    | {"tiers": {"gold": 400.0}}
)


def tiered() -> list[Any]:
    """Returns decisions on users whose tier goes by what they spend: gold is made more offers."""
    made = decisions(USERS, shop=MARKET)
    return [
        one.model_copy(update={"features": one.features | {"spend_total": 3 * one.features["spend_180d"]}})
        for one in made
    ]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tiered()
    came = outcomes(made, {None: 0.0, "small": 1.0, "large": 2.0})
    return write_lines(tmp_path_factory.mktemp("log") / "log.jsonl", made, came)


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, args)])


def write_shop(path: Path, **policy: Any) -> Path:
    content = MARKET.model_dump(mode="json")
    content["policy"] |= policy
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize("kind", ["expected_value", "linear_thompson"])
def test_prices_open_the_gate_and_tell_what_they_cost(kind: str, log: Path, tmp_path: Path) -> None:
    more: dict[str, Any] = {"kind": kind}
    if kind == "linear_thompson":
        more["posterior"] = {
            "signals": list(SIGNALS), "function": FUNCTION, "decisions": 0, "prior_deviation": 1.0, "heads": {},
        }  # fmt: skip
    plain = write_shop(tmp_path / "plain.yaml", **more)
    judged: list[str | Path] = [
        "fair",
        "--log",
        log,
        "--draws",
        "200",
        "--json",
        "--least-users",
        "50",
        "--candidate",
    ]
    before = json.loads(run(*judged, plain).stdout)["groups"]["gold"]["selected_beside_others"]["value"]
    result = run(*judged, plain, "--price", tmp_path / "parity.json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["in_band"]
    priced_shop = write_shop(tmp_path / "priced.yaml", **more, parity="parity.json")
    again = json.loads(run(*judged, priced_shop).stdout)["groups"]["gold"]
    after = again["selected_beside_others"]["value"]
    assert before > 1.25 > after - 1e-9
    assert again["selected"]["value"] == pytest.approx(found["groups"]["gold"]["after"])
    assert 0 < found["cost_a_decision"]["interval"][0] <= found["cost_a_decision"]["value"]
    assert found["cost_by_outcomes"]["value"] is not None


def test_the_same_log_gives_the_same_bytes_and_a_person_reads_the_cost(log: Path, tmp_path: Path) -> None:
    plain = write_shop(tmp_path / "plain.yaml")
    for name in ("one.json", "two.json"):
        result = run("fair", "--log", log, "--draws", "100", "--least-users", "50", "--candidate", plain,
                     "--price", tmp_path / name)  # fmt: skip
        assert result.exit_code == 0, result.output
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert "cost a decision" in result.stdout
    assert "counsel" in result.stdout


def test_countries_are_told_by_a_file_and_judged_by_it(log: Path, tmp_path: Path) -> None:
    gold = {one.user_id for one in tiered() if one.features["spend_total"] >= 400}
    with (tmp_path / "countries.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["user_id", "country"])
        rows.writerows([f"u{user}", "DE" if f"u{user}" in gold else "FR"] for user in range(USERS))
    plain = write_shop(tmp_path / "plain.yaml")
    flags: list[str | Path] = ["fair", "--log", log, "--draws", "200", "--least-users", "50", "--json"]
    flags += ["--groups", tmp_path / "countries.csv"]
    result = run(*flags, "--candidate", plain, "--price", tmp_path / "parity.json")
    assert result.exit_code == 0, result.output
    assert set(json.loads((tmp_path / "parity.json").read_text())["groups"]) == {"DE", "FR"}
    priced_shop = write_shop(tmp_path / "priced.yaml", parity="parity.json")
    beside = [
        json.loads(run(*flags, "--candidate", one).stdout)["groups"]["DE"]["selected_beside_others"]["value"]
        for one in (plain, priced_shop)
    ]
    assert beside[0] > 1.25 >= beside[1] - 1e-9
    blind = run("ope", "--log", log, "--policy", priced_shop)
    assert (blind.exit_code, "goes by country" in blind.output) == (1, True)


@pytest.mark.parametrize(
    ("flags", "said"),
    [(["--allow", "gold=members"], "leave out --allow"), (["--groups", "regions.csv"], "tier and country alone")],
)
def test_wrong_use_is_said(flags: list[str], said: str, log: Path, tmp_path: Path) -> None:
    (tmp_path / "regions.csv").write_text("user_id,region\nu1,north\n")
    flags = [str(tmp_path / flag) if flag.endswith(".csv") else flag for flag in flags]
    shop_file = write_shop(tmp_path / "plain.yaml")
    result = run("fair", "--log", log, "--candidate", shop_file, "--price", tmp_path / "parity.json", *flags)
    assert (result.exit_code, said in " ".join(result.output.split())) == (2, True)


@pytest.mark.parametrize("seed", range(2))
def test_a_small_group_beside_a_large_one_is_not_drawn_away(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Of a group of 40 beside 4,000 all are looked at, where a tenth of all would leave four to price it by."""
    monkeypatch.setattr("forestay_training.fairness.pricing._MOST", 400)
    generator, market = np.random.default_rng(seed), shop()
    rows = [(0, float(spend)) for spend in generator.gamma(2, 120, 4_000)]
    rows += [(1, float(spend)) for spend in generator.gamma(2, 12, 40)]
    made = [decision(number, tier, spend) for number, (tier, spend) in enumerate(rows)]
    groups = by_tier(market, made)
    prices = priced(made, groups, market, wanted(Measure.SELECTION, 0.8, users=40))
    found = met(made, with_prices(market, prices), Measure.SELECTION)
    rates = [found.rate(np.flatnonzero(np.array(groups) == name)) for name in sorted(set(groups))]
    assert min(rates) >= 0.76 * max(rates), "what drawing of the large group may miss"
