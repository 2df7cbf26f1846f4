"""`forestay experiment assign`: a user's arms and why, from ids and salts alone."""

import json
from pathlib import Path

import pytest
from support.experiment_logs import experiment, write_catalogue
from typer.testing import CliRunner

from forestay.cli.main import app
from forestay.core.experiments.assignment import arm_of, bucket
from forestay.core.experiments.settings import Experiment


def told(*args: str | Path) -> str:
    done = CliRunner().invoke(app, ["experiment", "assign", *map(str, args)])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("user", ["u1", "u2", "u3", "u4"])
def test_it_says_what_a_worker_would_do(tmp_path: Path, user: str) -> None:
    given = experiment(room=(0, 6_000), traffic=0.5)
    shop = write_catalogue(tmp_path / "shop.yaml", given)
    found = json.loads(told(user, "--catalogue", shop, "--json"))
    arm = arm_of(Experiment.model_validate(given), user)
    (one,) = found["experiments"]
    assert one["arm"] == (None if arm is None else arm.id)
    assert f"bucket {bucket('layer', 'offers', user)} of layer offers" in one["why"]
    assert one["why"] in told(user, "--catalogue", shop)


def test_the_holdout_and_a_shop_without_experiments_are_told(tmp_path: Path) -> None:
    shop = write_catalogue(tmp_path / "shop.yaml", experiment())
    shop.write_text(shop.read_text() + "guardrails: {holdout: 1.0}\n")
    assert "in the holdout" in told("u1", "--catalogue", shop)
    assert "has no experiments" in told("u1", "--catalogue", write_catalogue(tmp_path / "none.yaml"))
