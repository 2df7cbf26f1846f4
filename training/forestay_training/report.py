"""`metrics.json`: everything the model card shows, and what it takes to make it again."""

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

import numpy as np

from forestay.core.units import to_datetime
from forestay.recording import Recording
from forestay_schemas.types import rfc3339
from forestay_training import splits
from forestay_training.dataset import Rows
from forestay_training.evaluate import Comparison
from forestay_training.experiment import AS_PUBLISHED, Judged, Run, Split

TRANSFORMER: Final = "Transformer"
#: What the model is compared with on the same draws.
RIVALS: Final = ("logistic regression", "LightGBM", *AS_PUBLISHED.values())
LIBRARIES: Final = ("torch", "transformers", "onnx", "onnxruntime", "onnxscript", "lightgbm", "scikit-learn", "numpy")
_BOOTSTRAP_SEED: Final = 0


def figures(split: Split, baselines: Mapping[str, Judged], runs: Sequence[Run], draws: int) -> dict[str, Any]:
    """Returns the measures of every model on both tests; the first run is the model that ships."""
    models = {TRANSFORMER: runs[0].judged, **baselines}
    models |= {f"{TRANSFORMER}, seed {run.seed}": run.judged for run in runs[1:]}
    return {
        "models": {name: _model(judged) for name, judged in models.items()},
        "test": _compare(split.test, {name: judged.test for name, judged in models.items()}, draws),
        "live_test": _compare(split.live, {name: judged.live for name, judged in models.items()}, draws),
    }


def facts(recording: Recording, split: Split, share: float) -> dict[str, Any]:
    """Returns where the rows come from and how they are split."""
    return {
        "data": {
            "recording": recording.path.name,
            "digest": recording.digest,
            "credit": recording.metadata.credit,
            "licence": recording.metadata.licence,
            "share_of_users": share,
        },
        "horizon_days": splits.HORIZON_DAYS,
        "trained_until": rfc3339(to_datetime(splits.TRAINED_UNTIL)),
        "splits": {name: _rows(rows) for name, rows in vars(split).items()},
    }


def environment() -> dict[str, str]:
    """Returns the versions the figures were made with."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def _rows(rows: Rows) -> dict[str, Any]:
    return {
        "rows": len(rows),
        "users": len(np.unique(rows.users)),
        "churned": round(float(rows.churned.mean()), 4),
        "first_moment": rfc3339(to_datetime(int(rows.moments.min()))),
        "last_moment": rfc3339(to_datetime(int(rows.moments.max()))),
    }


def _model(judged: Judged) -> dict[str, Any]:
    return {
        "setting": judged.setting,
        "validation_log_loss": round(judged.validation_log_loss, 4),
        "platt_slope": round(judged.calibration.slope, 4),
        "platt_intercept": round(judged.calibration.intercept, 4),
    }


def _compare(rows: Rows, answers: Mapping[str, Any], draws: int) -> dict[str, Any]:
    comparison = Comparison(rows.users, rows.churned, answers, draws, _BOOTSTRAP_SEED)
    return {
        "figures": comparison.figures(),
        "differences": {rival: comparison.differences(TRANSFORMER, rival) for rival in RIVALS},
    }
