"""The model's figures beside its baselines, where the model repository holds them."""

from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from forestay.core.errors import ForestayError
from forestay.shipping.changes import current_metrics

#: Measures shown of each test, and how they are headed.
_MEASURES: Final = {"auc": "AUC", "log_loss": "log-loss"}


class MetricsTable(NamedTuple):
    """Column names, rows of texts, and what they were measured on."""

    columns: list[str]
    rows: list[list[str]]
    note: str


class _Rows(msgspec.Struct):
    rows: int


class _Test(msgspec.Struct):
    #: By model and measure: the value, and the ends of its 95 % interval.
    figures: dict[str, dict[str, tuple[float, float, float]]]


class _Metrics(msgspec.Struct):
    trained_until: str
    splits: dict[str, _Rows]
    test: _Test
    live_test: _Test


def model_metrics(model: Path) -> MetricsTable | None:
    """Returns the figures of the version that answers, in a model's folder; None where there are none."""
    try:
        return read_metrics(current_metrics(model))
    except ForestayError:
        return None


def read_metrics(path: Path) -> MetricsTable | None:
    """Returns the figures in a model's `metrics.json`, None where there is none or it is of another form."""
    try:
        metrics = msgspec.json.decode(path.read_bytes(), type=_Metrics)
        return _table(metrics)
    except (OSError, msgspec.DecodeError, KeyError):
        return None


def _table(metrics: _Metrics) -> MetricsTable:
    tests = (("test", metrics.test), ("live", metrics.live_test))
    columns = ["model", *(f"{heading}, {name}" for name, _ in tests for heading in _MEASURES.values())]
    rows = [
        [model, *(f"{test.figures[model][measure][0]:.3f}" for _, test in tests for measure in _MEASURES)]
        for model in metrics.test.figures
        # The same model from other seeds: the model card has them.
        if ", seed" not in model
    ]
    note = (
        f"Test: {metrics.splits['test'].rows:,} customers at one later moment. Live: the"
        f" {metrics.splits['live'].rows:,} later moments at which a worker would have asked. Nothing after"
        f" {metrics.trained_until[:10]} was seen in training. Intervals and limits are in model_card.md."
    )
    return MetricsTable(columns, rows, note)
