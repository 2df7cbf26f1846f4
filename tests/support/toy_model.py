"""A small ONNX model in a model repository, for tests of the embedded Triton."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NAME = "toy"
FEATURES = 8
EVENTS = 12
VOCABULARY = 50
WIDTH = 16
MAX_BATCH = 64

_CONFIG = """
name: "{name}"
backend: "onnxruntime"
max_batch_size: {max_batch}
input [
  {{ name: "features" data_type: TYPE_FP32 dims: [{batch}{features}] }},
  {{ name: "events" data_type: TYPE_INT64 dims: [{batch}-1] }}
]
output [
  {{ name: "probability" data_type: TYPE_FP32 dims: [{batch}1] }},
  {{ name: "embedding" data_type: TYPE_FP32 dims: [{batch}{width}] }}
]
"""
_DYNAMIC = "dynamic_batching {{ max_queue_delay_microseconds: {delay} }}\n"


def lay_toy_model(
    repository: Path,
    *,
    name: str = NAME,
    max_batch: int = MAX_BATCH,
    delay: int = 2_000,
    file: str = "model.onnx",
    more: str = "",
) -> Path:
    """Lay the model in ``repository``; return its file.

    Inputs: features (batch, 8) float32 and events (batch, any) int64, each below 50; an event of 50 or more is an
    error at run time. Outputs: probability (batch, 1) and embedding (batch, 16), float32.

    Args:
        repository: Made if it is not there.
        name: The model's.
        max_batch: Largest batch, or 0 for a model whose batching Triton leaves alone.
        delay: Microseconds the dynamic batcher waits for company.
        file: What the model's file is called.
        more: Further lines of config.pbtxt.
    """
    version = repository / name / "1"
    version.mkdir(parents=True)
    onnx.save(_model(), version / file)
    batch = "" if max_batch else "-1, "
    config = _CONFIG.format(name=name, max_batch=max_batch, batch=batch, features=FEATURES, width=WIDTH)
    if max_batch:
        config += _DYNAMIC.format(delay=delay)
    (version.parent / "config.pbtxt").write_text(config + more, encoding="utf-8")
    return version / file


def _model() -> onnx.ModelProto:
    random = np.random.default_rng(7)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)

    weights = [weight("W", FEATURES, WIDTH), weight("E", VOCABULARY, WIDTH), weight("V", WIDTH, 1)]
    nodes = [
        helper.make_node("MatMul", ["features", "W"], ["projected"]),
        helper.make_node("Gather", ["E", "events"], ["embedded"]),
        helper.make_node("ReduceSum", ["embedded", "axis"], ["summed"], keepdims=0),
        helper.make_node("Add", ["projected", "summed"], ["mixed"]),
        helper.make_node("Tanh", ["mixed"], ["embedding"]),
        helper.make_node("MatMul", ["embedding", "V"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["probability"]),
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        inputs=[
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", FEATURES]),
            helper.make_tensor_value_info("events", TensorProto.INT64, ["batch", "length"]),
        ],
        outputs=[
            helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["batch", 1]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", WIDTH]),
        ],
        initializer=[*weights, numpy_helper.from_array(np.array([1], dtype=np.int64), "axis")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model
