"""The finished network as one ONNX file that Triton serves: scales, network and calibration in one graph."""

import logging
import warnings
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from forestay.core.decision.model_input import ModelInput
from forestay_training.calibrate import Platt
from forestay_training.dataset import select
from forestay_training.network import ChurnTransformer

#: The newest opset that the ONNX Runtime of Triton 24.10 and later reads everywhere.
OPSET: Final = 18
OUTPUT: Final = "churn_probability"
#: Largest difference allowed between PyTorch's probabilities and ONNX Runtime's.
PARITY: Final = 1e-4
MAX_BYTES: Final = 5_000_000


class ExportError(Exception):
    """The exported file is not the network it was made from, or is too large to ship."""


class Served(nn.Module):
    """What is served: the network and its calibration, to probabilities (B, 1)."""

    def __init__(self, network: ChurnTransformer, calibration: Platt) -> None:
        """Takes a fitted network."""
        super().__init__()
        self.network = network
        self.register_buffer("slope", torch.tensor(calibration.slope))
        self.register_buffer("intercept", torch.tensor(calibration.intercept))

    def forward(self, step_tokens: Tensor, step_numbers: Tensor, features: Tensor) -> Tensor:
        """Returns calibrated churn probabilities (B, 1); shapes as in `forestay.core.decision.model_input`."""
        logits = self.network(step_tokens, step_numbers, features)
        return torch.sigmoid(self.slope * logits + self.intercept)[:, None]


def export(network: ChurnTransformer, calibration: Platt, sample: ModelInput, path: Path) -> float:
    """Writes `path` and returns the largest difference between it and PyTorch on `sample` (at least 3 rows).

    Raises:
        ExportError: the difference is more than `PARITY`, or the file is larger than `MAX_BYTES`.
    """
    served = Served(network, calibration).eval()
    tensors = tuple(torch.from_numpy(array) for array in sample)
    model = _to_onnx(served, select(sample, np.arange(2)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_lean(model).SerializeToString(deterministic=True))
    if path.stat().st_size > MAX_BYTES:
        raise ExportError(f"{path} has {path.stat().st_size} bytes, more than {MAX_BYTES}")
    with torch.no_grad():
        expected = served(*tensors).numpy()
    difference = float(np.abs(expected - run(path, sample)).max())
    if difference > PARITY:
        raise ExportError(f"{path} differs from the network by {difference:.2g}, more than {PARITY}")
    return difference


def _to_onnx(served: Served, example: ModelInput) -> onnx.ModelProto:
    batch = torch.export.Dim("batch", max=4_096)
    # It misses torchvision, which nothing here needs.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # The three inputs share one batch axis, and are meant to.
        warnings.filterwarnings("ignore", message="# The axis name: batch will not be used")
        program = torch.onnx.export(
            served,
            tuple(torch.from_numpy(array) for array in example),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(example._fields),
            output_names=[OUTPUT],
            dynamic_shapes={name: {0: batch} for name in example._fields},
            verbose=False,
        )
    if program is None:
        raise ExportError("torch.onnx.export returned nothing")
    return program.model_proto


def run(path: Path, inputs: ModelInput) -> NDArray[np.float32]:
    """Returns the probabilities (B, 1) of the exported file at `path`."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (probabilities,) = session.run([OUTPUT], dict(inputs._asdict()))
    return np.asarray(probabilities, dtype=np.float32)


def _lean(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drops what the exporter noted down for its authors: source lines with the paths of this machine, for one."""
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for entry in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        entry.ClearField("metadata_props")
        entry.ClearField("doc_string")
    model.graph.ClearField("metadata_props")
    model.ClearField("metadata_props")
    model.ClearField("doc_string")
    onnx.checker.check_model(model, full_check=True)
    return model
