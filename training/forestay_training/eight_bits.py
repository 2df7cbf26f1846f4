"""A candidate in 8 bits: the exported file is replaced, and judged by what it answers itself.

docs/decisions/0017-int8-is-an-option.md has what is won and what it costs.
"""

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from sklearn.metrics import roc_auc_score

from forestay_training.evaluation.rows import Rows
from forestay_training.export import OUTPUT, ExportError, run
from forestay_training.fitting import Probabilities
from forestay_training.quantise import quantised

#: More AUC than this no quarter of the time is worth.
MOST_LOST: Final = 0.001


class Shrunk(NamedTuple):
    """What the file in 8 bits answers on the test rows (N,), and what metrics say of it."""

    answers: Probabilities
    told: dict[str, float]


def shrink(file: Path, test: Rows) -> Shrunk:
    """Replaces the ONNX file by one with 8-bit weights, where that loses no more than `MOST_LOST` of AUC on `test`.

    Raises:
        ExportError: it loses more; the file is as it was.
    """
    whole = file.read_bytes()
    before = _answers(file, test)
    file.write_bytes(quantised(whole))
    after = _answers(file, test)
    lost = float(roc_auc_score(test.churned, before) - roc_auc_score(test.churned, after))
    if lost > MOST_LOST:
        file.write_bytes(whole)
        raise ExportError(f"in 8 bits it loses {lost:.4f} of AUC, more than {MOST_LOST}: leave out --eight-bit")
    changed = float(np.abs(after - before).max())
    return Shrunk(after, {"auc_lost": lost, "largest_change": changed, "bytes_before": len(whole)})


def _answers(file: Path, test: Rows) -> Probabilities:
    return run(file, test.inputs, (OUTPUT,))[OUTPUT][:, 0].astype(np.float64)
