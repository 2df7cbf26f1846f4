"""A tiny ONNX model with the churn model's inputs and output, in a model repository or as a candidate for one."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from forestay.core.decision.model_input import INPUT_DIGEST, NUMBER_COLUMNS, TOKEN_COLUMNS
from forestay.core.families.sequence import MAX_STEPS
from forestay.core.feature_set import FEATURE_COUNT

NAME = "churn_transformer"
VERSION, HORIZON_DAYS = "tiny-1", 45
_CONFIG = """
name: "{name}"
backend: "onnxruntime"
max_batch_size: 256
input [
  {{ name: "step_tokens" data_type: TYPE_INT32 dims: [{steps}, {tokens}] }},
  {{ name: "step_numbers" data_type: TYPE_FP32 dims: [{steps}, {numbers}] }},
  {{ name: "features" data_type: TYPE_FP32 dims: [{features}] }}
]
output [ {{ name: "churn_probability" data_type: TYPE_FP32 dims: [1] }} ]
{more}
parameters {{ key: "input_digest" value: {{ string_value: "{digest}" }} }}
parameters {{ key: "model_version" value: {{ string_value: "{version}" }} }}
parameters {{ key: "horizon_days" value: {{ string_value: "{horizon}" }} }}
"""
_SIZES = {"steps": MAX_STEPS, "tokens": len(TOKEN_COLUMNS), "numbers": len(NUMBER_COLUMNS), "features": FEATURE_COUNT}


def lay_churn_model(repository: Path, digest: str = INPUT_DIGEST, *, any_length: bool = False) -> None:
    """Lays the model in `repository`; it says that it was trained on the input `digest` names.

    With `any_length` it takes any number of steps, and padding changes nothing.
    """
    version = repository / NAME / "1"
    version.mkdir(parents=True)
    onnx.save(_model(any_length=any_length), version / "model.onnx")
    sizes = _SIZES | ({"steps": -1} if any_length else {})
    config = _CONFIG.format(name=NAME, digest=digest, version=VERSION, horizon=HORIZON_DAYS, more="", **sizes)
    (version.parent / "config.pbtxt").write_text(config)


def lay_first_version(repository: Path) -> Path:
    """Lays a model of one version with its figures, as it is before there are several; returns the model's folder."""
    place = repository / NAME
    lay_candidate(place)
    (place / "1").mkdir()
    (place / "model.onnx").rename(place / "1" / "model.onnx")
    return place


def lay_candidate(
    folder: Path,
    seed: int = 3,
    *,
    told: Mapping[str, Any] | None = None,
    explained: bool = False,
    digest: str = INPUT_DIGEST,
) -> str:
    """Lays a candidate for the repository in `folder`; returns its version.

    Args:
        folder: Made if it is not there.
        seed: Of the graph's weights.
        told: What `metrics.json` says otherwise; a None takes an entry away.
        explained: With the output `contributions`, of the groups features and steps.
        digest: Of the input it says it was trained on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(_model(seed, explained=explained), folder / "model.onnx")
    version = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()[:12]
    more = _EXPLAINED if explained else ""
    config = _CONFIG.format(name=NAME, digest=digest, version=version, horizon=HORIZON_DAYS, more=more, **_SIZES)
    (folder / "config.pbtxt").write_text(config)
    metrics = figures() | {"model_version": version, "input_digest": digest} | dict(told or {})
    (folder / "metrics.json").write_text(json.dumps({name: one for name, one in metrics.items() if one is not None}))
    (folder / "model_card.md").write_text(f"# Model card: {version}\n")
    return version


def figures(**changed: tuple[float, float, float]) -> dict[str, Any]:
    """Returns what `metrics.json` of a model as good as LightGBM says; `changed` are figures of the served model."""
    good = {
        "auc": (0.8, 0.78, 0.82),
        "log_loss": (0.5, 0.48, 0.52),
        "ece": (0.01, 0.005, 0.015),
        "calibration_slope": (1.0, 0.9, 1.1),
    }
    return {
        "trained_until": "2026-01-01T00:00:00.000Z",
        "onnx_parity": 1e-7,
        "data": {"name": "made up"},
        "test": {"figures": {"fused": good | changed, "lightgbm": good}},
    }


_EXPLAINED = """
output [ { name: "contributions" data_type: TYPE_FP32 dims: [2] } ]
parameters { key: "groups" value: { string_value: "features,steps" } }
parameters { key: "bias" value: { string_value: "0.0" } }
"""


def _model(seed: int = 3, *, explained: bool = False, any_length: bool = False) -> onnx.ModelProto:
    """The sigmoid of a weighted sum of the features, of all tokens and of all numbers."""
    reduce, steps = ("ReduceSum", "steps") if any_length else ("ReduceMean", MAX_STEPS)
    weights = np.random.default_rng(seed).normal(size=(FEATURE_COUNT, 1), scale=1e-5).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["features", "weights"], ["weighted"]),
        helper.make_node("Cast", ["step_tokens"], ["tokens"], to=TensorProto.FLOAT),
        helper.make_node(reduce, ["tokens", "axes"], ["token"], keepdims=0),
        helper.make_node(reduce, ["step_numbers", "axes"], ["number"], keepdims=0),
        helper.make_node("Add", ["token", "number"], ["both"]),
        helper.make_node("Mul", ["both", "hundredth"], ["small"]),
        helper.make_node("Unsqueeze", ["small", "last"], ["column"]),
        helper.make_node("Add", ["weighted", "column"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["churn_probability"]),
    ]
    outputs = [helper.make_tensor_value_info("churn_probability", TensorProto.FLOAT, ["batch", 1])]
    if explained:
        nodes.append(helper.make_node("Concat", ["weighted", "column"], ["contributions"], axis=1))
        outputs.append(helper.make_tensor_value_info("contributions", TensorProto.FLOAT, ["batch", 2]))
    shapes: dict[str, tuple[int, list[int | str]]] = {
        "step_tokens": (TensorProto.INT32, [steps, len(TOKEN_COLUMNS)]),
        "step_numbers": (TensorProto.FLOAT, [steps, len(NUMBER_COLUMNS)]),
        "features": (TensorProto.FLOAT, [FEATURE_COUNT]),
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, kind, ["batch", *shape]) for name, (kind, shape) in shapes.items()],
        outputs,
        initializer=[
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([1, 2], dtype=np.int64), "axes"),
            numpy_helper.from_array(np.array([1], dtype=np.int64), "last"),
            numpy_helper.from_array(np.array(0.01, dtype=np.float32), "hundredth"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model
