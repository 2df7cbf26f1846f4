"""A user is one unit: their rows make one cut gradient, drowned in noise whose price is kept in the books."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from opacus.accountants import RDPAccountant

from forestay.core.errors import ForestayError
from forestay.core.units import DAY
from forestay_training import private
from forestay_training.evaluation.baselines import Trees
from forestay_training.evaluation.rows import Division, Rows, divide
from forestay_training.fitting import Recipe, loss_of, targets_of, tensors
from forestay_training.network import ChurnNetwork, Shape
from forestay_training.private import Privacy, fit_privately
from forestay_training.private_run import privately
from forestay_training.run import Wishes
from forestay_training.scaling import FeatureScaler
from forestay_training.training_set import TrainingSet

pytestmark = pytest.mark.training

HORIZON = 14 * DAY
SMALL = Recipe(shape=Shape(width=8, heads=2, layers=1, dropout=0.0), epochs=1)
ASKED = Privacy(epsilon=8.0, max_rows_a_user=3, users_a_step=64)


@pytest.fixture(scope="module")
def division(rows: TrainingSet) -> Division:
    return divide(Rows.of(rows, HORIZON), int(rows.moments[rows.splits == "test"].min()))


def fitted(division: Division, privacy: Privacy = ASKED) -> private.PrivateFit:
    return fit_privately(
        division.train.set, division.calibration.set, HORIZON, SMALL, 5, privacy, note=lambda _text: None
    )


@pytest.fixture(scope="module")
def one(division: Division) -> private.PrivateFit:
    return fitted(division)


def test_the_budget_asked_for_is_spent_by_users_and_no_more(division: Division, one: private.PrivateFit) -> None:
    spent = one.spent
    users = len(np.unique(division.train.users))
    assert spent.users == users
    assert spent.delta == pytest.approx(1 / users**1.1)
    assert spent.sample_rate == pytest.approx(64 / users)
    books = RDPAccountant()
    books.history = [(spent.noise_multiplier, spent.sample_rate, spent.steps)]
    assert spent.epsilon == pytest.approx(books.get_epsilon(spent.delta))
    assert 0.98 * ASKED.epsilon < spent.epsilon <= ASKED.epsilon


def test_the_noise_is_no_function_of_the_seed_and_a_tighter_budget_has_more(
    division: Division, one: private.PrivateFit
) -> None:
    again, tight = fitted(division), fitted(division, replace(ASKED, epsilon=1.0))
    assert not torch.equal(one.fitted.network.bias, again.fitted.network.bias)
    assert tight.spent.noise_multiplier > 2 * one.spent.noise_multiplier


def test_scales_of_the_users_fitted_on_are_refused(division: Division) -> None:
    with pytest.raises(ForestayError, match="users that nothing is fitted on"):
        fit_privately(division.train.set, division.train.set, HORIZON, SMALL, 5, ASKED, note=lambda _text: None)


def test_metrics_and_card_say_what_was_spent(division: Division, tmp_path: Path) -> None:
    fitter = privately(Wishes(HORIZON, recipe=SMALL), ASKED)
    taken = fitter(division, Trees(4, 100, 0.5), tmp_path, lambda _text: None)
    told = taken.told["private"]
    assert told["unit"] == "user"
    assert told["max_rows_a_user"] == 3
    assert f"epsilon {told['epsilon']:.2f} at delta {told['delta']:.2g}" in taken.about
    assert taken.told["pretrained"] is False


@pytest.fixture
def learner(division: Division) -> private._Learner:
    torch.manual_seed(1)
    train = division.train.set
    network = ChurnNetwork(SMALL.shape, FeatureScaler.fit(train.inputs.features), train.inputs, len(train.horizons))
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    return private._Learner(network, targets_of(train, HORIZON, SMALL, None), SMALL)


def test_all_rows_of_a_user_make_one_gradient_which_is_cut(division: Division, learner: private._Learner) -> None:
    train = division.train.set
    learner.put_gradients(train, np.array([[0, 1, 2], [5, -1, -1]]))
    lengths = torch.stack([weight.grad_sample.flatten(1).norm(dim=1) for weight in learner.taught.values()]).norm(
        dim=0
    )
    assert lengths.shape == (2,)
    assert (lengths <= private._CLIP).all()
    # Users whose rows are the same are the same, however often a row is told: the share is that of a user.
    first = {name: weight.grad_sample[1].clone() for name, weight in learner.taught.items()}
    learner.put_gradients(train, np.array([[5, 5, 5]]))
    for name, weight in learner.taught.items():
        torch.testing.assert_close(weight.grad_sample[0], first[name], atol=1e-5, rtol=1e-3)


def test_a_users_loss_is_the_one_that_is_fitted_without_noise(division: Division, learner: private._Learner) -> None:
    train, rows = division.train.set, np.array([3, 8, 11])
    inputs, numbers = tensors(train.inputs, rows), torch.from_numpy(rows)
    targets = targets_of(train, HORIZON, SMALL, None)
    usual = loss_of(learner.network(*inputs), targets, numbers, SMALL)
    wanted = type(targets)(*(target[numbers] for target in targets))
    torch.testing.assert_close(learner._loss(learner.taught, *inputs, wanted, torch.full((3,), 1 / 3)), usual)


def test_a_step_without_users_is_noise_alone(division: Division, learner: private._Learner) -> None:
    learner.put_gradients(division.train.set, np.zeros((0, 3), dtype=np.int64))
    optimizer = private._noisy(learner, SMALL, 2.0, 64.0)
    before = {name: weight.detach().clone() for name, weight in learner.taught.items()}
    optimizer.step()
    noise = torch.cat([weight.grad.flatten() for weight in learner.taught.values()]) * 64
    assert float(noise.std()) == pytest.approx(2.0 * private._CLIP, rel=0.1)
    assert all(not torch.equal(weight, before[name]) for name, weight in learner.taught.items())
