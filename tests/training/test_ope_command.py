"""`forestay ope` on logs of our own: decisions as the core makes them, outcomes with known effects."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support.builders import catalogue, offer
from support.decision_logs import FUNCTION, SHOP, decisions, outcomes, write_lines
from typer.testing import CliRunner, Result

from forestay.cli.main import app
from forestay.core.decision.catalogue import Catalogue
from forestay.recording import RecordedMessage, RecordingMetadata, write_recording
from forestay_training.offpolicy.catalogue_policy import reweigh
from forestay_training.offpolicy.own_log import NOTHING, own_log
from forestay_training.offpolicy.records import read_records

pytestmark = pytest.mark.training

#: The large offer earns, the small one costs; nothing earns nothing.
EFFECTS = {None: 0.0, "small": -1.0, "large": 2.0}
#: Would always take the large offer where it is worth its cost.
LARGE = catalogue(offer("large", effect=0.4, cost={"fixed": 9.0}), policy={"exploration": 0.05, "margin": 0.3})


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = decisions(400)
    return write_lines(tmp_path_factory.mktemp("log") / "log.jsonl", made, outcomes(made, EFFECTS))


def ope(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["ope", "--draws", "200", *map(str, args)])


def found(result: Result) -> dict[str, Any]:
    judged: dict[str, Any] = json.loads(result.stdout)
    return judged


def shop(path: Path, content: Catalogue) -> Path:
    path.write_text(yaml.safe_dump(content.model_dump(mode="json")))
    return path


def test_help_teaches() -> None:
    result = CliRunner().invoke(app, ["ope", "--help"])
    assert result.exit_code == 0
    for word in ("CANDIDATE", "open-bandit", "--at-least", "Examples", "docs/ope.md", "effective sample"):
        assert word in result.output


def test_a_better_catalogue_is_found_and_passes_the_gate(log: Path, tmp_path: Path) -> None:
    result = ope("--log", log, "--policy", shop(tmp_path / "large.yaml", LARGE), "--at-least", "logged", "--json")
    assert result.exit_code == 0, result.output
    judged = found(result)
    assert judged["verdict"] == {
        "by": "dr", "at_least": "logged", "ranked": True, "said": "better", "reasons": [], "passed": True,
    }  # fmt: skip
    assert judged["reward_function"] == FUNCTION
    assert judged["left_out"]["no_choice"] > 0
    assert judged["same_policy"]["passed"]


def test_the_truth_lies_in_the_intervals(log: Path, tmp_path: Path) -> None:
    """What the policy would have earned is known here: the effects were made, and its choices can be counted."""
    own = own_log(read_records([log]))
    judged = found(ope("--log", log, "--policy", shop(tmp_path / "large.yaml", LARGE), "--json"))
    wider, target = reweigh(own.log, own.decisions, LARGE)
    spend = np.array([one.features["spend_180d"] / 100 for one in own.decisions])
    earned = np.array([EFFECTS[None if name == NOTHING else name] for name in wider.actions])
    truth = float((target @ earned * spend).mean())
    for name in ("ips", "dr"):
        low, high = judged["estimates"][name]["interval"]
        assert low < truth < high, name


def test_a_worse_policy_is_worse_and_passes_no_gate(log: Path) -> None:
    result = ope("--log", log, "--policy", "nothing", "--at-least", "logged", "--json")
    assert result.exit_code == 1
    assert found(result)["verdict"]["said"] == "worse"


def test_the_same_catalogue_has_the_logged_propensities(tmp_path: Path) -> None:
    made = decisions(60)
    came = outcomes(made, EFFECTS)
    own = own_log(read_records([write_lines(tmp_path / "log.jsonl", made, came)]))
    wider, target = reweigh(own.log, own.decisions, SHOP)
    assert wider.actions == own.log.actions
    assert own.log.logging is not None
    assert np.array_equal(target, own.log.logging)


def test_an_offer_the_log_never_had_is_a_gap_and_nothing_is_ranked(log: Path, tmp_path: Path) -> None:
    new = catalogue(offer("brand-new", effect=0.9), *({**offer("large", effect=0.4), "cost": {"fixed": 9.0}},))
    result = ope("--log", log, "--policy", shop(tmp_path / "new.yaml", new), "--json")
    assert result.exit_code == 1
    judged = found(result)
    assert judged["support"]["gap"] > 0.9
    assert set(judged["support"]["untried"]) == {"brand-new"}
    assert not judged["verdict"]["ranked"]
    assert "brand-new" in judged["verdict"]["reasons"][0]


def test_a_new_offer_is_no_gap_where_the_record_forbids_it(log: Path) -> None:
    """The users have three orders, and the offer asks for four."""
    rare = {**offer("rare", effect=0.9), "eligibility": {"min_orders": 4}}
    own = own_log(read_records([log]))
    wider, _target = reweigh(own.log, own.decisions, catalogue(rare))
    assert "rare" not in wider.actions


def test_a_recording_says_the_same_as_lines(log: Path, tmp_path: Path) -> None:
    lines = log.read_bytes().splitlines()
    decided = [line for line in lines if b"matured_at" not in line]
    came = [line for line in lines if b"matured_at" in line]
    for name, values in (("decisions", decided), ("outcomes", came)):
        messages = [
            RecordedMessage(f"retention-{name}", 0, offset, offset, b"k", value, ())
            for offset, value in enumerate([b'{"event_id": "of another topic"}', *values])
        ]
        partitions = {f"retention-{name}": 1}
        metadata = RecordingMetadata(description="test", credit="us", licence="CC0-1.0", partitions=partitions)
        write_recording(tmp_path / f"{name}.parquet", messages, metadata)
    one = found(ope("--log", log, "--policy", "uniform", "--json"))
    both = ("--log", tmp_path / "decisions.parquet", "--log", tmp_path / "outcomes.parquet")
    two = found(ope(*both, "--policy", "uniform", "--json"))
    del one["log"], two["log"]
    assert one == two


def test_what_is_immature_or_repeated_is_counted(tmp_path: Path) -> None:
    made = decisions(50)
    came = outcomes(made, EFFECTS)
    stranger = {**came[0], "decision_id": "of-another-day"}
    came[20] = {**came[20], "complete": False}
    path = write_lines(tmp_path / "log.jsonl", [*made, made[0]], [*came[10:], stranger])
    left = found(ope("--log", path, "--policy", "logged", "--json"))["left_out"]
    assert left | {"no_choice": 0} == {
        "immature": 10, "forgotten": 1, "no_choice": 0, "outcomes_without_decision": 1, "repeats": 1,
    }  # fmt: skip


def test_outcomes_of_one_user_are_told_to_be_too_few(tmp_path: Path) -> None:
    """Folds are of users: there is none left to fit a model of rewards on."""
    made = decisions(12, each=6)
    user = next(one.user_id for one in made if len(one.candidates) > 1)
    path = write_lines(tmp_path / "log.jsonl", made, outcomes([one for one in made if one.user_id == user], EFFECTS))
    result = ope("--log", path, "--policy", "uniform")
    assert result.exit_code == 1
    assert "are of one user" in str(result.exception) + result.output


def test_a_person_reads_a_table_and_the_page_has_no_foreign_script(log: Path, tmp_path: Path) -> None:
    page = tmp_path / "ope.html"
    result = ope("--log", log, "--policy", "logged", "--report", page)
    assert result.exit_code == 0
    for word in ("snips", "dros", "support:", "A/A check: holds", "verdict by dr: undecided"):
        assert word in result.stdout
    text = page.read_text()
    assert "What a policy would have earned" in text
    assert '<script src="http' not in text
    # Undecided is neither good news nor bad, and a level that is uncertain is no uncertain difference.
    assert '<b class="">Verdict by dr: undecided' in text
    assert "The difference is" in text


def test_two_reward_functions_are_no_one_scale(tmp_path: Path) -> None:
    made = decisions(150)
    came = outcomes(made, EFFECTS)
    came[0] = {**came[0], "function": "other/1"}
    path = write_lines(tmp_path / "log.jsonl", made, came)
    result = ope("--log", path, "--policy", "logged")
    assert result.exit_code == 1
    assert "say --reward-function; there are net-margin/1 (299), other/1 (1)" in _words(result)
    assert ope("--log", path, "--policy", "logged", "--reward-function", FUNCTION).exit_code == 0
    unknown = ope("--log", path, "--policy", "logged", "--reward-function", "x")
    assert "--reward-function x: there are net-margin" in _words(unknown)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '{"candidates": [], "suppressed": []}',
            "line 1 is no decision: Object missing required field `decision_id`",
        ),
        ('{"decision_id": "d", "matured_at": 1}', "line 1 is no outcome of a decision"),
        ('{"event_id": "e1"}', "of 0 decisions and 0 outcomes none can be judged by"),
    ],
)
def test_what_is_no_log_is_told(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(f"{line}\n")
    result = ope("--log", path, "--policy", "logged")
    assert result.exit_code == 1
    assert message in _words(result)


def test_impossible_propensities_are_refused(tmp_path: Path) -> None:
    made = decisions(5)
    broken = [one.model_dump(mode="json") for one in made]
    for one in broken:
        for candidate in one["candidates"]:
            candidate["propensity"] = candidate["propensity"] / 2
    path = tmp_path / "log.jsonl"
    lines = [json.dumps(one) for one in [*broken, *outcomes(made, EFFECTS)]]
    path.write_text("\n".join(lines))
    assert "propensities that do not sum to 1" in _words(ope("--log", path, "--policy", "logged"))


def test_a_record_without_the_features_a_policy_reads_is_told(tmp_path: Path) -> None:
    made = decisions(5)
    bare = [json.dumps(one.model_dump(mode="json") | {"features": {"tenure_hours": 1.0}}) for one in made]
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join([*bare, *map(json.dumps, outcomes(made, EFFECTS))]))
    result = ope("--log", path, "--policy", shop(tmp_path / "large.yaml", LARGE))
    assert result.exit_code == 1
    assert "a feature it reads is not on the record, which has tenure_hours" in _words(result)


def test_wrong_flags_are_told(log: Path) -> None:
    assert "--at-least much: a value, or the word logged" in _words(
        ope("--log", log, "--policy", "logged", "--at-least", "much")
    )
    best = ope("--log", log, "--policy", "best")
    assert "by name there are logged, uniform, nothing" in _words(best)
    assert best.exit_code == 2


def _words(result: Result) -> str:
    return " ".join(result.stderr.replace("│", " ").split())
