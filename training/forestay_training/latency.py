"""What a user costs: the exported graph in ONNX Runtime on one thread, in batches as workers send them."""

import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from forestay.core.decision.model_input import ModelInput
from forestay_training.calibrate import Platt
from forestay_training.export import OUTPUT, Served, export
from forestay_training.fitting import lengths
from forestay_training.network import ChurnNetwork
from forestay_training.training_set import select

_BATCH: Final = 32
_BATCHES: Final = 16
#: Of so many rounds the fastest counts: what else runs here only slows.
_ROUNDS: Final = 15


def milliseconds_a_user(network: ChurnNetwork, sample: ModelInput) -> float:
    """Returns the time of a user, on the first rows of `sample` (at least 3), each batch as long as it must be.

    It depends on the network's shape, hardly on its weights.
    """
    rows = np.arange(min(len(sample.features), _BATCH * _BATCHES))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export(
            Served(network, Platt(1.0, 0.0), network.hazards.out_features - 1), select(sample, rows[:_BATCH]), path
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    batches = [_feed(sample, rows[start : start + _BATCH]) for start in range(0, len(rows), _BATCH)]
    best = np.full(len(batches), np.inf)
    for _ in range(_ROUNDS):
        for number, feed in enumerate(batches):
            started = time.perf_counter()
            session.run([OUTPUT], feed)
            best[number] = min(best[number], time.perf_counter() - started)
    return float(best.sum() * 1_000 / len(rows))


def _feed(sample: ModelInput, rows: NDArray[np.int64]) -> dict[str, object]:
    part = select(sample, rows)
    longest = int(lengths(part).max())
    return {
        "step_tokens": np.ascontiguousarray(part.step_tokens[:, -longest:]),
        "step_numbers": np.ascontiguousarray(part.step_numbers[:, -longest:]),
        "features": part.features,
    }
