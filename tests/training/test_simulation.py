"""`forestay simulate`: the made-up world is what it says, and the product in it is judged by the truth."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from support.simulated_orders import ordered_by, write_orders
from typer.testing import CliRunner, Result

from forestay.cli.main import app
from forestay.core.errors import ConfigurationError
from forestay.core.rules import Rules
from forestay.core.units import DAY
from forestay.history.reading import EventFile
from forestay_training.offpolicy.own_log import NOTHING
from forestay_training.simulation.closed_loop import Learn, Run
from forestay_training.simulation.closed_loop import run as run_loop
from forestay_training.simulation.effects import BUDGET, DEFAULT_EFFECTS, load_effects
from forestay_training.simulation.pacing import Paced
from forestay_training.simulation.results import interval, told, wilson
from forestay_training.simulation.rhythm import Fitted, default_rhythm, fit_rhythm
from forestay_training.simulation.study import POLICIES, Seen, Size, one_seed
from forestay_training.simulation.world import World

pytestmark = pytest.mark.training

EFFECTS = load_effects(DEFAULT_EFFECTS)
RHYTHM = default_rhythm().rhythm
EXPLORING = {"exploration": 0.5}


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, args)])


def loop(users: int = 300, days: int = 200, seed: int = 3, learn: Learn | None = None, **policy: float) -> Run:
    world = World(RHYTHM, EFFECTS, users, days, seed)
    return run_loop(world, EFFECTS, EFFECTS.catalogue({**EXPLORING, **policy}, None), days, learn, 28)


def test_a_rhythm_is_found_again_in_the_orders_it_makes(tmp_path: Path) -> None:
    path = write_orders(tmp_path / "orders.jsonl", ordered_by(RHYTHM, EFFECTS, users=1_500, days=400, seed=5))
    fitted = fit_rhythm([EventFile(path, Rules(), "clickstream")], 1, lambda *_said: None)
    assert fitted.distance < 0.05
    # Mean orders a day while a user stays, and the share that leaves: their parameters apart vary more.
    rate, made = (one.r / one.alpha for one in (RHYTHM.orders, fitted.rhythm.orders))
    assert made == pytest.approx(rate, rel=0.3)
    assert fitted.rhythm.baskets.mean == pytest.approx(RHYTHM.baskets.mean, abs=0.1)
    assert fitted.rhythm.baskets.within == pytest.approx(RHYTHM.baskets.within, abs=0.1)
    assert json.dumps(Fitted.of(fitted.told()).told()) == json.dumps(fitted.told())


def test_what_is_expected_of_a_user_is_what_comes_on_average() -> None:
    """The oracle: the process day by day, in plain loops, of a user who has left with a known chance."""
    world = World(RHYTHM, EFFECTS, 200, 120, 11)
    for _day in range(118):
        world.next_day()
    chance = np.random.default_rng(2)
    asked = [user for user in range(200) if world.users.first[user] < 60 and 0.1 < world.churn(user) < 0.99][:6]
    assert len(asked) == 6
    for user in asked:
        gone = world._gone(user)
        ordering, leaving = float(world.users.ordering[user]), float(world.users.leaving[user])
        price = EFFECTS.margin * float(world.users.basket[user])
        moved = (
            EFFECTS.offers[1].truth.large_baskets
            if world.users.large[user]
            else EFFECTS.offers[1].truth.small_baskets
        )
        with_offer: list[int] = []
        without: list[int] = []
        for _time in range(30_000):
            stays = chance.random() >= gone
            for offered, sums in ((True, with_offer), (False, without)):
                here, orders = stays, 0
                for day in range(EFFECTS.horizon_days):
                    orders_now = here and chance.random() < ordering
                    if offered and day == 0 and chance.random() < moved:
                        orders_now = True
                    if orders_now:
                        orders += 1
                        here = chance.random() >= leaving
                sums.append(orders)
        mean, error = np.mean(without), np.std(without) / len(without) ** 0.5
        assert abs(world.nothing(user) / price - mean) < 4 * error + 1e-9
        gained = np.mean(with_offer) - mean
        error = (np.var(with_offer) + np.var(without)) ** 0.5 / len(without) ** 0.5
        assert abs(world.gain(user, "coupon") / price - gained) < 4 * error


def test_rewards_of_the_product_are_on_average_what_is_true() -> None:
    made = loop(users=1_200, days=260)
    outcomes, decisions = made.records.outcomes, made.records.decisions
    missed = np.array(
        [
            outcomes[one.decision_id].reward - one.values[decisions[one.decision_id].offer_id or NOTHING]
            for one in made.judged
            if one.decision_id in outcomes
        ]
    )
    assert len(missed) > 500
    assert abs(missed.mean()) < 4 * missed.std() / len(missed) ** 0.5


def test_a_new_catalogue_of_the_same_content_changes_nothing() -> None:
    """What a worker that is started again reads back is what it had: decisions, chances, outcomes."""
    catalogue = EFFECTS.catalogue(EXPLORING, None)
    again = loop(learn=lambda _records: catalogue)
    assert loop() == again
    assert len(again.judged) > 100


def test_no_offer_is_made_while_another_may_still_show_what_it_did() -> None:
    made = loop(exploration=1.0)
    offered: dict[str, list[int]] = {}
    for one in made.judged:
        decision = made.records.decisions[one.decision_id]
        if decision.offer_id is not None:
            offered.setdefault(decision.user_id, []).append(one.decided_at)
    gaps = [later - earlier for moments in offered.values() for earlier, later in pairwise(moments)]
    assert len(gaps) > 10
    assert min(gaps) >= EFFECTS.horizon_days * DAY


def test_a_world_shows_that_the_learner_learns() -> None:
    size = Size(1_000, 252, [5])
    seen = one_seed(RHYTHM, EFFECTS, size, 5)
    first = next(period for period in seen.periods["learner"] if period[0])
    last = seen.periods["learner"][-1]
    assert last[1] < 0.7 * first[1]
    for one in seen.periods["learner"]:
        assert one[1] >= 0
    assert {one.candidate for one in seen.covered} == {"believed", "learner"}
    assert seen.paced.overspent == 0
    assert seen.paced.days > 50


def test_the_same_seed_gives_the_same_figures() -> None:
    one, other = (one_seed(RHYTHM, EFFECTS, Size(200, 150, [2]), 2) for _time in range(2))
    assert repr(one) == repr(other)


def test_intervals_are_those_of_the_textbooks() -> None:
    """By Student's t with 3 degrees of freedom (3.182), and Wilson's for 8 of 10."""
    mean = interval([1.0, 2.0, 3.0, 4.0])
    assert mean["interval"] == pytest.approx([2.5 - 3.182 * 0.6455, 2.5 + 3.182 * 0.6455], abs=1e-3)
    assert interval([1.0]) == {"value": 1.0, "interval": None}
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_the_command_says_that_it_is_synthetic(tmp_path: Path) -> None:
    small = ("--users", "150", "--days", "120", "--worlds", "1", "--workers", "1")
    result = run("simulate", *small, "--report", tmp_path / "page.html", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["synthetic"] is True
    assert set(found["policies"]) == {"believed", "random", "learner"}
    assert "Synthetic: no user, order or effect on this page is real" in (tmp_path / "page.html").read_text()


def test_a_world_without_a_decision_in_a_period_has_no_regret_there() -> None:
    """It would draw the mean of the others to 0, and be counted among the intervals' degrees of freedom."""
    nothing = Paced(1, 0, 0, 0.0, [0.0] * 24)
    worlds = [
        Seen(seed, 1, {name: [(0, 0.0, 0.0, 0.0), period] for name in POLICIES}, [], nothing)
        for seed, period in enumerate([(4, 2.0, 1.0, 3.0), (4, 3.0, 1.0, 4.0), (0, 0.0, 0.0, 0.0)])
    ]
    learner = told(default_rhythm(), EFFECTS, Size(100, 120, range(3)), worlds)["policies"]["learner"]
    first, second = learner["periods"]
    assert first["regret"] == {"value": None, "interval": None}
    assert second["regret"] == learner["regret"] == interval([2.0, 3.0])


