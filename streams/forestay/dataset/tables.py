"""Rows as Parquet: one schema, the same rows are the same bytes (`docs/dataset.md`)."""

from collections.abc import Iterable, Iterator
from itertools import islice
from math import prod
from typing import IO, Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from forestay.core.decision.model_input import NUMBER_COLUMNS, TOKEN_COLUMNS, ModelInput, stack
from forestay.core.families.sequence import MAX_STEPS
from forestay.core.feature_set import FEATURE_COUNT
from forestay.dataset.plan import Plan, Split, span_text

#: Rows of one row group: 4 kB each before compression.
_ROWS: Final = 2_048
#: The arrays of `ModelInput` by their names; each is one flat list a row.
SHAPES: Final = {
    "step_tokens": (MAX_STEPS, len(TOKEN_COLUMNS)),
    "step_numbers": (MAX_STEPS, len(NUMBER_COLUMNS)),
    "features": (FEATURE_COUNT,),
}
_TYPES: Final = {"step_tokens": pa.int32(), "step_numbers": pa.float32(), "features": pa.float32()}


class Row(NamedTuple):
    """One user at one cutoff.

    `labels` and `spends` (in the currency) have one for each horizon, both None where the data end too early.
    """

    user_id: str
    cutoff: int
    split: Split
    labels: tuple[float | None, ...]
    spends: tuple[float | None, ...]
    input: ModelInput


def label_columns(plan: Plan) -> list[str]:
    """Returns the names of the labels' columns, one for each horizon."""
    return [f"churned_{span_text(horizon)}" for horizon in plan.horizons]


def spend_columns(plan: Plan) -> list[str]:
    """Returns the names of the columns of what was spent, one for each horizon."""
    return [f"spend_{span_text(horizon)}" for horizon in plan.horizons]


def schema(plan: Plan) -> pa.Schema:
    """Returns the columns of every part."""
    fixed = [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("at", pa.timestamp("ms", "UTC"), nullable=False),
    ]
    arrays = [
        pa.field(name, pa.list_(pa.field("element", _TYPES[name], nullable=False), prod(shape)), nullable=False)
        for name, shape in SHAPES.items()
    ]
    outcomes = [pa.field(name, pa.float32()) for name in (*label_columns(plan), *spend_columns(plan))]
    return pa.schema([*fixed, pa.field("split", pa.string(), nullable=False), *outcomes, *arrays])


def write_part(rows: Iterable[Row], plan: Plan, into: IO[bytes]) -> int:
    """Writes rows in their order; returns how many there were. Memory is that of one row group."""
    columns = schema(plan)
    written = 0
    waiting = iter(rows)
    settings = {"compression": "zstd", "use_dictionary": ["user_id", "split"]}
    with pq.ParquetWriter(into, columns, **settings) as writer:
        while some := list(islice(waiting, _ROWS)):
            writer.write_batch(_batch(some, columns))
            written += len(some)
    return written


def _batch(rows: list[Row], columns: pa.Schema) -> pa.RecordBatch:
    inputs = stack([row.input for row in rows])
    outcomes = zip(*((*row.labels, *row.spends) for row in rows), strict=True)
    return pa.RecordBatch.from_arrays(
        [
            pa.array([row.user_id for row in rows], pa.string()),
            pa.array([row.cutoff for row in rows], pa.int64()).cast(columns.field("at").type),
            pa.array([str(row.split) for row in rows], pa.string()),
            *(pa.array(one, pa.float32()) for one in outcomes),
            *(_lists(array, columns.field(name).type) for name, array in inputs._asdict().items()),
        ],
        schema=columns,
    )


def _lists(array: NDArray[Any], kind: pa.DataType) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(array.reshape(-1)), type=kind)


def read_batches(part: IO[bytes], columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yields the `columns` of a part, a row group or less at once."""
    with pq.ParquetFile(part) as file:
        yield from file.iter_batches(_ROWS, columns=columns)


def array_of(batch: pa.RecordBatch, name: str) -> NDArray[Any]:
    """Returns one of the model's arrays as it is sent, the rows first."""
    flat: NDArray[Any] = batch.column(name).flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(batch.num_rows, *SHAPES[name])
