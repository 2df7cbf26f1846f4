"""`forestay model` without a Triton: what it says, to people and to machines, and with which exit code."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.churn_model import NAME, lay_candidate, lay_first_version
from typer.testing import CliRunner, Result

from forestay.cli.main import app
from forestay.embedded.ports import free_ports

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return lay_first_version(tmp_path / "repository").parent


def model(repository: Path, *args: str) -> Result:
    reload = () if args[0] in ("list", "check") else ("--no-reload",)
    return RUNNER.invoke(app, ["model", *args, "--repository", str(repository), *reload])


def told(done: Result) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def test_a_candidates_way_through_the_commands(repository: Path, tmp_path: Path) -> None:
    version = lay_candidate(tmp_path / "new", 4)
    assert model(repository, "check", str(tmp_path / "new")).exit_code == 0
    assert "version 2 scores along" in model(repository, "shadow", str(tmp_path / "new")).stdout
    assert "version 2 answers 10.0% of the users" in model(repository, "canary", "2", "--share", "0.1").stdout
    listed = told(model(repository, "list", "--json"))
    assert [(one["version"], one["state"]) for one in listed["versions"]] == [
        (1, "current"),
        (2, "canary, 10.0% of users"),
    ]
    assert listed["versions"][1]["model_version"] == version
    assert listed["versions"][1]["figures"]["auc"] == 0.8
    promoted = told(model(repository, "promote", "2", "--json"))
    assert promoted["done"]
    assert promoted["rollout"]["current"] == 2
    assert "version 1 answers again" in model(repository, "rollback").stdout
    assert "current" in model(repository, "list").stdout


def test_a_refusal_is_told_gate_by_gate_and_exits_with_1(repository: Path, tmp_path: Path) -> None:
    lay_candidate(tmp_path / "bad", 4, told={"onnx_parity": 0.5})
    for args in (("check", str(tmp_path / "bad")), ("promote", str(tmp_path / "bad"))):
        done = model(repository, *args)
        assert done.exit_code == 1
        assert "✗  parity" in done.stdout
        assert "0.5 away from PyTorch" in done.stdout
        assert "✓  input" in done.stdout
    done = model(repository, "promote", str(tmp_path / "bad"), "--json")
    assert done.exit_code == 1
    assert not told(done)["done"]
    assert model(repository, "promote", str(tmp_path / "bad"), "--force", "known").exit_code == 0
    assert "forced: known" in model(repository, "list").stdout


def test_what_is_shown_of_a_version_whose_figures_are_lost(repository: Path) -> None:
    (repository / NAME / "metrics.json").unlink()
    done = model(repository, "list")
    assert done.exit_code == 0
    assert "?" in done.stdout


def test_without_a_triton_nothing_is_changed(repository: Path, tmp_path: Path) -> None:
    lay_candidate(tmp_path / "new", 4)
    before = (repository / NAME / "config.pbtxt").read_bytes()
    url = f"127.0.0.1:{free_ports(1)[0]}"
    done = RUNNER.invoke(
        app, ["model", "promote", str(tmp_path / "new"), "--repository", str(repository), "--triton-url", url]
    )
    assert done.exit_code == 1
    assert "--no-reload" in done.stderr
    assert (repository / NAME / "config.pbtxt").read_bytes() == before


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("check", "nowhere"), 1, "no folder"),
        (("promote", "9"), 1, "no version 9"),
        (("rollback",), 1, "nothing to go back to"),
        (("canary", "1", "--share", "1.5"), 2, "share"),
        (("promote", "1", "--force", " "), 2, "say why"),
    ],
)
def test_what_cannot_be_done_is_told(repository: Path, args: tuple[str, ...], code: int, words: str) -> None:
    done = model(repository, *args)
    assert done.exit_code == code
    assert words in done.stderr
