"""`forestay evaluate` over a small made-up shop: the one JSON object, what is refused, and in which words."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from support.builders import START, click
from support.made_up_shop import shop
from support.training_sets import write_events
from typer.testing import CliRunner, Result

from forestay.cli.main import app
from forestay.core.decision.model_input import ModelInput
from forestay.core.feature_set import FEATURE_COUNT
from forestay.core.units import DAY
from forestay_training.evaluation import learning_curve as curve
from forestay_training.evaluation import neural
from forestay_training.evaluation.evaluate import MODELS
from forestay_training.evaluation.served import ServedModel
from forestay_training.fitting import Recipe

pytestmark = pytest.mark.training

MODEL = Path(__file__).parents[2] / "model_repository" / "churn_transformer"
#: Four months after the first order of the shop, which trades for six.
CUTOFF = ["--cutoff", "2026-05-15", "--horizon", "14d", "--obs", "60d"]


class Fresh(NamedTuple):
    """What was printed and the page that was written, of models fitted anew."""

    found: dict[str, Any]
    page: str


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_events(tmp_path_factory.mktemp("shop") / "events.jsonl", shop(250))


def evaluate(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["evaluate", "--model", str(MODEL), "--workers", "1", *map(str, args)])


def test_it_prints_one_json_object_of_all_models(events: Path) -> None:
    told = evaluate("--events", events, *CUTOFF, "--cutoff", "2026-06-01", "--draws", "40", "--json")
    assert told.exit_code == 0, told.stderr
    found = json.loads(told.stdout, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert list(found["models"]) == ["recency", "bg_nbd", "logistic", "lightgbm", "fused", "blend"]
    wanted = {"auc", "ap", "log_loss", "brier", "ece", "calibration_slope", "lift_at_10", "intervals"}
    for figures in found["models"].values():
        assert wanted <= figures.keys()
        low, high = figures["intervals"]["auc"]
        assert low <= figures["auc"] <= high
    assert found["rows"] > found["users"] > 100
    assert 0 < found["churn_rate"] < 1
    assert list(found["months"]) == ["2026-05", "2026-06"]
    assert sum(part["rows"] for part in found["segments"]["orders"].values()) == found["rows"]
    assert found["train"]["cutoffs"][-1] <= "2026-05-01T00:00:00.000Z"
    assert {"fused - lightgbm", "blend - lightgbm"} <= found["differences"].keys()
    assert not any("speaks of" in note for note in found["notes"])


def test_who_knows_how_the_shop_was_made_ranks_better_than_recency(events: Path) -> None:
    """Customers have a pace and stop by chance: BG/NBD's own story. A silence alone says less."""
    told = evaluate("--events", events, *CUTOFF, "--models", "bg_nbd,recency", "--draws", "20", "--json")
    models = json.loads(told.stdout)["models"]
    assert list(models) == ["recency", "bg_nbd"]
    assert models["bg_nbd"]["auc"] > models["recency"]["auc"] + 0.02
    assert models["bg_nbd"]["log_loss"] < models["recency"]["log_loss"]


