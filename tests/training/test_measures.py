"""The measures against scikit-learn's, their intervals, and what they say where there is nothing to measure."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from forestay_training.evaluation.bgnbd import BetaGeometric, History
from forestay_training.evaluation.bootstrap import Comparison
from forestay_training.evaluation.metrics import MEASURES, Measured, measure

pytestmark = pytest.mark.training

ROWS = 3_000


@pytest.fixture
def truth() -> tuple[np.ndarray, np.ndarray]:
    """True probabilities, many of them equal, and labels drawn from them."""
    generator = np.random.default_rng(5)
    probabilities = generator.uniform(0.02, 0.98, ROWS).round(2)
    return probabilities, (generator.uniform(size=ROWS) < probabilities).astype(np.float32)


def test_they_are_those_of_scikit_learn_with_weights(truth: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, churned = truth
    weights = np.random.default_rng(1).integers(0, 4, ROWS).astype(np.float64)
    found = dict(zip(MEASURES, Measured(churned, probabilities).of(weights), strict=True))
    expected = {
        "auc": roc_auc_score(churned, probabilities, sample_weight=weights),
        "average_precision": average_precision_score(churned, probabilities, sample_weight=weights),
        "log_loss": sklearn_log_loss(churned, probabilities, sample_weight=weights),
        "brier": brier_score_loss(churned, probabilities, sample_weight=weights),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)


def test_true_probabilities_are_calibrated_and_bent_ones_are_not(truth: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, churned = truth
    true = measure(churned, probabilities)
    assert true["calibration_slope"] == pytest.approx(1, abs=0.1)
    assert true["ece"] < 0.03
    odds = (probabilities / (1 - probabilities)) ** 2
    bent = measure(churned, odds / (1 + odds))
    assert bent["calibration_slope"] == pytest.approx(0.5, abs=0.05)
    assert bent["ece"] > 2 * true["ece"]
    assert bent["auc"] == pytest.approx(true["auc"], abs=1e-3)


def test_lift_is_the_share_found_among_the_riskiest_tenth() -> None:
    churned = np.array([1] * 10 + [0] * 90, dtype=np.float32)
    assert measure(churned, np.linspace(0.9, 0.1, 100))["lift_at_10"] == pytest.approx(10)
    assert measure(churned, np.full(100, 0.3))["lift_at_10"] == pytest.approx(1)


def test_one_class_has_no_auc_and_equal_probabilities_have_no_slope() -> None:
    alone = measure(np.ones(5, dtype=np.float32), np.linspace(0.2, 0.8, 5))
    assert np.isnan([alone["auc"], alone["average_precision"], alone["lift_at_10"], alone["calibration_slope"]]).all()
    assert np.isfinite([alone["log_loss"], alone["ece"]]).all()
    assert np.isnan(measure(np.array([1, 0] * 4, dtype=np.float32), np.full(8, 0.4))["calibration_slope"])


def test_intervals_hold_the_value_and_a_model_does_not_differ_from_itself(
    truth: tuple[np.ndarray, np.ndarray],
) -> None:
    probabilities, churned = truth
    users = np.array([f"u{row // 2}" for row in range(ROWS)])
    compared = Comparison(users, churned, {"a": probabilities, "b": probabilities, "c": 1 - probabilities}, 50)
    for interval in (compared.figures()["a"][name] for name in ("auc", "log_loss", "brier")):
        assert interval.value is not None
        assert interval.low is not None
        assert interval.high is not None
        assert interval.low < interval.value < interval.high
    assert set(compared.difference("a", "b").values()) == {(0.0, 0.0, 0.0)}
    worse = compared.difference("a", "c")["auc"]
    assert worse.low is not None
    assert worse.low > 0.3


def test_what_cannot_be_measured_is_none_not_nan() -> None:
    users = np.array(["a", "b", "c"])
    compared = Comparison(users, np.array([1, 1, 1], dtype=np.float32), {"m": np.array([0.2, 0.3, 0.4])}, 20)
    assert compared.figures()["m"]["auc"] == (None, None, None)
    # A draw without the only user who stayed has no AUC: too many of them to tell an interval.
    compared = Comparison(users, np.array([1, 1, 0], dtype=np.float32), {"m": np.array([0.2, 0.3, 0.4])}, 200)
    assert compared.figures()["m"]["auc"] == (0.0, None, None)


def test_bgnbd_survives_long_silences_after_many_orders() -> None:
    """In the formula as printed the odds overflow here."""
    model = BetaGeometric(r=0.5, alpha=1.0, a=0.8, b=2.5)
    churn = model.churn(History(np.array([0.0, 2_000.0]), np.array([0.0, 300.0]), np.array([10.0, 3_000.0])), 60)
    assert 0 < churn[0] < 1
    assert churn[1] == pytest.approx(1)
