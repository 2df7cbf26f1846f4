"""The figures in a version's `metrics.json`, as the gates and the list need them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from forestay.shipping.errors import ShippingError
from forestay.shipping.folder import METRICS, part

#: What the served model and boosted trees on the same features are called; the first that is there counts.
SERVED: Final = ("fused", "transformer", "Transformer")
TREES: Final = ("lightgbm", "LightGBM")


class Figure(NamedTuple):
    """A measure and the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Returns it as people write it."""
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


#: Figures by measure: auc, log_loss, ece, ...
Figures = Mapping[str, Figure]


class _Test(msgspec.Struct):
    #: By model; what else stands beside the figures is passed over.
    figures: dict[str, dict[str, Any]] = {}
    #: The served model's figure less another's, on the same rows.
    differences: dict[str, Any] = {}


class Metrics(msgspec.Struct):
    """What is read of the file; what is missing is None or empty, and for a gate to find."""

    model_version: str | None = None
    input_digest: str | None = None
    trained_until: str | None = None
    onnx_parity: float | None = None
    bytes: int | None = None
    served: str | None = None
    data: dict[str, Any] = {}
    test: _Test = msgspec.field(default_factory=_Test)

    def figures_of(self, names: tuple[str, ...]) -> Figures | None:
        """Returns the figures of the first of these models that is there."""
        return next((_figures(self.test.figures[name]) for name in names if name in self.test.figures), None)

    @property
    def served_figures(self) -> Figures | None:
        """Returns the figures of the model in the file; those of another model, whatever it is called, are not."""
        return self.figures_of(SERVED if self.served is None else tuple({self.served} & {*SERVED}))

    @property
    def trees(self) -> Figures | None:
        """Returns the figures of boosted trees."""
        return self.figures_of(TREES)

    @property
    def less_trees(self) -> Figures:
        """Returns what the served model has more than boosted trees, row by row; empty where that is not told."""
        return next((_figures(self.test.differences[name]) for name in TREES if name in self.test.differences), {})

    def same_rows(self, other: "Metrics") -> bool:
        """Says whether both were measured on the same data, split at the same time."""
        return bool(self.data) and (self.data, self.trained_until) == (other.data, other.trained_until)


def read_figures(folder: Path) -> Metrics:
    """Returns the figures of a version or candidate.

    Raises:
        ShippingError: there is no such file, or it is of another form.
    """
    file = part(folder, METRICS)
    try:
        return msgspec.json.decode(file.read_bytes(), type=Metrics)
    except FileNotFoundError as error:
        raise ShippingError(f"{file} is missing: `forestay train` writes it") from error
    except msgspec.DecodeError as error:
        raise ShippingError(f"{file} is not as `forestay train` writes it: {error}") from error


def _figures(told: Any) -> Figures:
    """Returns the figures among what is told; one that comes without an interval is as wide as itself."""
    if not isinstance(told, Mapping):
        return {}
    listed = {name: value if isinstance(value, list) else [value] * 3 for name, value in told.items()}
    return {
        name: Figure(*value)
        for name, value in listed.items()
        if len(value) == len(Figure._fields) and all(isinstance(one, int | float) for one in value)
    }