def test_without_enough_history_the_model_stands_alone(events: Path) -> None:
    told = evaluate("--events", events, "--cutoff", "2026-02-20", "--horizon", "11d", "--obs", "60d", "--draws", "20")
    assert told.exit_code == 0, told.stderr
    assert told.stdout.splitlines()[0].split()[:2] == ["model", "AUC"]
    assert [line.split()[0] for line in told.stdout.splitlines()[1:]] == ["fused"]
    assert "no baselines: 0 rows have a label that ends by 2026-02-20" in told.stderr
    assert "the model speaks of 60d, asked is 11d" in told.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            ["--cutoff", "2026-06-25", "--horizon", "14d"],
            "who has left 14d after --cutoff 2026-06-25T00:00:00.000Z is not",
        ),
        (["--cutoff", "2025-12-01", "--horizon", "14d"], "nobody ordered in the 150d before --cutoff"),
        ([*CUTOFF, "--train-before", "2026-06-01"], "lies after the first --cutoff"),
        ([*CUTOFF, "--train-before", "2026-01-20"], "0 rows to train on, 0 of whom have left, are too few"),
        (
            [*CUTOFF, "--train-cutoff", "2026-05-10"],
            "--train-cutoff 2026-05-10T00:00:00.000Z: its labels are known 14d",
        ),
        ([*CUTOFF, "--model", "/nowhere"], "--model /nowhere: there is no config.pbtxt"),
        (
            ["--cutoff", "2026-01-02", "--horizon", "170d"],
            "none of the test rows (1) have left within 170d: with one class",
        ),
    ],
)
def test_what_cannot_be_judged_is_one_line_and_exit_code_1(events: Path, args: list[str], said: str) -> None:
    told = evaluate("--events", events, *args)
    assert (told.exit_code, told.stdout) == (1, "")
    assert said in told.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([*CUTOFF, "--models", "lightgbm,xgboost"], "the models are recency, bg_nbd"),
        (["--cutoff", "junk"], "junk is no moment"),
        ([*CUTOFF, "--horizon", "5m"], "--horizon 5m: write a span"),
    ],
)
def test_flags_that_make_no_sense_are_exit_code_2(events: Path, args: list[str], said: str) -> None:
    told = evaluate("--events", events, *args)
    assert (told.exit_code, told.stdout) == (2, "")
    assert said in told.stderr


def test_events_without_an_order_are_told_so(tmp_path: Path) -> None:
    views = [click(f"e{day}", f"u{day % 5}", "page_view", START + day * DAY) for day in range(90)]
    told = evaluate("--events", write_events(tmp_path / "views.jsonl", views), "--cutoff", "2026-02-01")
    assert told.exit_code == 1
    assert "there is no purchase among the events" in told.stderr


def test_a_model_of_another_input_is_refused(events: Path, tmp_path: Path) -> None:
    config = (MODEL / "config.pbtxt").read_text()
    current = config.partition('key: "rollout.current"')[2].partition('string_value: "')[2].partition('"')[0]
    (tmp_path / current).mkdir()
    (tmp_path / current / "model.onnx").write_bytes((MODEL / current / "model.onnx").read_bytes())
    digest = config.partition('key: "input_digest"')[2].partition('string_value: "')[2].partition('"')[0]
    (tmp_path / "config.pbtxt").write_text(config.replace(digest, "another"))
    told = evaluate("--events", events, *CUTOFF, "--model", tmp_path)
    assert told.exit_code == 1
    assert "was trained on the input another, this Forestay makes" in told.stderr


def test_of_several_versions_the_one_that_answers_is_judged(tmp_path: Path) -> None:
    """A newer one may be a shadow, and have no say."""
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "model.onnx").write_bytes((MODEL / "1" / "model.onnx").read_bytes())
    config = (MODEL / "config.pbtxt").read_text()
    (tmp_path / "config.pbtxt").write_text(
        config + 'parameters { key: "rollout.current" value { string_value: "1" } }\n'
    )
    (tmp_path / "2" / "model.onnx").write_bytes(b"never read")
    inputs = ModelInput(
        np.zeros((3, 64, 4), dtype=np.int32),
        np.zeros((3, 64, 9), dtype=np.float32),
        np.zeros((3, FEATURE_COUNT), dtype=np.float32),
    )
    model = ServedModel.load(tmp_path)
    answers = model.churn(inputs, 60 * DAY, lambda _done: None)
    assert answers.shape == (3,)
    assert (model.speaks_of(60 * DAY), model.speaks_of(14 * DAY)) == (True, False)


def test_without_a_cutoff_it_is_wrong_use(events: Path) -> None:
    assert evaluate("--events", events).exit_code == 2


