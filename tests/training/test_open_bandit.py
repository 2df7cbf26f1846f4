"""Open Bandit's logs, the published figures, and the digits."""

import csv
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from forestay.cli.main import app
from forestay_training.offpolicy.digits import PUBLISHED, bandit, errors
from forestay_training.offpolicy.open_bandit import SIMULATIONS, priors, read, thompson

pytestmark = pytest.mark.training

#: The folder that holds `random/all/all.csv`, of the wheel obp-0.4.1; its data are not ours to copy.
PUBLISHED_LOGS = os.environ.get("FORESTAY_OPEN_BANDIT")
#: SHA-256 of how often each item came on each place, (3, 80) int64: those of which the figure 1.198126 was made.
SHOWN = "f992649ecb758be3e27d2b5a683c744cafb5dcbce65790d82ce5869a88a4530a"


def ope(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["ope", "--format", "open-bandit", "--draws", "100", "--json", *map(str, args)])


@pytest.fixture
def men(tmp_path: Path) -> Path:
    """A made-up log in the published form: 34 items, shown evenly, the first clicked."""
    generator = np.random.default_rng(1)
    path = tmp_path / "men.csv"
    features = [f"user_feature_{number}" for number in range(4)]
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["", "timestamp", "item_id", "position", "click", "propensity_score", *features])
        for number in range(900):
            item = int(generator.integers(34))
            rows.writerow([number, "t", item, number % 3 + 1, int(item == 0), 1 / 34, *"abcd"])
    return path


def test_thompson_sampling_is_the_published_one_to_the_last_choice() -> None:
    shown = np.rint(thompson("all") * SIMULATIONS).astype(np.int64)
    assert shown.sum(axis=1).tolist() == [SIMULATIONS] * 3
    assert hashlib.sha256(shown.tobytes()).hexdigest() == SHOWN


def test_there_is_a_prior_for_every_item() -> None:
    assert {name: (len(one["alpha"]), len(one["beta"])) for name, one in priors().items()} == {
        "all": (80, 80), "men": (34, 34), "women": (46, 46),
    }  # fmt: skip


@pytest.mark.skipif(PUBLISHED_LOGS is None, reason="FORESTAY_OPEN_BANDIT names no folder of Open Bandit's logs")
@pytest.mark.parametrize(("campaign", "relative"), [("all", "1.198126"), ("men", "0.985557")])
def test_the_published_relative_value_comes_out(campaign: str, relative: str) -> None:
    result = ope("--log", Path(PUBLISHED_LOGS or "") / "random" / campaign, "--policy", "bts")
    assert result.exit_code == 0, result.output
    assert f"{json.loads(result.stdout)['estimates']['ips']['relative']:.6f}" == relative


def test_ips_of_a_log_is_the_sum_over_its_clicks(men: Path) -> None:
    read_log = read(men)
    judged = json.loads(ope("--log", men.parent, "--policy", "bts").stdout)
    shown = thompson("men")
    clicks = [shown[place, 0] * 34 for place in read_log.place[read_log.log.reward == 1]]
    assert judged["estimates"]["ips"]["value"] == pytest.approx(sum(clicks) / 900)
    assert judged["actions"] == 34
    assert judged["same_policy"]["passed"]


def test_the_log_of_a_policy_whose_other_probabilities_are_unknown_has_no_check(men: Path) -> None:
    rows = men.read_text().splitlines()
    men.write_text("\n".join([rows[0], *(row.replace(str(1 / 34), "0.5") for row in rows[1:])]))
    result = ope("--log", men, "--policy", "random")
    judged = json.loads(result.stdout)
    assert judged["same_policy"] is None
    assert judged["support"]["mean_weight"] == pytest.approx(2 / 34)
    told = ope("--log", men, "--policy", "logged")
    assert told.exit_code == 1
    assert "the probability of the item shown only" in told.stderr


@pytest.mark.parametrize(
    ("was", "becomes", "message"),
    [
        ("propensity_score", "probability", "has no column propensity_score"),
        (",a,b,c,d", "", "a row is cut off"),
        (",1,", ",7,", "where 0 to 3 is expected"),
        (str(1 / 34), "0.0", "a probability above 0"),
    ],
)
def test_what_is_no_such_log_is_told(men: Path, was: str, becomes: str, message: str) -> None:
    men.write_text(men.read_text().replace(was, becomes))
    result = ope("--log", men, "--policy", "bts")
    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())


def test_other_names_and_policies_are_told(men: Path) -> None:
    unknown = ope("--log", men, "--policy", "uniform")
    assert "policies for Open Bandit are random and bts" in unknown.stderr
    assert unknown.exit_code == 2
    other = men.rename(men.with_name("log.csv"))
    assert "is called all.csv, men.csv, women.csv" in " ".join(ope("--log", other, "--policy", "bts").stderr.split())
    assert "name one --log" in ope("--log", other, "--log", other, "--policy", "bts").stderr


def test_the_digits_are_valued_as_published() -> None:
    """Two runs of thirty: within three deviations of the published mean; docs/ope.md has the whole table."""
    found = [errors(bandit(seed)) for seed in (0, 1)]
    for name, (mean, spread) in PUBLISHED.items():
        ours = float(np.mean([one[name] for one in found]))
        assert abs(ours - mean) < 3 * spread / np.sqrt(2), name
