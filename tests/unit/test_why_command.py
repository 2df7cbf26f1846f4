"""`forestay why`: from files and from topics, for a decision and for a user."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.decision_logs import SHOP, decisions, outcomes, write_lines
from typer.testing import CliRunner, Result

from forestay.cli.main import app
from forestay.cli.tailing import Tail
from forestay.core.record import SourceRecord
from forestay.recording import RecordedMessage, RecordingMetadata, write_recording

MADE = decisions(12)
CAME = outcomes(MADE[:-1], {None: 0.0, "small": 1.0, "large": 2.0})
ACTED = next(one for one in MADE if one.offer_id is not None)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "catalogue.yaml"
    path.write_text(yaml.safe_dump(SHOP.model_dump(mode="json")))
    return path


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lines(tmp_path_factory.mktemp("log") / "log.jsonl", MADE, CAME)


def why(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["why", *map(str, args)])


def test_help_teaches() -> None:
    result = why("--help")
    assert result.exit_code == 0
    for word in ("DECISION", "--user", "--log", "--catalogue", "Examples", "docs/why.md"):
        assert word in result.output


def test_a_decision_is_explained_with_its_outcome(log: Path, shop: Path) -> None:
    result = why(ACTED.decision_id, "--log", log, "--catalogue", shop, "--json")
    assert result.exit_code == 0, result.output
    [found] = json.loads(result.stdout)["decisions"]
    assert found["chosen"]["offer_id"] == ACTED.offer_id
    assert found["outcome"]["decision_id"] == ACTED.decision_id
    assert found["otherwise"]["known"]
    assert {one["thing"] for one in found["otherwise"]["changes"]} >= {"draw"}


def test_a_users_newest_are_explained_oldest_first(log: Path, shop: Path) -> None:
    given = "--user", ACTED.user_id, "--log", log, "--catalogue", shop
    [newest] = json.loads(why(*given, "--json").stdout)["decisions"]
    both = json.loads(why(*given, "--last", "9", "--json").stdout)["decisions"]
    assert [one["user_id"] for one in both] == [ACTED.user_id] * 2
    assert both[0]["decided_at"] < both[1]["decided_at"]
    assert both[1] == newest


def test_another_catalogue_is_no_reason_to_be_silent(log: Path) -> None:
    result = why(ACTED.decision_id, "--log", log)
    assert result.exit_code == 0
    assert "chosen: " in result.output
    assert "cannot be told: the catalogue is version" in result.output


def test_a_recording_is_read_like_lines(tmp_path: Path, shop: Path) -> None:
    rows = [
        RecordedMessage("retention-decisions", 0, offset, 0, one.user_id.encode(), one.model_dump_json().encode(), ())
        for offset, one in enumerate(MADE)
    ]
    metadata = RecordingMetadata(description="test", partitions={"retention-decisions": 1})
    write_recording(tmp_path / "log.parquet", rows, metadata)
    result = why(ACTED.decision_id, "--log", tmp_path / "log.parquet", "--catalogue", shop)
    assert result.exit_code == 0, result.output
    assert f"decision {ACTED.decision_id} on user {ACTED.user_id}" in result.output
    assert "came of it: not known" in result.output


def test_without_a_log_the_topics_are_read(monkeypatch: pytest.MonkeyPatch, shop: Path) -> None:
    asked: list[str] = []

    def records(tail: Tail) -> Iterator[SourceRecord]:
        topic = tail._topic
        asked.append(topic)
        values = MADE if topic == "retention-decisions" else []
        for offset, one in enumerate(values):
            yield SourceRecord(topic, 0, offset, 0, b"", one.model_dump_json().encode(), ())
        yield SourceRecord(topic, 0, 99, 0, b"", None, ())

    monkeypatch.setattr(Tail, "records", records)
    result = why(ACTED.decision_id, "--catalogue", shop, "--json")
    assert result.exit_code == 0, result.output
    assert asked == ["retention-decisions", "retention-outcomes"]
    assert json.loads(result.stdout)["decisions"][0]["decision_id"] == ACTED.decision_id


def test_fields_of_a_newer_version_are_passed_over_and_what_is_broken_is_named(tmp_path: Path) -> None:
    newer, broken = json.loads(ACTED.model_dump_json()), json.loads(ACTED.model_dump_json())
    newer |= {"of_a_newer_version": 1}
    del broken["churn"]
    for name, content, exit_code in (("newer", newer, 0), ("broken", broken, 1)):
        path = tmp_path / name
        path.write_text(json.dumps(content))
        assert why(ACTED.decision_id, "--log", path).exit_code == exit_code
    result = why(ACTED.decision_id, "--log", tmp_path / "broken")
    assert "line 1 is no decision this version can read: churn" in str(result.output) + str(result.exception)


def test_what_is_not_there_is_an_error_and_a_riddle_is_wrong_use(log: Path) -> None:
    missing = why("nobody-made-this", "--log", log)
    assert missing.exit_code == 1
    assert "there is no decision nobody-made-this" in str(missing.output) + str(missing.exception)
    assert why("--log", log).exit_code == 2
    assert why("one", "--user", "u1", "--log", log).exit_code == 2
