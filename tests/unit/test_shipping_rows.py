"""Two versions on the same test rows: worse is refused, chance is not, and rows one of them has seen are no test."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from support.builders import START, click
from support.churn_model import HORIZON_DAYS, NAME, lay_candidate
from support.training_sets import made, write_events

from forestay.core.feature_set import FEATURE_COUNT
from forestay.core.units import DAY, to_datetime
from forestay.dataset.plan import Plan
from forestay.shipping.gates.judge import judge
from forestay.shipping.gates.rows import Compared, Values, differences, no_worse_here
from forestay.shipping.gates.verdict import Outcome, Verdict

CUTOFF = START + 40 * DAY
BEFORE = {"trained_until": to_datetime(CUTOFF).isoformat()}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training set: of 90 users with one purchase to three, those of an even number come back."""
    folder = tmp_path_factory.mktemp("rows")
    clicks = []
    for user in range(90):
        for order in range(1 + user % 3):
            moment = START + (order * 9 + user % 7) * DAY
            clicks.append(click(f"{user}-{order}", f"u{user}", "purchase", moment, price=5 + user % 11, item_id="i"))
        if user % 2 == 0:
            back = CUTOFF + (1 + user % 30) * DAY
            clicks.append(click(f"{user}-back", f"u{user}", "purchase", back, price=5, item_id="i"))
    clicks.append(click("end", "u99", "purchase", CUTOFF + (HORIZON_DAYS + 1) * DAY, price=5, item_id="i"))
    events = write_events(folder / "events.jsonl", sorted(clicks, key=lambda one: one["ts"]))
    plan = Plan(cutoffs=(CUTOFF,), horizons=(HORIZON_DAYS * DAY,), observed=60 * DAY, test_from=CUTOFF, partitions=2)
    made(events, plan, folder / "set")
    return folder / "set"


def gate(tmp_path: Path, data: Path, *, candidate: int, current: int) -> Verdict:
    lay_candidate(tmp_path / "candidate", candidate, told=BEFORE)
    lay_candidate(tmp_path / "current", current, told=BEFORE)
    return no_worse_here(tmp_path / "candidate", tmp_path / "current", data)


def test_a_version_is_no_worse_than_itself(tmp_path: Path, data: Path) -> None:
    verdict = gate(tmp_path, data, candidate=3, current=3)
    assert verdict.outcome is Outcome.PASSED
    assert "90 test rows of 90 users: AUC 0.0000 [0.0000, 0.0000]" in verdict.words


def test_it_is_one_of_the_gates_when_there_are_rows(tmp_path: Path, data: Path) -> None:
    for name, seed in (("candidate", 4), ("current", 3)):
        lay_candidate(tmp_path / name, seed, told=BEFORE)
    with_rows = judge(tmp_path / "candidate", NAME, tmp_path / "current", data)
    assert "rows" in [one.gate for one in with_rows]
    assert "rows" not in [one.gate for one in judge(tmp_path / "candidate", NAME, tmp_path / "current")]


def test_rows_that_a_version_has_seen_are_no_test(tmp_path: Path, data: Path) -> None:
    lay_candidate(tmp_path / "candidate", 4, told=BEFORE)
    lay_candidate(tmp_path / "current", 3, told={"trained_until": to_datetime(CUTOFF + DAY).isoformat()})
    verdict = no_worse_here(tmp_path / "candidate", tmp_path / "current", data)
    assert verdict.outcome is Outcome.REFUSED
    assert "name a later set" in verdict.words


def test_a_set_of_another_input_or_horizon_is_refused(tmp_path: Path, data: Path) -> None:
    manifest = json.loads((data / "manifest.json").read_text())
    for change, words in (
        ({"input_digest": "0" * 32}, "another input"),
        ({"labels": {"churned_7d": {}}}, "has no churned_45d"),
        (None, "no training set"),
    ):
        other = tmp_path / words.replace(" ", "-")
        other.mkdir()
        if change is not None:
            (other / "manifest.json").write_text(json.dumps(manifest | change))
        assert words in gate(tmp_path, other, candidate=4, current=3).words


# -- the measures ------------------------------------------------------------------------------------


def compared(candidate: Values) -> Compared:
    """Returns 800 rows of which the current version knows something, and what a candidate says of them."""
    chance = np.random.default_rng(5)
    risk = chance.random(800)
    churned = (chance.random(800) < risk).astype(np.float64)
    return Compared(np.array([f"u{row % 400}" for row in range(800)]), churned, candidate, risk)


def test_what_knows_nothing_is_worse_and_what_is_a_breath_away_is_not() -> None:
    chance = np.random.default_rng(6)
    risk = compared(np.zeros(800)).current
    area, loss = differences(compared(chance.random(800)))
    assert area.high < -0.2
    assert loss.low > 0.2
    area, loss = differences(compared(np.clip(risk + chance.normal(scale=0.001, size=800), 0, 1)))
    assert area.low < 0 < area.high
    assert abs(loss.value) < 0.01


def test_the_area_is_the_share_of_pairs_in_order_with_ties_by_half() -> None:
    # Coarse, so that there are ties.
    candidate = np.round(np.random.default_rng(7).random(800), 1)
    given = compared(candidate)
    left, stayed = given.churned == 1, given.churned == 0

    def pairs(told: Values) -> float:
        above = told[left][:, None] - told[stayed][None, :]
        return float((above > 0).mean() + (above == 0).mean() / 2)

    area, _ = differences(given)
    assert area.value == pytest.approx(pairs(given.candidate) - pairs(given.current))


def test_a_user_is_drawn_with_all_rows() -> None:
    """The same rows three times over say nothing new: the interval stays as wide."""
    once = compared(np.random.default_rng(8).random(800))
    users, *told = once
    thrice = Compared(np.tile(users, 3), *(np.tile(part, 3) for part in told))
    for one, other in zip(differences(once), differences(thrice), strict=True):
        assert other == pytest.approx(one)
        assert other.high - other.low > 0.01


def test_a_version_that_answers_a_real_user_with_no_probability_is_refused(tmp_path: Path, data: Path) -> None:
    """Made-up users do not meet every user's case; nan is neither better nor worse than anything."""
    lay_candidate(tmp_path / "candidate", 4, told=BEFORE)
    lay_candidate(tmp_path / "current", 3, told=BEFORE)
    model = onnx.load(tmp_path / "candidate" / "model.onnx")
    weights = next(one for one in model.graph.initializer if one.name == "weights")
    weights.CopyFrom(onnx.numpy_helper.from_array(np.full((FEATURE_COUNT, 1), np.nan, np.float32), "weights"))
    onnx.save(model, tmp_path / "candidate" / "model.onnx")
    verdict = no_worse_here(tmp_path / "candidate", tmp_path / "current", data)
    assert verdict.outcome is Outcome.REFUSED
    assert "no probability" in verdict.words
