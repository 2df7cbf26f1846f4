"""The exported graph with 8-bit weights, for CPUs: a quarter less time a user, half the size.

Only the products over steps are quantised, where the time goes; scales, tower, terms, heads and calibration stay as
they are, so contributions still add up to the probability exactly. What these products read is quantised as it comes,
by the range it has in the request: so what a user is told depends, a little, on who else is in it and on its padding.
docs/decisions/0017-int8-is-an-option.md has what is won and what it costs.
"""

import logging
import tempfile
from pathlib import Path
from typing import Final

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

#: Of what has one row for each step of each user: (B, S, W).
_RANK: Final = 3


def quantised(model: bytes) -> bytes:
    """Returns the ONNX file `model` with the encoder's weights in 8 bits; inputs and outputs are the same."""
    graph = onnx.load_from_string(model)
    products = _products_over_steps(graph)
    # Shapes noted by the exporter name its own dimensions, which the quantiser's shape inference finds to be others.
    del graph.graph.value_info[:]
    with tempfile.TemporaryDirectory() as folder:
        whole, small = Path(folder, "whole.onnx"), Path(folder, "small.onnx")
        onnx.save(graph, whole)
        logging.getLogger().addFilter(_wanted)
        try:
            quantize_dynamic(whole, small, nodes_to_quantize=products, weight_type=QuantType.QInt8)
        finally:
            logging.getLogger().removeFilter(_wanted)
        made = onnx.load(small)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString(deterministic=True)


def _wanted(record: logging.LogRecord) -> bool:
    """Leaves out the quantiser's advice to infer shapes first: it infers them itself; the exporter's are gone."""
    return "pre-processing before quantization" not in record.getMessage()


def _products_over_steps(model: onnx.ModelProto) -> list[str]:
    """Returns the names of the nodes that multiply all steps, or NOW's row of them, by weights."""
    weights = {weight.name for weight in model.graph.initializer}
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in model.graph.value_info}
    nodes = [node for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in weights]
    return [node.name for node in nodes if ranks.get(node.input[0]) == _RANK]
