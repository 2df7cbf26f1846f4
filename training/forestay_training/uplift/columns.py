"""Reads the columns of CSV and Parquet files; what is wrong with them is said in words."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from forestay.core.errors import ForestayError, UsageError
from forestay_training.uplift.campaign import Vector

#: Rows of one file: all are held in memory, 8 bytes a number.
_MOST_ROWS: Final = 5_000_000
_MOST_COLUMNS: Final = 1_000


def read_table(path: Path) -> pa.Table:
    """Returns the file's rows.

    Raises:
        ForestayError: the file is none of a campaign, or too large.
        OSError: it cannot be read.
    """
    # pyarrow's own error does not say which file is missing.
    with path.open("rb"):
        pass
    try:
        if path.suffix == ".parquet":
            table = pa.parquet.ParquetFile(path).read()
        elif path.suffix in {".csv", ".gz"}:
            table = pa.csv.read_csv(path, convert_options=pa.csv.ConvertOptions(strings_can_be_null=True))
        else:
            raise UsageError(f"{path}: a campaign is a .csv, .csv.gz or .parquet file")
    except pa.ArrowInvalid as error:
        raise ForestayError(f"{path}: cannot be read: {error}") from error
    if not table.num_rows:
        raise ForestayError(f"{path}: holds no rows")
    if table.num_rows > _MOST_ROWS or table.num_columns > _MOST_COLUMNS:
        raise ForestayError(f"{path}: more than {_MOST_ROWS:,} rows or {_MOST_COLUMNS:,} columns; take a sample")
    return table


def column(table: pa.Table, name: str, flag: str) -> pa.ChunkedArray:
    """Returns a column; `flag` is what named it.

    Raises:
        UsageError: there is none of that name.
    """
    if table.column_names.count(name) != 1:
        raise UsageError(f"{flag} {name}: no such column; there are {listed(table.column_names)}")
    return table.column(name)


def numbers(found: pa.ChunkedArray, name: str) -> Vector:
    """Returns a column as numbers (N,), nan where it holds none.

    Raises:
        ForestayError: it holds text.
    """
    if not is_number(found):
        raise ForestayError(f"column {name}: holds {found.type}, not numbers")
    return np.asarray(pc.cast(found, pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def full(values: Vector, name: str) -> Vector:
    """Returns `values` (N,) if every row has one.

    Raises:
        ForestayError: some have none.
    """
    lacking = int((~np.isfinite(values)).sum())
    if lacking:
        raise ForestayError(
            f"column {name}: {lacking:,} rows have no value; leave those rows out, or say what they are"
        )
    return values


def texts(found: pa.ChunkedArray) -> list[str | None]:
    """Returns a column as text, None where it holds nothing."""
    answer: list[str | None] = pc.cast(found, pa.string()).to_pylist()
    return answer


def is_number(found: pa.ChunkedArray) -> bool:
    """Whether a column holds numbers, or true and false."""
    kind = found.type
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def listed(names: Sequence[str], most: int = 20) -> str:
    """Returns names for a message, the first of them where there are many."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