def test_the_repositorys_model_is_found_from_any_folder(
    events: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = evaluate("--events", events, "--cutoff", "2025-12-01", "--horizon", "14d")
    assert "nobody ordered in the 150d before --cutoff" in told.stderr


def test_events_that_are_none_are_told_with_their_reason(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("event_id,user_id,event,ts,items\n1,u1,purchase,2026-01-01,x\n")
    told = evaluate("--events", tmp_path / "events.csv", "--cutoff", "2026-02-01")
    assert told.exit_code == 1
    assert "no event is left" in told.stderr
    assert "(1 left out, the first is row 2 of events.csv: " in told.stderr


@pytest.fixture(scope="module")
def fresh(events: Path, tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    """Everything at once, each network for an epoch."""
    page = tmp_path_factory.mktemp("fresh") / "report.html"
    recipe = Recipe(batch=128, epochs=1, pretraining_epochs=1)
    with pytest.MonkeyPatch.context() as patch:
        for name, usual in neural.RECIPES.items():
            patch.setitem(neural.RECIPES, name, replace(recipe, shape=usual.shape))
        patch.setattr(curve, "STEPS", (100,))
        patch.setattr(curve, "DRAWS", 1)
        more = ["--importance", "--learning-curve", "--report", str(page), "--draws", "40", "--json"]
        told = evaluate("--events", events, *CUTOFF, "--train-before", "2026-05-15", *more)
    assert told.exit_code == 0, told.stderr
    return Fresh(json.loads(told.stdout), page.read_text())


def test_fresh_models_are_all_there_and_calibrated_alike(fresh: Fresh) -> None:
    models = fresh.found["models"]
    assert list(models) == list(MODELS)
    assert fresh.found["settings"]["fused"] == "fitted fresh"
    assert all(figures["platt"] is not None for figures in models.values())
    assert "fused - transformer" in fresh.found["differences"]


def test_importance_names_groups_and_what_dropping_some_does(fresh: Fresh) -> None:
    importance = fresh.found["importance"]
    assert set(importance["groups"]) == {"lightgbm", "fused"}
    by_group = {worth["group"]: worth["log_loss"] for worth in importance["groups"]["lightgbm"]}
    # Trees are not shown the steps: without them nothing changes.
    assert by_group["steps"] == 0
    assert max(by_group.values()) > 0.002
    dropped = importance["selection"]["dropped"]
    assert {group for group, worth in by_group.items() if worth <= 0} - {"steps"} == set(dropped)
    assert ("difference" in importance["selection"]) == bool(dropped)


def test_the_learning_curve_has_every_network_both_ways(fresh: Fresh) -> None:
    (step,) = fresh.found["learning_curve"]
    assert step["users"] == 100
    assert 100 < step["rows"] < fresh.found["train"]["rows"]
    assert list(step["auc"]) == ["lightgbm", "transformer", "transformer pre-trained", "fused", "fused pre-trained"]
    for name, gain in step["pretraining"].items():
        apart = step["auc"][f"{name} pre-trained"]["value"] - step["auc"][name]["value"]
        assert gain["value"] == pytest.approx(apart, abs=2e-4)


def test_the_page_needs_no_network_and_says_what_its_plots_show(fresh: Fresh) -> None:
    page = fresh.page
    assert "<title>Forestay: how good the churn model is</title>" in page
    start = page.partition("<body>")[2]
    assert not re.findall(r'(?:src|href)="(?!#)', start)
    labels = re.findall(r'role="img" aria-label="([^"]+)"', start)
    assert len(labels) == start.count("<figure")
    assert any(label.startswith("AUC of each model") for label in labels)
    for name, figures in fresh.found["models"].items():
        assert f'<th scope="row">{name}</th>' in start
        assert f"{figures['auc']:.3f}" in start
    assert "fewer than 200" not in start
    assert "features are the same in all rows" in start


def test_a_learning_curve_wants_fresh_models(events: Path) -> None:
    told = evaluate("--events", events, *CUTOFF, "--learning-curve")
    assert told.exit_code == 2
    assert "say --train-before TIME" in " ".join(told.stderr.replace("│", " ").split())
