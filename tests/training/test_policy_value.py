"""`forestay policy fit-value`: beside a process whose value is known exactly, and a policy that earns more by it."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec import structs
from support import known_process as process
from support.decision_logs import FUNCTION, write_lines
from typer.testing import CliRunner, Result

from forestay.cli.main import app
from forestay.core.errors import ForestayError
from forestay.core.policy.signals import signals
from forestay.core.policy.value_to_go import ValueToGo
from forestay_training.offpolicy.own_log import own_log
from forestay_training.offpolicy.records import Records, read_records
from forestay_training.policy.transitions import Transitions, transitions
from forestay_training.policy.value_fitting import Way, fit_value

pytestmark = pytest.mark.training

EXACT = Way(discount=process.WEEKLY, prior_decisions=1.0, doubt=0.0)
#: What 7,000 steps tell a contrast of up to 25 by, whose next values differ by 100 (currency).
CLOSE = 3.0


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lines(tmp_path_factory.mktemp("log") / "log.jsonl", *process.lived(1_500, 9))


@pytest.fixture(scope="module")
def records(log: Path) -> Records:
    return read_records([log])


@pytest.fixture(scope="module")
def steps(records: Records) -> Transitions:
    return transitions(own_log(records), records, process.LOGGING, None)


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, args)])


def advised(value: ValueToGo, **more: Any) -> Any:
    return process.shop(value_to_go={"file": value.model_dump(mode="json"), **more})


def test_what_is_learned_is_what_value_iteration_finds(steps: Transitions) -> None:
    fitted = fit_value(steps, FUNCTION, process.LOGGING, EXACT)
    for state in process.STATES:
        seen = signals(process.at(state), process.RISK, process.LOGGING)
        for action in ("discount", "care"):
            assert fitted.value.of(action, seen) == pytest.approx(process.added(state, action), abs=CLOSE)


def test_a_policy_so_advised_earns_what_the_short_sighted_one_loses(steps: Transitions) -> None:
    """By exact values: advice changes both choices, and is right in both."""
    value = fit_value(steps, FUNCTION, process.LOGGING, EXACT._replace(doubt=2.0)).value
    short, far = process.shop(), advised(value, cap=100)
    assert [process.choice(short, state) for state in process.STATES] == [None, "discount"]
    assert [process.choice(far, state) for state in process.STATES] == ["care", None]
    best = process.solved()
    earned = process.solved(lambda state: process.choice(far, state))
    lost = process.solved(lambda state: process.choice(short, state))
    assert all(earned[state] == pytest.approx(best[state]) for state in process.STATES)
    assert all(earned[state] > lost[state] + 1 for state in process.STATES)
    # Within half of its immediate value no offer changes its sign: advice is less than a say.
    assert [process.choice(advised(value), state) for state in process.STATES] == [None, "discount"]


def test_steps_are_those_of_a_plain_look_at_each_user(steps: Transitions, records: Records) -> None:
    """The oracle walks each user's decisions: 28 days apart here, followed if 56 days of log come after."""
    by_user: dict[str, list[Any]] = {}
    for one in sorted(records.decisions.values(), key=lambda one: one.decided_at):
        by_user.setdefault(one.user_id, []).append(one)
    assert max(len(lived) for lived in by_user.values()) == 9
    followed = sum(min(len(lived), 7) for lived in by_user.values())
    ended = sum(len(lived) <= 7 for lived in by_user.values())
    assert (len(steps.reward), int(steps.left.sum())) == (followed, ended)
    assert steps.unfollowed == len(records.decisions) - followed
    assert set(steps.weeks[~steps.left].tolist()) == {4.0}


def test_what_was_earned_within_the_horizon_is_not_counted_again(records: Records) -> None:
    """A decision in the midst of another's horizon is not what that one leads to."""
    first = min(records.decisions.values(), key=lambda one: (one.decided_at, one.decision_id))
    lived = sorted(
        (one for one in records.decisions.values() if one.user_id == first.user_id), key=lambda one: one.decided_at
    )
    between = structs.replace(
        lived[1], decision_id="between", decided_at=first.decided_at + (lived[1].decided_at - first.decided_at) / 2
    )
    more = records._replace(decisions={**records.decisions, "between": between})
    plain = transitions(own_log(records), records, process.LOGGING, None)
    again = transitions(own_log(more), more, process.LOGGING, None)
    assert (plain.following == again.following).all()


def test_an_offer_hardly_made_has_no_head(records: Records, steps: Transitions) -> None:
    rare = steps.chosen.copy()
    care = (rare == 1).nonzero()[0]
    rare[care[40:]] = -1
    fitted = fit_value(steps._replace(chosen=rare), FUNCTION, process.LOGGING, EXACT)
    assert set(fitted.value.heads) == {"discount"}
    with pytest.raises(ForestayError, match="no offer was made by 50"):
        fit_value(steps._replace(chosen=rare * 0 - 1), FUNCTION, process.LOGGING, EXACT)
    with pytest.raises(ForestayError, match="did nothing in the smaller half"):
        fit_value(steps._replace(chosen=rare * 0), FUNCTION, process.LOGGING, EXACT)
    short = records._replace(
        decisions={key: one for key, one in records.decisions.items() if one.decided_at.month == 1}
    )
    with pytest.raises(ForestayError, match="no decision is followed by 56 days"):
        transitions(own_log(short), short, process.LOGGING, None)


def test_values_that_run_away_are_an_error(steps: Transitions) -> None:
    with pytest.raises(ForestayError, match="do not settle"):
        fit_value(steps._replace(following=steps.following * 3), FUNCTION, process.LOGGING, EXACT)


def test_the_command_writes_what_a_catalogue_takes_the_same_bytes_each_time(log: Path, tmp_path: Path) -> None:
    shop = tmp_path / "shop.yaml"
    shop.write_text(yaml.safe_dump(process.shop().model_dump(mode="json")))
    told = [
        run("policy", "fit-value", "--log", log, "--catalogue", shop, "--out", tmp_path / name, *flags)
        for name, flags in (("one.json", ["--json"]), ("two.json", []))
    ]
    assert [result.exit_code for result in told] == [0, 0], told[0].output + told[1].output
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    found = json.loads(told[0].stdout)
    assert (found["horizon_days"], found["counted_twice"]) == (28.0, True)
    assert found["offers"]["care"]["mean_advice"] > 5
    assert found["offers"]["discount"]["mean_advice"] < -2
    assert "counts twice" in told[1].stdout
    content = process.shop().model_dump(mode="json")
    content["policy"]["value_to_go"] = {"file": "one.json", "cap": 100}
    shop.write_text(yaml.safe_dump(content))
    judged = run("ope", "--log", log, "--policy", shop, "--draws", "100", "--json")
    assert judged.exit_code == 0, judged.output
    # What is good in the long run costs now, and that is what is judged here.
    short = run("ope", "--log", log, "--policy", _plain(tmp_path), "--draws", "100", "--json")
    values = [json.loads(one.stdout)["estimates"]["dr"]["value"] for one in (judged, short)]
    assert values[0] < values[1]


def _plain(folder: Path) -> Path:
    path = folder / "plain.yaml"
    path.write_text(yaml.safe_dump(process.shop().model_dump(mode="json")))
    return path


def test_help_teaches() -> None:
    assert "forestay ope" in run("policy", "fit-value", "--help").output
