"""Fits are a function of rows, recipe and seed, whether they were killed in the middle or not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from forestay.core.decision.model_input import INPUT_DIGEST
from forestay.core.units import DAY
from forestay_training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from forestay_training.evaluation.rows import Division, Rows, divide
from forestay_training.fitting import DivergedError, Fitted, Recipe, edges, fit, outputs_of, predict
from forestay_training.network import Shape
from forestay_training.training_set import TrainingSet
from forestay_training.weights import load_network, save_network

pytestmark = pytest.mark.training

HORIZON = 14 * DAY
SMALL = Recipe(shape=Shape(width=16, heads=2), epochs=3, batch=64)


class KilledError(Exception):
    """The process is gone."""


@pytest.fixture(scope="module")
def division(rows: TrainingSet) -> Division:
    test_from = int(rows.moments[rows.splits == "test"].min())
    return divide(Rows.of(rows, HORIZON), test_from)


def fitted(division: Division, checkpoint: Path | None = None, killed_at: str | None = None) -> Fitted:
    def note(text: str) -> None:
        if killed_at is not None and text.startswith(killed_at):
            raise KilledError

    return fit(division.train.set, division.calibration.set, HORIZON, SMALL, 5, note=note, checkpoint=checkpoint)


@pytest.fixture(scope="module")
def whole(division: Division) -> Fitted:
    return fitted(division)


@pytest.mark.parametrize("killed_at", ["epoch 1", "epoch 3"])
def test_a_fit_that_was_killed_goes_on_to_the_same_weights(
    division: Division, whole: Fitted, tmp_path: Path, killed_at: str
) -> None:
    checkpoint = tmp_path / "fit.pt"
    with pytest.raises(KilledError):
        fitted(division, checkpoint, killed_at)
    again = fitted(division, checkpoint)
    assert (again.epochs, again.history) == (whole.epochs, whole.history)
    for name, weight in whole.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], weight), name


def test_it_learns(division: Division, whole: Fitted) -> None:
    answers = predict(whole.network, division.test.inputs)
    left = division.test.churned == 1
    assert answers[left].mean() > answers[~left].mean() + 0.02


def test_answers_come_in_the_order_of_the_rows(division: Division, whole: Fitted) -> None:
    together = outputs_of(whole.network, division.test.inputs)
    for row in (0, 7, len(division.test) - 1):
        alone = outputs_of(whole.network, division.test.where(np.arange(len(division.test)) == row).inputs)
        torch.testing.assert_close(together.logit[row], alone.logit[0], atol=1e-5, rtol=1e-4)


def test_edges_are_the_horizons_unless_labels_are_no_silence(rows: TrainingSet) -> None:
    assert edges(rows, HORIZON) == rows.horizons
    rising = TrainingSet(**(vars(rows) | {"left": rows.left[:, ::-1].copy()}))
    assert edges(rising, HORIZON) == (HORIZON,)


def test_a_network_kept_in_a_file_is_the_same(whole: Fitted, division: Division, tmp_path: Path) -> None:
    save_network(tmp_path / "network.pt", whole.network)
    other = load_network(tmp_path / "network.pt")
    inputs = division.test.inputs
    np.testing.assert_array_equal(predict(other, inputs), predict(whole.network, inputs))


def test_what_is_no_checkpoint_is_told_and_runs_nothing(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "none.pt") is None
    (tmp_path / "bad.pt").write_bytes(b"\x80\x04cposix\nsystem\n(S'false'\ntR.")
    with pytest.raises(CheckpointError, match="is no checkpoint"):
        load_checkpoint(tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match="is missing: `forestay train` writes it"):
        load_network(tmp_path / "none.pt")


@pytest.mark.parametrize(
    "state",
    [
        {"epochs": 3},
        {"input": INPUT_DIGEST},
        {"input": INPUT_DIGEST, "shape": {"depth": 3}, "edges": 4, "weights": {}},
        {"input": INPUT_DIGEST, "shape": {}, "edges": 4, "weights": {"kept": torch.zeros(3, dtype=torch.int64)}},
    ],
)
def test_a_file_of_another_kind_is_no_network(tmp_path: Path, state: dict[str, Any]) -> None:
    save_checkpoint(tmp_path / "network.pt", state)
    with pytest.raises(CheckpointError, match="train it again"):
        load_network(tmp_path / "network.pt")


def test_a_fit_that_goes_astray_is_told(division: Division) -> None:
    train, validation = division.train.set, division.calibration.set
    with pytest.raises(DivergedError, match=r"epoch 1 .* smaller peak_rate"):
        fit(train, validation, HORIZON, replace(SMALL, peak_rate=1e30), 5, note=lambda _text: None)
