"""When a log may rank a policy, and when it must not."""

import numpy as np
import pytest

from forestay_training.offpolicy.intervals import Interval
from forestay_training.offpolicy.reward_model import cross_fitted, folds_by_user, maker
from forestay_training.offpolicy.same_policy import same_policy
from forestay_training.offpolicy.simulated import made
from forestay_training.offpolicy.support import Support, support
from forestay_training.offpolicy.verdict import verdict

pytestmark = pytest.mark.training

GOOD = Support(500.0, 0.5, 4.0, 1.0, 0.1, 0.0, {})
GAIN = Interval(0.2, 0.1, 0.3, 0.05)
VALUE = Interval(1.2, 1.1, 1.3, 0.05)


@pytest.mark.parametrize(
    ("gain", "said"),
    [((0.2, 0.1, 0.3), "better"), ((-0.2, -0.3, -0.1), "worse"), ((0.1, -0.1, 0.3), "undecided")],
)
def test_the_interval_of_the_gain_says_how_it_stands(gain: tuple[float, float, float], said: str) -> None:
    assert verdict(GOOD, None, Interval(*gain, 0.1), VALUE, None) == (True, said, [], None)


@pytest.mark.parametrize(("at_least", "passed"), [("logged", True), (1.05, True), (1.15, False), (None, None)])
def test_the_gate_goes_by_the_lower_end(at_least: float | str | None, passed: bool | None) -> None:
    assert verdict(GOOD, None, GAIN, VALUE, at_least).passed is passed


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (GOOD._replace(share=0.049, effective=49.0), "only 4.9% of the decisions count"),
        (GOOD._replace(effective=199.0), "is 199 decisions, and 200 are asked for"),
        (GOOD._replace(gap=0.011, untried={"coupon-50": 0.011}), "no chance in the log (coupon-50 1.1%)"),
    ],
)
def test_without_support_nothing_is_ranked_and_no_gate_is_passed(found: Support, why: str) -> None:
    judged = verdict(found, None, GAIN, VALUE, "logged")
    assert (judged.ranked, judged.passed) == (False, False)
    assert why in judged.reasons[0]


def test_no_interval_no_rank() -> None:
    nothing = Interval(float("nan"), float("nan"), float("nan"), float("nan"))
    assert not verdict(GOOD, None, nothing, nothing, None).ranked


def test_support_is_counted() -> None:
    log, _target = made(1, users=50)
    always = np.zeros(log.offered.shape)
    always[:, 2] = 1.0
    found = support(log, always)
    weights = np.where(log.chosen == 2, 1 / log.propensity, 0.0)
    assert found.effective == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    assert found.largest_weight == weights.max()
    assert found.gap == 0
    tried = log.tried.copy()
    tried[: len(tried) // 4, 2] = False
    assert support(log._replace(tried=tried), always).untried == {"2": pytest.approx(0.25, abs=0.01)}


def test_a_log_bears_itself_out_and_false_propensities_are_found() -> None:
    log, _target = made(3)
    assert log.logging is not None
    answers = cross_fitted(log, maker("linear", binary=False), folds_by_user(log.user, 3))
    same = same_policy(log, answers, 200, 1)
    assert same is not None
    assert same.passed
    # What was written is even; what was done was not.
    even = np.full(log.logging.shape, 0.25)
    lying = log._replace(logging=even, propensity=np.full(len(log.reward), 0.25))
    shifted = lying._replace(chosen=np.where(np.arange(len(log.chosen)) % 6 == 0, 0, log.chosen))
    found = same_policy(shifted, answers, 200, 1)
    assert found is not None
    assert found.propensity_action == "0"
    assert not verdict(GOOD, found, GAIN, VALUE, None).ranked


def test_the_reward_model_never_saw_the_user_it_answers_for() -> None:
    log, _target = made(2, users=40)
    fold = folds_by_user(log.user, 1)
    assert all(len(set(fold[log.user == user])) == 1 for user in range(log.users))
    # Rewards of one fold alone leave that fold's answers as they were.
    before = cross_fitted(log, maker("linear", binary=False), fold)
    other = cross_fitted(
        log._replace(reward=np.where(fold == 0, 99.0, log.reward)), maker("linear", binary=False), fold
    )
    assert np.array_equal(before[fold == 0], other[fold == 0])
    assert not np.array_equal(before[fold == 1], other[fold == 1])


@pytest.mark.parametrize("kind", ["linear", "trees"])
def test_probabilities_are_foreseen_where_every_reward_is_0_or_1(kind: str) -> None:
    log, _target = made(4, users=200)
    binary = log._replace(reward=(log.reward > 1).astype(np.float64))
    assert binary.binary
    model = maker("trees" if kind == "trees" else "linear", binary=True)
    answers = cross_fitted(binary, model, folds_by_user(binary.user, 1))
    assert ((answers >= 0) & (answers <= 1)).all()
    assert np.corrcoef(binary.of_chosen(answers), binary.reward)[0, 1] > 0.1
    # Nobody ever came: there is one class, and the answer is known.
    none = cross_fitted(binary._replace(reward=np.zeros(len(log.reward))), model, folds_by_user(binary.user, 1))
    assert not none.any()
