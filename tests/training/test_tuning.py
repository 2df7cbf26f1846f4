"""The search fits, times and judges; it never sees a test row, and goes on where it was left."""

import json
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
from typer.testing import CliRunner

from forestay.cli.main import app
from forestay.core.errors import ForestayError
from forestay.core.units import DAY
from forestay_training import tuning
from forestay_training.choosing import before_tests
from forestay_training.evaluation.baselines import Trees
from forestay_training.fitting import DivergedError, Recipe
from forestay_training.recipes import read_recipe
from forestay_training.training_set import TrainingSet
from forestay_training.tuning import WEIGHT, Search, tune

pytestmark = pytest.mark.training

HORIZON = 14 * DAY
SEARCH = Search(HORIZON, trials=2, sampler="random", epochs=1)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One setting of trees, and a made-up clock: width costs."""
    monkeypatch.setattr(tuning, "tuned_trees", lambda _train: (Trees(4, 100, 0.5, 50), 0.0))
    monkeypatch.setattr(tuning, "milliseconds_a_user", lambda network, _sample: network.shape.width / 100)


def nothing(_text: str) -> None:
    pass


def test_log_loss_and_time_make_the_objective_and_the_first_trial_is_todays(rows: TrainingSet) -> None:
    found = tune(rows, SEARCH, nothing)
    first, second = found.trials
    assert first.recipe["width"] == Recipe().shape.width
    assert first.recipe["peak_rate"] == Recipe().peak_rate
    for tried in (first, second):
        assert tried.milliseconds == tried.recipe["width"] / 100
        assert tried.log_loss is not None
        assert tried.milliseconds is not None
        assert tried.objective == pytest.approx(tried.log_loss + WEIGHT * tried.milliseconds)
    assert found.best == min(found.trials, key=lambda one: one.objective or 9)
    assert found.recipe.shape.width == found.best.recipe["width"]
    assert found.recipe.epochs == 1


def test_rows_of_the_test_are_not_looked_at(rows: TrainingSet) -> None:
    test = rows.splits == "test"
    assert test.any()
    left = rows.left.copy()
    left[test] = 1 - left[test]
    other = replace(rows, left=left)
    for one, another in zip(before_tests(rows, HORIZON), before_tests(other, HORIZON), strict=True):
        np.testing.assert_array_equal(one.churned, another.churned)
    assert not (before_tests(rows, HORIZON).train.set.splits == "test").any()
    assert len(before_tests(rows, HORIZON).test) == 0


def test_a_search_is_gone_on_with_if_that_is_asked_for(rows: TrainingSet, tmp_path: Path) -> None:
    kept = replace(SEARCH, storage=f"sqlite:///{tmp_path / 'tune.db'}", trials=1)
    tune(rows, kept, nothing)
    with pytest.raises(ForestayError, match="--resume goes on with them"):
        tune(rows, kept, nothing)
    told: list[int] = []
    found = tune(rows, replace(kept, trials=2, resume=True), nothing, lambda tried: told.append(tried.number))
    assert told == [1]
    assert [tried.number for tried in found.trials] == [0, 1]


@pytest.mark.parametrize("alive", [True, False])
def test_only_trials_whose_process_lives_no_more_are_given_up(rows: TrainingSet, tmp_path: Path, alive: bool) -> None:
    """Another process searches along in the same database, or was killed in the middle of a trial."""
    address = f"sqlite:///{tmp_path / 'tune.db'}"
    kept = replace(SEARCH, storage=address, trials=1)
    study = tune(rows, kept, nothing).study
    other = optuna.load_study(storage=address, study_name=study.study_name).ask()
    heard = datetime.now(UTC) - timedelta(seconds=0 if alive else 3 * tuning.HEARTBEAT)
    with sqlite3.connect(tmp_path / "tune.db") as database:
        row = (other._trial_id, f"{heard:%Y-%m-%d %H:%M:%S}")
        database.execute("INSERT INTO trial_heartbeats (trial_id, heartbeat) VALUES (?, ?)", row)
    found = tune(rows, replace(kept, trials=2, resume=True), nothing)
    running = optuna.trial.TrialState.RUNNING if alive else optuna.trial.TrialState.FAIL
    assert found.study.trials[other.number].state is running
    assert len(found.trials) == 2


def test_what_cannot_be_stored_is_told(rows: TrainingSet) -> None:
    with pytest.raises(ForestayError, match="name it"):
        tune(rows, replace(SEARCH, resume=True), nothing)
    with pytest.raises(ForestayError, match=r"try sqlite:///tune\.db"):
        tune(rows, replace(SEARCH, storage="nowhere"), nothing)
    with pytest.raises(ForestayError, match="nonsense://host/db cannot be used") as refused:
        tune(rows, replace(SEARCH, storage="nonsense://me:secret@host/db"), nothing)
    assert "secret" not in str(refused.value)


def test_the_grid_is_tried_without_repeats(rows: TrainingSet) -> None:
    found = tune(rows, replace(SEARCH, sampler="grid"), nothing)
    assert found.trials[0].recipe != found.trials[1].recipe
    assert all(tried.recipe["width"] in {64, 96, 128} for tried in found.trials)


def test_the_command_writes_a_recipe_that_can_be_trained_with(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "recipe.json"
    flags = ("--trials", "1", "--epochs", "1", "--no-track", "--json", "--plot", str(tmp_path / "page.html"))
    told = CliRunner().invoke(app, ["tune", str(folder), "--out", str(out), *flags])
    assert told.exit_code == 0, told.stderr
    best = json.loads(told.stdout)["best"]
    assert read_recipe(out).shape.width == best["recipe"]["width"]
    assert "plotly" in (tmp_path / "page.html").read_text()


def test_a_recipe_that_cannot_be_fitted_is_no_end_of_the_search(
    rows: TrainingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = iter([DivergedError("astray"), SimpleNamespace(history=(0.5,))])

    def fit(*_args: Any, **_more: Any) -> Any:
        outcome = next(outcomes)
        if isinstance(outcome, DivergedError):
            raise outcome
        return outcome

    monkeypatch.setattr(tuning, "fit", fit)
    found = tune(rows, replace(SEARCH, trials=2), nothing)
    assert [tried.state for tried in found.trials] == ["pruned", "complete"]
    assert found.best.number == 1
