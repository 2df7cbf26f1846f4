"""`forestay train`: what it teaches, and what it refuses in which words."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from forestay.cli.main import app
from forestay.cli.training import _device
from forestay.core.errors import ForestayError
from forestay_training import run as running
from forestay_training.card import _HEADINGS, _difference, _table, _verdict
from forestay_training.fitting import Recipe
from forestay_training.network import Shape
from forestay_training.recipes import read_recipe, recipe_text

pytestmark = pytest.mark.training


def train(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["train", *map(str, args)])


def test_help_teaches() -> None:
    result = train("--help")
    assert result.exit_code == 0
    for word in (
        "FOLDER",
        "--horizon",
        "--seed",
        "--pretrain",
        "Examples",
        "forestay model promote",
        "docs/model.md",
    ):
        assert word in result.output


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--horizon", "60d"], "no labels for a horizon of 60d: the training set has 1d, 3d, 7d, 14d"),
        (["--recipe", "none.json"], "none.json is no recipe"),
        (["--private", "--pretrain", "yes"], "would read the users without noise"),
    ],
)
def test_what_cannot_be_is_told(folder: Path, tmp_path: Path, args: list[str], message: str) -> None:
    result = train(folder, "--out", tmp_path / "out", *args)
    assert result.exit_code == (2 if "write a span" in message or "without noise" in message else 1)
    assert message in result.stderr.replace("\n", " ")
    assert not (tmp_path / "out").exists()


def test_a_horizon_that_cannot_be_read_is_wrong_use(folder: Path, tmp_path: Path) -> None:
    result = train(folder, "--out", tmp_path / "out", "--horizon", "soon")
    assert result.exit_code == 2
    assert "--horizon soon: write a span" in result.stderr


@pytest.mark.parametrize(
    "args", [["train", "FOLDER"], ["tune", "FOLDER"], ["adapt-model", "none", "FOLDER", "--old", "none"]]
)
def test_a_place_that_cannot_be_written_is_told_before_the_work(
    folder: Path, tmp_path: Path, args: list[str]
) -> None:
    (tmp_path / "file").write_text("")
    asked = [str(folder) if arg == "FOLDER" else arg for arg in args]
    result = CliRunner().invoke(app, [*asked, "--no-track", "--out", str(tmp_path / "file" / "out")])
    assert result.exit_code == 1
    assert result.stderr.endswith(f"{tmp_path / 'file'} is no folder\n")
    assert len(result.stderr.splitlines()) == 1


def test_a_folder_that_is_no_training_set_is_named(tmp_path: Path) -> None:
    result = train(tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "is no training set" in result.stderr.replace("\n", " ")


def test_recipes_come_back_as_written(tmp_path: Path) -> None:
    recipe = Recipe(shape=Shape(width=32, dropout=0.1), epochs=3, peak_rate=1e-3)
    (tmp_path / "recipe.json").write_text(recipe_text(recipe))
    assert read_recipe(tmp_path / "recipe.json") == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"epoch": 3}', "epoch: a recipe has batch, epochs"),
        ('{"shape": {"depth": 3}}', "depth: a recipe has dropout"),
        ('{"epochs": "many"}', "epochs is 'many', and should be of type int"),
        ('{"epochs": true}', "epochs is True, and should be of type int"),
        ('{"shape": {"width": 63}}', "width 63 should be a multiple of heads, 4"),
        ('{"shape": {"dropout": 1.0}}', "dropout is 1.0, and should be 0 or above and below 1"),
        ('{"shape": {"encoder": "lstm"}}', "encoder is 'lstm', and should be transformer or gru"),
        ('{"batch": 0}', "batch is 0, and should be at least 1"),
        ('{"peak_rate": NaN}', "peak_rate is nan, and should be above 0"),
        ('{"soft_share": 2}', "soft_share is 2, and should lie between 0 and 1"),
        ("[]", "a recipe is an object"),
        ("{", "is no recipe"),
    ],
)
def test_other_recipes_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "recipe.json").write_text(text)
    with pytest.raises(ForestayError, match=message):
        read_recipe(tmp_path / "recipe.json")


@pytest.mark.parametrize(
    ("interval", "word"),
    [((0.01, 0.002, 0.02), "better than"), ((0.0, -0.01, 0.01), "level"), ((-0.01, -0.02, -0.001), "worse than")],
)
def test_the_card_claims_what_the_interval_allows(interval: tuple[float, float, float], word: str) -> None:
    assert word in _verdict(interval)


def test_a_test_that_is_too_small_for_intervals_is_no_end_of_the_run() -> None:
    """The card is written after everything else."""
    none = (None, None, None)
    figures = dict.fromkeys(_HEADINGS, (0.5, None, None)) | {"calibration_slope": none}
    assert "| 0.500 [-, -] |" in _table({"recency": figures})
    assert _table({"recency": figures}).endswith("| - |")
    assert "too small" in _verdict(none)
    assert "AUC +0.0100 [-, -], log-loss - [-, -]" in _difference("x", {"auc": (0.01, None, None), "log_loss": none})


def test_on_a_gpu_the_same_seed_can_be_the_same_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch refuses deterministic products there unless cuBLAS is told its workspace."""
    environment: dict[str, str] = {}
    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert _device("cpu") == "cpu"
    assert not environment
    assert _device("auto") == "cuda"
    assert environment == {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}


def git(place: Path, *args: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", place, *who, *args], check=True, capture_output=True)


def test_the_commit_is_that_of_the_code_and_says_if_it_was_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = tmp_path / "site-packages" / "run.py"
    code.parent.mkdir()
    code.write_text("1\n")
    monkeypatch.setattr(running, "__file__", str(code))
    assert running._commit() is None
    (tmp_path / "of_the_shop.py").write_text("1\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "of_the_shop.py")
    git(tmp_path, "commit", "--quiet", "-m", "theirs")
    assert running._commit() is None
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "ours")
    assert re.fullmatch("[0-9a-f]{12}", running._commit() or "")
    code.write_text("2\n")
    assert re.fullmatch("[0-9a-f]{12}-dirty", running._commit() or "")
