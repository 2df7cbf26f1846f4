"""The finished network as one ONNX file that Triton serves: scales, network, calibration and curve in one graph."""

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from forestay.core.decision.model_input import KIND_TOKENS, ModelInput
from forestay_training.calibrate import Platt
from forestay_training.groups import GROUPS
from forestay_training.hazard import log_survival
from forestay_training.network import ChurnNetwork
from forestay_training.training_set import select

#: The newest opset that the ONNX Runtime of Triton 24.10 and later reads everywhere.
OPSET: Final = 18
OUTPUT: Final = "churn_probability"
#: Largest difference allowed between PyTorch's outputs and ONNX Runtime's.
PARITY: Final = 1e-4
MAX_BYTES: Final = 5_000_000
#: The outputs but the embedding are probabilities and log-odds, held to `PARITY`; spend and embedding have no scale.
_JUDGED: Final = (OUTPUT, "survival", "contributions", "next_kind")
#: Hazards beyond these logits are as good as 0 or 1: a curve that is flat to the last bit could not be tied.
_SURE: Final = 7.0
#: Rows of one run of the exported file.
_RUN_AT_ONCE: Final = 256


class ExportError(Exception):
    """The exported file is not the network it was made from, or is too large to ship."""


class Served(nn.Module):
    """What is served: the network, its calibration, and the curve of silence tied to the calibrated probability."""

    slope: Tensor
    intercept: Tensor

    def __init__(self, network: ChurnNetwork, calibration: Platt, main_edge: int) -> None:
        """Takes a fitted network; `main_edge` is the number of the main horizon among the hazards' edges."""
        super().__init__()
        self.network = network
        self.main_edge = main_edge
        self.register_buffer("slope", torch.tensor(calibration.slope))
        self.register_buffer("intercept", torch.tensor(calibration.intercept))

    @property
    def bias(self) -> float:
        """Returns what the contributions add up to the calibrated logit with."""
        return float((self.slope * self.network.bias + self.intercept).detach())

    def forward(self, step_tokens: Tensor, step_numbers: Tensor, features: Tensor) -> tuple[Tensor, ...]:
        """Returns the outputs named by `dimensions`; input shapes as in `forestay.core.decision.model_input`."""
        found = self.network(step_tokens, step_numbers, features)
        logit = self.slope * found.logit + self.intercept
        curve = log_survival(found.hazards.clamp(-_SURE, _SURE))
        # Proportional hazards: one exponent makes the curve pass through the calibrated probability.
        theta = nn.functional.logsigmoid(logit) / curve[:, self.main_edge]
        return (
            torch.sigmoid(logit)[:, None],
            torch.exp(theta[:, None] * curve),
            self.slope * found.terms,
            torch.expm1(found.log_spend).clamp(min=0)[:, None],
            torch.softmax(found.next_kind, dim=1),
            found.embedding,
        )


def dimensions(network: ChurnNetwork) -> dict[str, int]:
    """Returns the outputs' names, in their order, and how many numbers each has a row."""
    return {
        OUTPUT: 1,
        "survival": network.hazards.out_features,
        "contributions": len(GROUPS),
        "expected_spend": 1,
        "next_kind": KIND_TOKENS,
        "user_embedding": network.shape.width,
    }


def export(served: Served, sample: ModelInput, path: Path) -> float:
    """Writes `path` and returns the largest difference between it and PyTorch on `sample` (at least 3 rows).

    Raises:
        ExportError: the difference is more than `PARITY`, or the file is larger than `MAX_BYTES`.
    """
    served = served.eval()
    names = list(dimensions(served.network))
    example = select(sample, slice(2))
    model = _to_onnx(served, example, names)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_lean(model).SerializeToString(deterministic=True))
    if path.stat().st_size > MAX_BYTES:
        raise ExportError(f"{path} has {path.stat().st_size} bytes, more than {MAX_BYTES}")
    with torch.no_grad():
        expected = dict(zip(names, served(*(torch.from_numpy(array) for array in sample)), strict=True))
    found = run(path, sample, _JUDGED)
    difference = max(float(np.abs(expected[name].numpy() - found[name]).max()) for name in _JUDGED)
    if not difference <= PARITY:
        raise ExportError(f"{path} differs from the network by {difference:.2g}, more than {PARITY}")
    return difference


def _to_onnx(served: Served, example: ModelInput, names: list[str]) -> onnx.ModelProto:
    batch = torch.export.Dim("batch", max=4_096)
    steps = torch.export.Dim("steps", max=64)
    # It misses torchvision, which nothing here needs.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # The inputs share their axes, and are meant to.
        warnings.filterwarnings("ignore", message="# The axis name: .* will not be used")
        program = torch.onnx.export(
            served,
            tuple(torch.from_numpy(array) for array in example),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(example._fields),
            output_names=names,
            dynamic_shapes={
                "step_tokens": {0: batch, 1: steps},
                "step_numbers": {0: batch, 1: steps},
                "features": {0: batch},
            },
            verbose=False,
        )
    if program is None:
        raise ExportError("torch.onnx.export returned nothing")
    return program.model_proto


def run(path: Path, inputs: ModelInput, names: tuple[str, ...]) -> Mapping[str, NDArray[np.float32]]:
    """Returns the outputs called `names` of the exported file at `path`, each with as many rows as `inputs`."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    parts: list[list[Any]] = []
    for start in range(0, len(inputs.features), _RUN_AT_ONCE):
        part = (array[start : start + _RUN_AT_ONCE] for array in inputs)
        parts.append(session.run(list(names), dict(zip(inputs._fields, part, strict=True))))
    return {name: np.concatenate(some) for name, some in zip(names, zip(*parts, strict=True), strict=True)}


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
