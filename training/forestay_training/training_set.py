"""A folder of `forestay dataset` as arrays: who, when, what for, what came of it, and what the model is given."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from forestay.core.decision.model_input import INPUT_DIGEST, ModelInput
from forestay.core.errors import ForestayError
from forestay.dataset.manifest import FORMAT
from forestay.dataset.plan import parse_span, span_text
from forestay.dataset.tables import SHAPES


class TrainingSetError(ForestayError):
    """The folder is no training set, or not one for this version."""


@dataclass(frozen=True)
class TrainingSet:
    """N rows, sorted by part, user and cutoff.

    `moments` are cutoffs in milliseconds, (N,); `splits` what rows are for (`docs/dataset.md`); `left` is 1.0 for who
    has left by each of the H `horizons` (milliseconds, rising), 0.0 for who has not, nan where it is not known,
    (N, H); `spent` is what was spent within each, in the currency, nan where `left` is; `inputs` have N first.
    """

    manifest: dict[str, Any]
    users: NDArray[np.str_]
    moments: NDArray[np.int64]
    splits: NDArray[np.str_]
    horizons: tuple[int, ...]
    left: NDArray[np.float32]
    spent: NDArray[np.float32]
    inputs: ModelInput

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads the folder: 4 kB a row.

        Raises:
            TrainingSetError: it is none, or has another format or input than this version.
        """
        manifest = _manifest(folder)
        try:
            table = pq.read_table(folder / "rows")
        except (OSError, pa.ArrowException) as error:
            raise TrainingSetError(f"{folder}: its rows cannot be read: {error}") from error
        return cls(
            manifest=manifest,
            users=np.array(table["user_id"].to_pylist(), dtype=np.str_),
            moments=table["at"].cast(pa.int64()).to_numpy(),
            splits=np.array(table["split"].to_pylist(), dtype=np.str_),
            horizons=tuple(parse_span(text, "horizon") for text in manifest["horizons"]),
            left=_side_by_side(table, manifest["label"]["columns"]),
            spent=_side_by_side(table, manifest["spend"]["columns"]),
            inputs=ModelInput(*(_array(table[name], shape) for name, shape in SHAPES.items())),
        )

    def where(self, mask: NDArray[np.bool_]) -> "TrainingSet":
        """Returns the rows that `mask` (N,) selects."""
        inputs = select(self.inputs, mask)
        chosen = (self.users[mask], self.moments[mask], self.splits[mask])
        return TrainingSet(self.manifest, *chosen, self.horizons, self.left[mask], self.spent[mask], inputs)

    def split(self, name: str) -> "TrainingSet":
        """Returns the rows of one purpose: train, validation, test or gap."""
        return self.where(self.splits == name)

    def churned(self, horizon: int) -> NDArray[np.float32]:
        """Returns the labels (N,) of a horizon in milliseconds.

        Raises:
            TrainingSetError: the set has no such horizon.
        """
        if horizon not in self.horizons:
            known = ", ".join(map(span_text, self.horizons))
            raise TrainingSetError(f"no labels for a horizon of {span_text(horizon)}: the training set has {known}")
        return self.left[:, self.horizons.index(horizon)]

    def __len__(self) -> int:
        """Returns N."""
        return len(self.users)


def select(inputs: ModelInput, rows: NDArray[np.bool_] | NDArray[np.int64] | slice) -> ModelInput:
    """Returns the given rows of a batch."""
    tokens, numbers, features = inputs
    return ModelInput(tokens[rows], numbers[rows], features[rows])


_WITHOUT: Final = "make it with `forestay dataset` of this version"


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    except (OSError, ValueError) as error:
        raise TrainingSetError(f"{folder} is no training set ({error}): {_WITHOUT}") from error
    for key, expected in (("format", FORMAT), ("input_digest", INPUT_DIGEST)):
        if manifest.get(key) != expected:
            raise TrainingSetError(f"{folder} has {key} {manifest.get(key)}, this version has {expected}: {_WITHOUT}")
    return manifest


def _side_by_side(table: pa.Table, names: list[str]) -> NDArray[np.float32]:
    # Null becomes nan.
    return np.stack([table[name].to_numpy().astype(np.float32) for name in names], axis=1)


def _array(column: pa.ChunkedArray, shape: tuple[int, ...]) -> NDArray[Any]:
    flat: NDArray[Any] = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    # A copy: torch takes no arrays that may not be written.
    return flat.reshape(-1, *shape).copy()