def test_a_shop_that_spends_nothing_has_figures_and_a_page(tmp_path: Path) -> None:
    """Its offers cost nothing: no budget is used, and no share of one is nan, which is no JSON."""
    path = tmp_path / "free.yaml"
    text = DEFAULT_EFFECTS.read_text()
    for cost in ("fixed: 0.05", "basket_share: 0.04", "fixed: 1.5"):
        text = text.replace(cost, cost.partition(":")[0] + ": 0")
    path.write_text(text)
    small = ("--users", "100", "--days", "120", "--worlds", "1", "--workers", "1", "--effects", path)
    result = run("simulate", *small, "--report", tmp_path / "page.html", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout, parse_constant=pytest.fail)["pacing"]["used"] == 0
    assert "nan" not in (tmp_path / "page.html").read_text().partition("<main>")[2].casefold()
    assert run("simulate", *small).exit_code == 0


def test_effects_that_are_wrong_are_named_by_their_line(tmp_path: Path) -> None:
    path = tmp_path / "effects.yaml"
    path.write_text(DEFAULT_EFFECTS.read_text().replace("small_baskets: 0.05", "small_baskets: 1.5"))
    with pytest.raises(ConfigurationError, match=r"effects.yaml:1[0-9]: .*small_baskets: .*less than or equal to 1"):
        load_effects(path)
    assert BUDGET in EFFECTS.catalogue({}, 100).model_dump_json()


def test_too_few_users_are_no_rhythm(tmp_path: Path) -> None:
    path = write_orders(tmp_path / "few.jsonl", ordered_by(RHYTHM, EFFECTS, users=50, days=100, seed=1))
    result = run("simulate", "--events", path, "--worlds", "1")
    assert result.exit_code == 1
    assert "users order in these files; a rhythm takes 100" in str(result.output) + str(result.exception)


def test_orders_for_nothing_are_no_rhythm(tmp_path: Path) -> None:
    made = (one._replace(value=0.0) for one in ordered_by(RHYTHM, EFFECTS, users=150, days=100, seed=1))
    path = write_orders(tmp_path / "free.jsonl", made)
    result = run("simulate", "--events", path, "--worlds", "1")
    assert result.exit_code == 1
    assert "no order in these files is for more than 0" in str(result.output) + str(result.exception)
