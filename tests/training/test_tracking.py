"""Runs are kept with MLflow where it is installed, and nothing fails where it is not."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from forestay.cli.main import app
from forestay.core.errors import ForestayError
from forestay_training import tracking
from forestay_training.addresses import without_secrets
from forestay_training.tracking import Run, flat, tracked
from forestay_training.training_set import TrainingSet

pytestmark = pytest.mark.training

ASKED = {"seed": 7, "recipe": {"batch": 512, "shape": {"width": 64}}}


def test_parameters_are_named_by_their_path() -> None:
    assert flat(ASKED) == {"seed": "7", "recipe.batch": "512", "recipe.shape.width": "64"}


def test_without_mlflow_one_line_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda _name: None)
    said: list[str] = []
    with tracked("train", ASKED, said.append) as run:
        run.measured("loss", 1, 0.5)
        run.keep(tmp_path)
    assert type(run) is Run
    assert len(said) == 1
    assert "pip install mlflow-skinny" in said[0]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://me:secret@host/x", "https://host/x"),
        ("https://me:se@cr@et@host/x", "https://host/x"),
        ("postgresql://host/db?user=me&password=secret&x=1", "postgresql://host/db?user=me&password=...&x=1"),
        ("sqlite:////tmp/runs.db", "sqlite:////tmp/runs.db"),
    ],
)
def test_no_password_is_told(address: str, shown: str) -> None:
    assert without_secrets(f"asked {address} twice: '{address}'") == f"asked {shown} twice: '{shown}'"


MLFLOW = pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="mlflow-skinny is not installed")


@MLFLOW
def test_a_server_that_does_not_answer_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's own words hold the whole address."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with (
        pytest.raises(ForestayError, match=r"http://127\.0\.0\.1:9 keeps no run") as refused,
        tracked("x", {}, print),
    ):
        pass
    assert "secret" not in str(refused.value)


@MLFLOW
def test_what_is_fitted_goes_on_where_mlflow_ends_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowException  # noqa: PLC0415 - it need not be installed

    def gone(*_args: object, **_more: object) -> None:
        raise MlflowException("API request to http://me:secret@host/api failed")

    client = SimpleNamespace(log_metric=gone, set_terminated=gone)
    monkeypatch.setattr(tracking, "_begun", lambda *_: (client, "1"))
    said: list[str] = []
    with tracked("train", ASKED, said.append) as run:
        run.measured("loss", 1, 0.5)
        run.measured("loss", 2, 0.4)
    (lost,) = said
    assert "keeps no more of this run" in lost
    assert "http://host/api" in lost
    assert "secret" not in lost


@MLFLOW
def test_a_run_has_what_was_asked_its_figures_by_step_its_files_and_its_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "out").mkdir()
    for name in ("metrics.json", ".env", "customers.csv"):
        (tmp_path / "out" / name).write_text("{}")
    said: list[str] = []
    with tracked("train", ASKED, said.append) as run:
        for step, value in enumerate((0.6, 0.5, float("nan")), start=1):
            run.measured("loss", step, value)
        run.keep(tmp_path / "out")
    with pytest.raises(KeyError), tracked("train", {}, said.append):
        raise KeyError
    client: Any = run._client  # type: ignore[attr-defined]
    told = client.get_run(run._run)  # type: ignore[attr-defined]
    assert told.data.params["recipe.shape.width"] == "64"
    assert [(one.step, one.value) for one in client.get_metric_history(told.info.run_id, "loss")] == [
        (1, 0.6),
        (2, 0.5),
    ]
    assert [file.path for file in client.list_artifacts(told.info.run_id)] == ["metrics.json"]
    assert (tmp_path / ".forestay" / "mlruns" / "runs.db").exists()
    ends = {one.info.run_id: one.info.status for one in client.search_runs([told.info.experiment_id])}
    assert ends.pop(told.info.run_id) == "FINISHED"
    assert list(ends.values()) == ["FAILED"]


@MLFLOW
def test_training_that_is_refused_leaves_no_run_behind(
    folder: Path, rows: TrainingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The set has nothing to judge by, which can be told before anything is begun."""
    untested = replace(rows, splits=np.full(len(rows), "train"))
    monkeypatch.setattr(TrainingSet, "load", lambda _folder: untested)
    monkeypatch.setattr(tracking, "_begun", lambda *_asked: pytest.fail("a run was begun"))
    told = CliRunner().invoke(app, ["train", str(folder), "--out", str(tmp_path / "out")])
    assert (told.exit_code, "no rows to test on" in told.stderr) == (1, True)
