"""The measures, the calibration and the models that need no network."""

import numpy as np
import pytest

from forestay.recording import RecordedMessage
from forestay_training.baselines import Trees
from forestay_training.bgnbd import BetaGeometric, History
from forestay_training.calibrate import Platt, calibrated_log_loss
from forestay_training.dataset import Rows, build_rows
from forestay_training.evaluate import MEASURES, Comparison, calibration_error, log_loss
from forestay_training.labels import Orders
from forestay_training.splits import LAST

pytestmark = pytest.mark.training

_ROWS = 4_000


@pytest.fixture
def truth() -> tuple[np.ndarray, np.ndarray]:
    """True probabilities and labels drawn from them."""
    generator = np.random.default_rng(5)
    probabilities = generator.uniform(0.02, 0.98, _ROWS)
    return probabilities, (generator.uniform(size=_ROWS) < probabilities).astype(np.float32)


def test_calibration_undoes_a_bent_logit(truth: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, churned = truth
    bent = Platt(2.0, 0.7).apply(probabilities)
    undone = Platt.fit(churned, bent)
    assert undone.slope == pytest.approx(0.5, rel=0.1)
    assert undone.intercept == pytest.approx(-0.35, abs=0.1)
    weights = np.ones(_ROWS)
    assert calibration_error(churned, undone.apply(bent), weights) < calibration_error(churned, bent, weights) / 2
    assert calibrated_log_loss(churned, bent) == pytest.approx(log_loss(churned, probabilities), abs=0.005)


def test_calibration_error_of_a_constant_is_its_distance_from_the_rate() -> None:
    churned = np.array([1, 0, 0, 0], dtype=np.float32)
    assert calibration_error(churned, np.full(4, 0.75), np.ones(4)) == pytest.approx(0.5)


def test_intervals_hold_the_value_and_a_model_does_not_differ_from_itself(
    truth: tuple[np.ndarray, np.ndarray],
) -> None:
    probabilities, churned = truth
    users = np.array([f"u{row // 2}" for row in range(_ROWS)])
    compared = Comparison(users, churned, {"a": probabilities, "b": probabilities, "c": 1 - probabilities}, 50, 1)
    for name in MEASURES:
        value, low, high = compared.figures()["a"][name]
        # Resampling adds noise to a calibration error, and never takes any away.
        assert low - 0.02 <= value <= high
        assert compared.differences("a", "b")[name] == (0.0, 0.0, 0.0)
    assert compared.differences("a", "c")["auc"][1] > 0.3


def test_bgnbd_finds_the_parameters_that_made_the_data() -> None:
    true = BetaGeometric(r=1.5, alpha=20.0, a=1.2, b=3.0)
    found = BetaGeometric.fit(_simulate(true, customers=6_000, days=200.0))
    assert found.r / found.alpha == pytest.approx(true.r / true.alpha, rel=0.15)
    assert found.a / (found.a + found.b) == pytest.approx(true.a / (true.a + true.b), rel=0.2)


def test_bgnbd_predicts_who_orders_again() -> None:
    model = BetaGeometric(r=1.5, alpha=20.0, a=1.2, b=3.0)
    history = _simulate(model, customers=20_000, days=260.0, seen=200.0)
    assert model.churn(history).mean() == pytest.approx(_silent(model, 20_000, 200.0, 260.0), abs=0.005)


def test_the_teacher_never_saw_the_user_it_speaks_of(some_users: list[RecordedMessage]) -> None:
    rows = build_rows(some_users, Orders(some_users))
    train = rows.where(rows.moments <= LAST)
    trees = Trees(leaves=7, rounds=20)
    before = trees.out_of_fold(train)
    user = train.users[0]
    flipped = np.where(train.users == user, 1 - train.churned, train.churned).astype(np.float32)
    after = trees.out_of_fold(Rows(train.users, train.moments, train.origins, flipped, train.inputs))
    np.testing.assert_array_equal(after[train.users == user], before[train.users == user])
    assert not np.array_equal(after, before)


def _simulate(model: BetaGeometric, customers: int, days: float, seen: float | None = None) -> History:
    """Draws customers who live by the model's own story, seen for `seen` days (or all of `days`)."""
    return History(*np.array([_one(orders, seen or days) for orders in _lives(model, customers, days)]).T)


def _silent(model: BetaGeometric, customers: int, seen: float, horizon: float) -> float:
    """Returns the share of such customers without an order between `seen` and `horizon`."""
    lives = _lives(model, customers, horizon)
    return float(np.mean([not any(seen < day <= horizon for day in orders) for orders in lives]))


def _one(orders: list[float], seen: float) -> tuple[float, float, float]:
    repeats = [day for day in orders if day <= seen]
    return len(repeats), max(repeats, default=0.0), seen


def _lives(model: BetaGeometric, customers: int, days: float) -> list[list[float]]:
    """Returns the days of every customer's repeat orders."""
    generator = np.random.default_rng(11)
    lives = []
    for _ in range(customers):
        rate, leaving = generator.gamma(model.r, 1 / model.alpha), generator.beta(model.a, model.b)
        day, orders = generator.exponential(1 / rate), []
        while day <= days:
            orders.append(day)
            if generator.uniform() < leaving:
                break
            day += generator.exponential(1 / rate)
        lives.append(orders)
    return lives
