"""A model moves to new rows by merged updates; one that forgets the old is refused, and nothing is written."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from forestay.cli.main import app
from forestay.core.errors import ForestayError
from forestay.core.units import DAY
from forestay_training import run as running
from forestay_training.adapting import Adaptation, Adapted, Old, adapt
from forestay_training.adapting_run import Base, old_rows
from forestay_training.choosing import before_tests
from forestay_training.evaluation.baselines import Fit, Trees
from forestay_training.evaluation.contenders import finish
from forestay_training.evaluation.rows import Division
from forestay_training.fitting import Recipe, fit
from forestay_training.network import ChurnNetwork, Shape
from forestay_training.training_set import TrainingSet
from forestay_training.weights import save_network

pytestmark = pytest.mark.training

HORIZON = 14 * DAY
SMALL = Recipe(shape=Shape(width=16, heads=2), epochs=2, batch=256)


@pytest.fixture(scope="module")
def division(rows: TrainingSet) -> Division:
    return before_tests(rows, HORIZON)


@pytest.fixture(scope="module")
def base(division: Division) -> ChurnNetwork:
    fitted = fit(division.train.set, None, HORIZON, SMALL, 5, note=lambda _text: None)
    return fitted.network


@pytest.fixture(scope="module")
def moved(rows: TrainingSet, base: ChurnNetwork) -> Adapted:
    """To a market where the labels are turned around."""
    turned = before_tests(
        replace(rows, left=np.where(np.isnan(rows.left), rows.left, 1 - rows.left[:, ::-1])), HORIZON
    )
    return adapt(
        base, turned.train, turned.calibration, old_rows(rows, None, HORIZON), SMALL, Adaptation(4, 0.2), 5,
        teacher=None, note=lambda _text: None,
    )  # fmt: skip


def test_what_comes_out_is_a_network_as_any_with_updates_of_low_rank(base: ChurnNetwork, moved: Adapted) -> None:
    was, now = base.state_dict(), moved.fitted.network.state_dict()
    assert type(moved.fitted.network) is ChurnNetwork
    assert was.keys() == now.keys()
    changed = {name.rpartition(".")[0] for name in was if not torch.equal(was[name], now[name])}
    linear = {name for name, part in base.named_modules() if isinstance(part, torch.nn.Linear)}
    reading = {name for name in linear if name.startswith(("encoder.", "tower.", "trunk."))}
    assert changed == reading | {"steps_term", "hazards"}
    for name in reading:
        assert torch.linalg.matrix_rank(now[f"{name}.weight"] - was[f"{name}.weight"], rtol=1e-3) <= 4
    assert moved.free < sum(weight.numel() for weight in base.parameters()) / 2


def test_the_base_is_left_as_it_was(rows: TrainingSet, base: ChurnNetwork, moved: Adapted) -> None:
    del moved
    again = fit(before_tests(rows, HORIZON).train.set, None, HORIZON, SMALL, 5, note=lambda _text: None)
    for name, weight in base.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], weight), name


def test_old_rows_are_replayed_and_others_judge(rows: TrainingSet, division: Division, moved: Adapted) -> None:
    old = old_rows(rows, None, HORIZON)
    assert not np.intersect1d(old.replayed.users, old.reference.users).size
    assert moved.replayed == round(len(division.train) * 0.2 / 0.8)
    assert moved.worse == pytest.approx(moved.after / moved.before - 1)


def test_a_set_with_other_horizons_is_refused(rows: TrainingSet, division: Division, base: ChurnNetwork) -> None:
    short = replace(rows, horizons=rows.horizons[1:], left=rows.left[:, 1:], spent=rows.spent[:, 1:])
    other = before_tests(short, HORIZON)
    old = Old(division.train, division.calibration)
    with pytest.raises(ForestayError, match="horizons 3d, 7d, 14d: make it with those"):
        adapt(
            base, other.train, other.calibration, old, SMALL, Adaptation(), 5, teacher=None, note=lambda _text: None
        )


@pytest.fixture
def model(base: ChurnNetwork, tmp_path: Path) -> Path:
    """A candidate, as far as it is read."""
    save_network(tmp_path / "base" / "network.pt", base)
    (tmp_path / "base" / "metrics.json").write_text(json.dumps({"model_version": "0ld", "horizon_days": 14}))
    return tmp_path / "base"


@pytest.mark.parametrize(
    "metrics", ["{}", "[]", '{"model_version": "0ld"}', '{"model_version": "0ld", "horizon_days": null}']
)
def test_figures_that_miss_what_is_needed_are_told_before_anything_is_fitted(model: Path, metrics: str) -> None:
    (model / "metrics.json").write_text(metrics)
    with pytest.raises(ForestayError, match="is no candidate"):
        Base.load(model)


@pytest.fixture
def quick_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    def one(division: Division, _note: object) -> tuple[Any, Trees]:
        trees = Trees(4, 100, 0.5, 50)
        return finish(Fit(trees.fit(division.train)), division), trees

    monkeypatch.setattr(running, "fit_trees", one)


@pytest.mark.usefixtures("quick_trees")
def test_a_candidate_comes_out_and_the_next_one_can_go_on_from_it(model: Path, folder: Path, tmp_path: Path) -> None:
    flags = ("--old", folder, "--out", tmp_path / "out", "--epochs", 1, "--draws", 20, "--max-worse", 0.5)
    told = CliRunner().invoke(app, ["adapt-model", *map(str, (model, folder, *flags)), "--no-track", "--json"])
    assert told.exit_code == 0, told.stderr
    metrics = json.loads(told.stdout)
    assert metrics["adapted"]["base"] == "0ld"
    assert {"model.onnx", "config.pbtxt", "network.pt"} <= {file.name for file in (tmp_path / "out").iterdir()}
    assert "**Adapted** from version 0ld" in (tmp_path / "out" / "model_card.md").read_text()


@pytest.mark.usefixtures("quick_trees")
def test_one_that_is_worse_on_the_reference_is_refused(
    model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: Adapted
) -> None:
    monkeypatch.setattr(
        "forestay_training.adapting_run.adapt", lambda *_a, **_k: moved._replace(before=0.5, after=0.506)
    )
    flags = ("--old", folder, "--out", tmp_path / "out", "--draws", 20, "--no-track")
    told = CliRunner().invoke(app, ["adapt-model", *map(str, (model, folder, *flags))])
    assert told.exit_code == 1
    assert "from 0.5000 to 0.5060, +1.2%, and +1.0% is allowed" in told.stderr
    assert not (tmp_path / "out").exists()
