"""A small run of everything: it ends, and what it writes passes the gates that need no large data."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from forestay.cli.main import app
from forestay.core.decision.answer import ModelIdentity
from forestay.core.errors import ForestayError
from forestay.core.units import DAY
from forestay.shell.scoring.served import Served as ServedVersions
from forestay.shipping.figures import read_figures
from forestay.shipping.gates import files, quality
from forestay.shipping.gates.verdict import Outcome
from forestay.shipping.triton_config import parameters_of, read_config
from forestay_training import eight_bits
from forestay_training.calibrate import Platt
from forestay_training.evaluation.metrics import MEASURES
from forestay_training.evaluation.rows import Rows
from forestay_training.export import OUTPUT, ExportError, Served, dimensions, export, run
from forestay_training.fitting import Recipe
from forestay_training.groups import GROUPS
from forestay_training.network import ChurnNetwork, Shape
from forestay_training.recipes import recipe_text
from forestay_training.run import Wishes, divided, look, train
from forestay_training.scaling import FeatureScaler
from forestay_training.training_set import TrainingSet, select

pytestmark = pytest.mark.training

#: Seconds; the model is good for nothing.
RECIPE = Recipe(shape=Shape(width=16, heads=2), epochs=1, batch=256, pretraining_epochs=1)


def _unheard(_text: str) -> None:
    pass


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    place = tmp_path_factory.mktemp("candidate")
    (place / "recipe.json").write_text(recipe_text(RECIPE))
    (place / "about.md").write_text("A made-up shop.")
    flags = ("--recipe", place / "recipe.json", "--about", place / "about.md", "--draws", "20", "--json")
    told = CliRunner().invoke(app, ["train", *map(str, (folder, "--out", place / "out", *flags))])
    assert told.exit_code == 0, told.stderr
    return place / "out", json.loads(told.stdout)


def test_a_candidate_is_whole_and_read_by_the_worker(trained: tuple[Path, dict[str, Any]]) -> None:
    out, metrics = trained
    assert {path.name for path in out.iterdir()} == {
        "config.pbtxt", "metrics.json", "model.onnx", "model_card.md", "network.pt",
    }  # fmt: skip
    assert json.loads((out / "metrics.json").read_text()) == metrics
    config, told = read_config(out / "config.pbtxt"), read_figures(out)
    verdicts = [
        files.whole(out, config, told, "churn_transformer"),
        files.reads_our_input(config, told),
        files.small(out),
        files.parity(told),
        quality.figures_told(told),
    ]
    assert {verdict.outcome for verdict in verdicts} == {Outcome.PASSED}, verdicts
    declared = {
        "parameters": {name: {"string_value": text} for name, text in parameters_of(config).items()},
        "output": [{"name": output.name} for output in config.output],
    }
    current = ServedVersions.of(declared, "churn_transformer").current
    assert current.model == ModelIdentity("churn_transformer", metrics["model_version"], 14)
    assert (current.groups, current.hours) == (GROUPS, (24, 72, 168, 336))


def test_every_model_is_told_with_intervals_on_the_same_rows(trained: tuple[Path, dict[str, Any]]) -> None:
    _, metrics = trained
    assert list(metrics["test"]["figures"]) == ["recency", "logistic", "lightgbm", "fused", "blend"]
    for figures in metrics["test"]["figures"].values():
        assert list(figures) == list(MEASURES)
        value, low, high = figures["auc"]
        assert low <= value <= high
    assert metrics["test"]["differences"].keys() == {"recency", "logistic", "lightgbm", "blend"}
    assert metrics["rows"]["train"]["last_cutoff"] < metrics["rows"]["test"]["first_cutoff"]


def test_the_card_has_the_figures_and_where_the_data_is_from(trained: tuple[Path, dict[str, Any]]) -> None:
    out, metrics = trained
    text = (out / "model_card.md").read_text()
    assert f"{metrics['test']['figures']['fused']['auc'][0]:.3f}" in text
    assert metrics["model_version"] in text
    assert "A made-up shop." in text


def test_the_same_wishes_are_the_same_bytes(
    folder: Path, trained: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    wishes = Wishes(horizon=14 * DAY, recipe=RECIPE, bootstrap_draws=20)
    train(look(folder, 14 * DAY, _unheard), tmp_path, wishes, _unheard)
    assert (tmp_path / "model.onnx").read_bytes() == (trained[0] / "model.onnx").read_bytes()


def test_rows_that_went_out_as_their_label_is_not_known_yet_are_told(rows: TrainingSet) -> None:
    """The data end before the horizon of the newest cutoffs does: nothing is wrong with the test's own rows."""
    left = rows.left.copy()
    left[rows.splits == "test"] = np.nan
    late = int((rows.splits == "test").sum())
    with pytest.raises(ForestayError, match=rf"0 rows for test, .* too few \({late} more have no label yet: .*14d"):
        divided(replace(rows, left=left), 14 * DAY)
    few = rows.where((rows.splits != "test") | (np.cumsum(rows.splits == "test") <= 30))
    with pytest.raises(ForestayError, match=r"30 rows for test, \d+ of whom have left, are too few: take"):
        divided(few, 14 * DAY)


def test_the_graph_says_what_the_network_says_in_any_batch_and_length(rows: TrainingSet, tmp_path: Path) -> None:
    inputs = select(rows.inputs, slice(64))
    torch.manual_seed(4)
    network = ChurnNetwork(Shape(), FeatureScaler.fit(inputs.features), inputs, 4)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    served = Served(network, Platt(1.2, -0.3), 2)
    path = tmp_path / "model.onnx"
    assert export(served, inputs, path) <= 1e-4
    names = tuple(dimensions(network))
    with torch.no_grad():
        expected = dict(zip(names, served(*map(torch.from_numpy, inputs)), strict=True))
    for count, steps in ((1, 64), (2, 40), (64, 32)):
        some = select(inputs, slice(count))
        cut = some._replace(step_tokens=some.step_tokens[:, -steps:], step_numbers=some.step_numbers[:, -steps:])
        for name, answer in run(path, cut, names).items():
            np.testing.assert_allclose(answer, expected[name][:count].numpy(), atol=1e-4, rtol=1e-4)
    probability, curve = expected["churn_probability"][:, 0], expected["survival"]
    assert float(probability.std()) > 0.001
    torch.testing.assert_close(curve[:, 2], probability)
    assert (curve.diff(dim=1) <= 0).all()
    torch.testing.assert_close(served.bias + expected["contributions"].sum(dim=1), torch.logit(probability))


def test_in_8_bits_it_is_judged_by_its_own_answers_and_refused_where_it_loses(
    trained: tuple[Path, dict[str, Any]], rows: TrainingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (trained[0] / "model.onnx").read_bytes()
    file = tmp_path / "model.onnx"
    file.write_bytes(whole)
    test = Rows.of(rows, 14 * DAY)
    shrunk = eight_bits.shrink(file, test)
    assert file.read_bytes() != whole
    np.testing.assert_array_equal(shrunk.answers, run(file, test.inputs, (OUTPUT,))[OUTPUT][:, 0])
    assert 0 < shrunk.told["largest_change"] < 0.05
    file.write_bytes(whole)
    monkeypatch.setattr(eight_bits, "MOST_LOST", -1.0)
    with pytest.raises(ExportError, match="leave out --eight-bit"):
        eight_bits.shrink(file, test)
    assert file.read_bytes() == whole
