"""`forestay rerun --ledger`: what a person and a machine are told, and the exit code."""

import json
from pathlib import Path
from random import Random

import pytest
from support.builders import TOPIC
from support.ledger_world import TOPICS, InMemory, lived, sources
from typer.testing import CliRunner

from forestay.cli.main import app
from forestay.configuration import load_configuration
from forestay.recording import RecordingMetadata, write_recording
from forestay.settings import Settings


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> InMemory:
    """A few lives under the settings in force."""
    configuration = load_configuration(Settings())
    monkeypatch.setattr("support.simulation.DIGEST", configuration.digest)
    random = Random(3)
    return lived(sources(random, 120), configuration.rules, configuration.catalogue, random, crashes=3)


def written(memory: InMemory, path: Path) -> Path:
    rows = [row for topic in memory.topics for row in memory.rows([topic])]
    counts = dict.fromkeys(memory.topics, 1)
    write_recording(path, rows, RecordingMetadata(description="made up", partitions=counts))
    return path


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["rerun", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_the_same_is_told_and_written(memory: InMemory, tmp_path: Path) -> None:
    path, out = written(memory, tmp_path / "all.parquet"), tmp_path / "made.jsonl"
    code, said, _ = run(path, "--ledger", "--out", out)
    assert code == 0
    assert "the same to the byte: " in said
    assert out.exists()
    code, said, _ = run(path, "--ledger", "--json")
    found = json.loads(said)
    assert (code, found["same"], found["first_difference"], found["ignored"]) == (0, True, None, 0)
    assert found["records"] >= 120
    assert (found["starts"] > 1, found["untold"]) == (True, 0)


def test_events_beyond_the_ledger_are_not_said_to_be_the_same(memory: InMemory, tmp_path: Path) -> None:
    ledger = memory.logs[TOPICS.ledger]
    commits = [at for at, row in enumerate(ledger) if json.loads(row.value or b"")["kind"] == "commit"]
    cut = commits[len(commits) // 2] + 1
    told = json.loads(ledger[cut - 1].value or b"")["positions"][TOPIC]
    memory.logs[TOPICS.ledger] = ledger[:cut]
    untold = memory.logs[TOPIC][-1].offset + 1 - told
    path = written(memory, tmp_path / "cut.parquet")
    code, said, _ = run(path, "--ledger", "--json")
    assert (code, json.loads(said)["same"], json.loads(said)["untold"]) == (0, True, untold)
    assert untold > 0
    assert f"not compared: {untold} offsets of the clickstream" in run(path, "--ledger")[1]


def test_a_difference_is_told_by_field_with_exit_code_1(memory: InMemory, tmp_path: Path) -> None:
    path = written(memory, tmp_path / "all.parquet")
    code, said, _ = run(path, "--ledger", "--set", "engine.score_interval_minutes=90000")
    assert code == 1
    assert "first difference in partition 0, the batch at " in said
    assert "the settings are others (digest " in said
    value = json.loads(memory.logs[TOPICS.decisions][0].value or b"") | {"holdout": True}
    memory.logs[TOPICS.decisions][0] = memory.logs[TOPICS.decisions][0]._replace(value=json.dumps(value).encode())
    code, said, _ = run(written(memory, tmp_path / "altered.jsonl"), "--ledger", "--json")
    first = json.loads(said)["first_difference"]
    assert (code, first["record"]) == (1, value["decision_id"])
    assert json.loads(said)["untold"] is None
    assert first["fields"] == [{"path": "holdout", "before": "true", "after": "false"}]
    assert first["place"]["topic"] == value["trigger"]["topic"]


def test_what_is_needed_is_named(memory: InMemory, tmp_path: Path) -> None:
    del memory.logs[TOPICS.ledger]
    code, _, error = run(written(memory, tmp_path / "without.jsonl"), "--ledger")
    assert code == 1
    assert "the recordings hold no forestay-ledger" in error
    assert run(tmp_path / "without.jsonl", "--ledger", "--quiet-days", 3)[0] == 2
    assert run(tmp_path / "without.jsonl", "--ledger", "--tolerance", 0.1)[0] == 2
    assert run(tmp_path / "without.jsonl", "--ledger", "--scores", "none")[0] == 2


def test_where_nothing_can_be_written_is_said_before_the_work(memory: InMemory, tmp_path: Path) -> None:
    path = written(memory, tmp_path / "all.jsonl")
    for ledger in ([], ["--ledger"]):
        assert run(path, *ledger, "--out", tmp_path / "made.csv")[0] == 2
        code, _, error = run(path, *ledger, "--out", tmp_path / "none" / "made.jsonl")
        assert (code, f"there is no folder {tmp_path / 'none'}" in error) == (1, True)


def test_a_ledger_without_its_events_says_which_are_missing(memory: InMemory, tmp_path: Path) -> None:
    rest = written(memory, tmp_path / "all.jsonl")
    memory.logs = {TOPIC: memory.logs.pop(TOPIC)[:10]} | memory.logs
    code, said, _ = run(written(memory, tmp_path / "cut.jsonl"), "--ledger")
    assert code == 1
    assert "the recordings hold no clickstream-0 from offset 10" in said
    assert run(rest, "--ledger")[0] == 0
