"""A tiny ONNX model with the churn model's inputs and output, in a model repository: for tests of the scorer."""

from pathlib import Path

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
parameters {{ key: "input_digest" value: {{ string_value: "{digest}" }} }}
parameters {{ key: "model_version" value: {{ string_value: "{version}" }} }}
parameters {{ key: "horizon_days" value: {{ string_value: "{horizon}" }} }}
"""
_SIZES = {"steps": MAX_STEPS, "tokens": len(TOKEN_COLUMNS), "numbers": len(NUMBER_COLUMNS), "features": FEATURE_COUNT}


def lay_churn_model(repository: Path, digest: str = INPUT_DIGEST) -> None:
    """Lays the model in `repository`; it says that it was trained on the input `digest` names."""
    version = repository / NAME / "1"
    version.mkdir(parents=True)
    onnx.save(_model(), version / "model.onnx")
    config = _CONFIG.format(name=NAME, digest=digest, version=VERSION, horizon=HORIZON_DAYS, **_SIZES)
    (version.parent / "config.pbtxt").write_text(config)


def _model() -> onnx.ModelProto:
    """The sigmoid of a weighted sum of the features, of all tokens and of all numbers."""
    weights = np.random.default_rng(3).normal(size=(FEATURE_COUNT, 1), scale=1e-5).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["features", "weights"], ["weighted"]),
        helper.make_node("Cast", ["step_tokens"], ["tokens"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["tokens", "axes"], ["token"], keepdims=0),
        helper.make_node("ReduceMean", ["step_numbers", "axes"], ["number"], keepdims=0),
        helper.make_node("Add", ["token", "number"], ["both"]),
        helper.make_node("Mul", ["both", "hundredth"], ["small"]),
        helper.make_node("Unsqueeze", ["small", "last"], ["column"]),
        helper.make_node("Add", ["weighted", "column"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["churn_probability"]),
    ]
    shapes = {
        "step_tokens": (TensorProto.INT32, [MAX_STEPS, len(TOKEN_COLUMNS)]),
        "step_numbers": (TensorProto.FLOAT, [MAX_STEPS, len(NUMBER_COLUMNS)]),
        "features": (TensorProto.FLOAT, [FEATURE_COUNT]),
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, kind, ["batch", *shape]) for name, (kind, shape) in shapes.items()],
        [helper.make_tensor_value_info("churn_probability", TensorProto.FLOAT, ["batch", 1])],
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
