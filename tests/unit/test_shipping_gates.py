"""The gates: a good candidate passes them all, and each fault is refused by its own gate, in words."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from support.churn_model import NAME, figures, lay_candidate

from forestay.shipping.gates import graph
from forestay.shipping.gates.judge import judge
from forestay.shipping.gates.verdict import Outcome, Verdict

Fault = Callable[[Path], object]


@pytest.fixture
def current(tmp_path: Path) -> Path:
    lay_candidate(tmp_path / "current")
    return tmp_path / "current"


def refused(candidate: Path, current: Path | None = None) -> dict[str, str]:
    return {one.gate: one.words for one in judge(candidate, NAME, current) if one.outcome is not Outcome.PASSED}


@pytest.mark.parametrize("explained", [False, True])
def test_a_good_candidate_passes(tmp_path: Path, current: Path, explained: bool) -> None:
    lay_candidate(tmp_path / "new", 4, explained=explained)
    verdicts = judge(tmp_path / "new", NAME, current)
    assert [one.gate for one in verdicts if one.outcome is not Outcome.PASSED] == []
    assert {"files", "input", "size", "parity", "quality", "calibration", "graph", "latency"} <= {
        one.gate for one in verdicts
    }


def told(**changed: Any) -> Fault:
    return lambda folder: lay_candidate(folder, told=changed)


def measured(**changed: tuple[float, float, float]) -> Fault:
    return lambda folder: lay_candidate(folder, told=figures(**changed))


def difference(measure: str, *interval: float) -> Fault:
    test = figures()["test"] | {"differences": {"lightgbm": {measure: interval}}}
    return lambda folder: lay_candidate(folder, told={"test": test})


def unmeasured(measure: str) -> Fault:
    """A figure that bootstrap or fit did not find is written as nulls."""
    test = figures()["test"]
    test["figures"]["fused"] = test["figures"]["fused"] | {measure: [None, None, None]}
    return lambda folder: lay_candidate(folder, told={"test": test})


def without(name: str) -> Fault:
    def fault(folder: Path) -> None:
        lay_candidate(folder)
        (folder / name).unlink()

    return fault


def with_config(text: str, other: str) -> Fault:
    def fault(folder: Path) -> None:
        lay_candidate(folder)
        config = folder / "config.pbtxt"
        config.write_text(config.read_text().replace(text, other))

    return fault


def other_graph(folder: Path) -> None:
    lay_candidate(folder)
    (folder / "model.onnx").write_bytes(b"not what the figures are of")


GOOD = figures()["test"]["figures"]["fused"]
FAULTS: list[tuple[str, str, Fault]] = [
    ("files", "lacks metrics.json", without("metrics.json")),
    ("files", "lacks model.onnx, config.pbtxt, metrics.json", lambda folder: folder.mkdir()),
    ("files", "not made together", other_graph),
    ("files", "takes 64 rows, a worker sends up to 256", with_config("max_batch_size: 256", "max_batch_size: 64")),
    ("files", "backend 'tensorrt_plan'", with_config('"onnxruntime"', '"tensorrt_plan"')),
    ("files", "declares no horizon_days", with_config('"horizon_days"', '"horizon"')),
    ("input", "0{32}.*train it again", lambda folder: lay_candidate(folder, digest="0" * 32)),
    ("parity", "0.00012 away", told(onnx_parity=1.2e-4)),
    ("parity", "does not say", told(onnx_parity=None)),
    ("parity", "-1 away", told(onnx_parity=-1.0)),
    ("figures", "until when", told(trained_until=None)),
    (
        "figures",
        "no auc, log_loss, ece of LightGBM",
        told(test={"figures": {"fused": GOOD}}),
    ),
    ("figures", "no auc, log_loss, ece, calibration_slope of the served", told(served="lightgbm")),
    ("figures", "no calibration_slope of the served model", unmeasured("calibration_slope")),
    ("quality", "AUC 0.7700 is worse than LightGBM", measured(auc=(0.77, 0.75, 0.79))),
    ("quality", "log-loss 0.5300 is worse than LightGBM", measured(log_loss=(0.53, 0.51, 0.55))),
    ("quality", "AUC is worse than LightGBM's on the same rows", difference("auc", -0.01, -0.02, -0.001)),
    ("quality", "log-loss is worse than LightGBM's on the same", difference("log_loss", 0.01, 0.001, 0.02)),
    ("calibration", "ECE 0.0300 is more than 0.0200 and than LightGBM", measured(ece=(0.03, 0.02, 0.04))),
    ("calibration", "slope", measured(calibration_slope=(0.6, 0.5, 0.7))),
]


@pytest.mark.parametrize(("gate", "words", "fault"), FAULTS)
def test_each_fault_is_refused_in_words(tmp_path: Path, gate: str, words: str, fault: Fault) -> None:
    fault(tmp_path / "new")
    found = refused(tmp_path / "new")
    assert re.search(words, found[gate])
    assert set(found) <= {gate, "graph", "latency", "quality"}


def test_what_chance_may_do_is_not_held_against_it(tmp_path: Path) -> None:
    """The difference is worse, but its interval holds 0."""
    difference("auc", -0.01, -0.02, 0.001)(tmp_path / "new")
    assert not refused(tmp_path / "new")


def test_nobody_is_asked_for_a_calibration_that_boosted_trees_miss_too(tmp_path: Path) -> None:
    bad = GOOD | {"ece": (0.09, 0.08, 0.1)}
    lay_candidate(tmp_path / "new", told={"test": {"figures": {"fused": bad, "lightgbm": bad}}})
    assert not refused(tmp_path / "new")


FEW = [
    ("slope, 1.0000 .* may be half or double", {"calibration_slope": (1.0, 0.4, 1.9)}, None),
    ("slope, 0.7000 .* may be half or double", {"calibration_slope": (0.7, 0.1, 1.3)}, None),
    ("0.0600 may be more than 0.0200 worse", {"ece": (0.06, 0.04, 0.12)}, (0.01, -0.03, 0.05)),
    ("0.0600 may be more than 0.0200 worse", {"ece": (0.06, 0.04, 0.12)}, None),
]


@pytest.mark.parametrize(("words", "changed", "less_trees"), FEW)
def test_a_test_too_small_to_find_a_bad_calibration_does_not_pass_it(
    tmp_path: Path, words: str, changed: dict[str, Any], less_trees: tuple[float, float, float] | None
) -> None:
    told = figures(**changed)
    told["test"]["figures"]["lightgbm"] |= {"ece": (0.05, 0.03, 0.11)}
    if less_trees is not None:
        told["test"]["differences"] = {"lightgbm": {"ece": less_trees}}
    lay_candidate(tmp_path / "new", told=told)
    (found,) = (one for one in judge(tmp_path / "new", NAME, None) if one.gate == "calibration")
    assert found.outcome is Outcome.UNJUDGED
    assert re.search(f"^too few test rows: .*{words}", found.words)


def test_an_error_that_chance_makes_of_few_rows_is_measured_by_that_of_boosted_trees(tmp_path: Path) -> None:
    """Both are beyond 0.02, and the one is shown to be within 0.02 of the other."""
    told = figures(ece=(0.06, 0.04, 0.12))
    told["test"]["figures"]["lightgbm"] |= {"ece": (0.05, 0.03, 0.11)}
    for interval, outcome in (((0.01, -0.005, 0.018), Outcome.PASSED), ((0.01, 0.002, 0.018), Outcome.REFUSED)):
        told["test"]["differences"] = {"lightgbm": {"ece": interval}}
        lay_candidate(tmp_path / outcome, told=told)
        (found,) = (one for one in judge(tmp_path / outcome, NAME, None) if one.gate == "calibration")
        assert found.outcome is outcome


def test_it_is_held_against_the_current_version_on_the_same_rows_alone(tmp_path: Path, current: Path) -> None:
    worse = figures(auc=(0.77, 0.75, 0.79))
    worse["test"]["figures"]["lightgbm"] = worse["test"]["figures"]["fused"]
    lay_candidate(tmp_path / "same", told=worse)
    assert "current version's 0.8000" in refused(tmp_path / "same", current)["quality"]
    lay_candidate(tmp_path / "other", told=worse | {"data": {"name": "later rows"}})
    assert not refused(tmp_path / "other", current)


def test_an_output_that_workers_may_use_is_not_taken_away(tmp_path: Path) -> None:
    lay_candidate(tmp_path / "current", explained=True)
    lay_candidate(tmp_path / "new")
    assert "contributions" in refused(tmp_path / "new", tmp_path / "current")["outputs"]


def test_a_graph_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forestay.shipping.gates.files.MAX_BYTES", 1_000)
    lay_candidate(tmp_path / "new")
    assert "bytes, more than 1,000" in refused(tmp_path / "new")["size"]


def changed_graph(folder: Path, change: Callable[[onnx.GraphProto], object]) -> Verdict:
    """Returns what the gate says of a graph after a change."""
    lay_candidate(folder, explained=True)
    model = onnx.load(folder / "model.onnx")
    change(model.graph)
    onnx.save(model, folder / "model.onnx")
    return graph.answers(folder)


def answer_with(value: float) -> Callable[[onnx.GraphProto], object]:
    def change(made: onnx.GraphProto) -> None:
        sigmoid = next(node for node in made.node if node.op_type == "Sigmoid")
        sigmoid.output[0] = "plain"
        made.initializer.append(helper.make_tensor("factor", TensorProto.FLOAT, [], [value]))
        made.node.append(helper.make_node("Mul", ["plain", "factor"], ["churn_probability"]))

    return change


def depend_on_the_batch(made: onnx.GraphProto) -> None:
    sigmoid = next(node for node in made.node if node.op_type == "Sigmoid")
    sigmoid.output[0] = "plain"
    made.initializer.append(helper.make_tensor("rows", TensorProto.INT64, [1], [0]))
    made.node.append(helper.make_node("ReduceMean", ["plain", "rows"], ["mean"], keepdims=1))
    made.node.append(helper.make_node("Mul", ["plain", "mean"], ["churn_probability"]))


def explain_falsely(made: onnx.GraphProto) -> None:
    concat = next(node for node in made.node if node.op_type == "Concat")
    concat.input[0] = "column"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (answer_with(float("nan")), "no probability"),
        (answer_with(float("inf")), "no probability"),
        (answer_with(-1), "no probability"),
        (answer_with(3), "no probability"),
        (depend_on_the_batch, "who else is in the batch"),
        (explain_falsely, "do not add up"),
        (lambda made: made.output.pop(0), "do not both have the output churn_probability"),
        (lambda made: made.node.pop(), "ONNX Runtime cannot run it"),
    ],
)
def test_a_graph_is_run_before_it_is_believed(
    tmp_path: Path, change: Callable[[onnx.GraphProto], object], words: str
) -> None:
    verdict = changed_graph(tmp_path / "new", change)
    assert verdict.outcome is Outcome.REFUSED
    assert words in verdict.words


def curve_of(folder: Path, horizons: str, powers: list[float]) -> Verdict:
    """Returns what the gate says of a curve whose shares are powers of the answer."""
    lay_candidate(folder)
    config = folder / "config.pbtxt"
    config.write_text(
        config.read_text()
        + f'output [ {{ name: "survival" data_type: TYPE_FP32 dims: [{len(powers)}] }} ]\n'
        + f'parameters {{ key: "horizons" value: {{ string_value: "{horizons}" }} }}\n'
    )
    model = onnx.load(folder / "model.onnx")
    model.graph.initializer.append(helper.make_tensor("powers", TensorProto.FLOAT, [1, len(powers)], powers))
    model.graph.node.append(helper.make_node("Pow", ["churn_probability", "powers"], ["survival"]))
    shape: list[str | int | None] = ["batch", len(powers)]
    model.graph.output.append(helper.make_tensor_value_info("survival", TensorProto.FLOAT, shape))
    onnx.save(model, folder / "model.onnx")
    return graph.answers(folder)


def test_a_curve_through_the_answer_passes(tmp_path: Path) -> None:
    assert curve_of(tmp_path / "new", "12h,7d,45d", [0.1, 0.5, 1.0]).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("horizons", "powers", "words"),
    [
        ("7d,45d", [0.1, 0.5, 1.0], "with 2 horizons declared"),
        ("12h,soon,45d", [0.1, 0.5, 1.0], "soon"),
        ("12h,7d,45d", [0.5, 0.1, 1.0], "is no curve"),
        ("7d,12h,45d", [0.1, 0.5, 1.0], "is no curve"),
        ("12h,7d,45d", [0.1, float("nan"), 1.0], "is no curve"),
        ("12h,7d,45d", [0.1, 0.2, 0.3], "at the horizon is not the answer"),
    ],
)
def test_a_curve_that_workers_could_not_read_is_refused(
    tmp_path: Path, horizons: str, powers: list[float], words: str
) -> None:
    verdict = curve_of(tmp_path / "new", horizons, powers)
    assert verdict.outcome is Outcome.REFUSED
    assert words in verdict.words


@pytest.mark.parametrize(
    ("seconds", "passes"), [([0.0079, 0.001], True), ([0.02, 0.017], True), ([0.02, 0.015], False)]
)
def test_slow_is_what_neither_the_budget_nor_the_current_version_allows(
    tmp_path: Path, current: Path, monkeypatch: pytest.MonkeyPatch, seconds: list[float], passes: bool
) -> None:
    monkeypatch.setattr(graph, "_seconds", lambda graphs: seconds[: len(graphs)])
    lay_candidate(tmp_path / "new")
    assert (graph.fast(tmp_path / "new", current).outcome is Outcome.PASSED) == passes


def test_without_onnx_runtime_two_gates_say_that_they_cannot_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_candidate(tmp_path / "new")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    verdicts = {one.gate: one for one in judge(tmp_path / "new", NAME, None)}
    assert [gate for gate, one in verdicts.items() if one.outcome is Outcome.UNJUDGED] == ["graph", "latency"]
    assert "pip install onnxruntime" in verdicts["graph"].words


def test_the_made_up_users_know_from_nothing_to_everything() -> None:
    batch = graph.sample(5)
    known = (batch.step_tokens[:, :, 0] != 0).any(axis=1)
    assert not batch.features[0].any()
    assert not batch.step_numbers[0].any()
    assert known.tolist() == [False, True, True, True, True]
    assert (batch.step_numbers[-1] != 0).all()
    assert all(np.isfinite(part).all() for part in batch)


def test_metrics_that_cannot_be_read_are_a_fault_of_the_files(tmp_path: Path) -> None:
    lay_candidate(tmp_path / "new")
    (tmp_path / "new" / "metrics.json").write_text(json.dumps({"test": 3}))
    assert "metrics.json" in refused(tmp_path / "new")["files"]
