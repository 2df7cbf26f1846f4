"""Features as Parquet, CSV or JSON lines: the same features are the same bytes.

Columns are `user_id`, `at` (UTC, in milliseconds), and the features as 32-bit floats. Texts hold the shortest
number that reads back as the same 32-bit float.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import IO, Final, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from forestay.core.units import to_datetime
from forestay.history.point_in_time import UserFeatures
from forestay_schemas.types import rfc3339

Form = Literal["parquet", "csv", "json"]
#: Users written at once: some 8 MB of features.
_ROWS: Final = 8_192


def write_features(file: IO[bytes], form: Form, names: Sequence[str], at: int, users: Iterable[UserFeatures]) -> int:
    """Writes the `users`, whose features have these `names` at moment `at`; returns how many there were."""
    tables = _tables(names, at, users)
    if form == "json":
        return sum(_write_lines(file, table) for table in tables)
    schema = _schema(names)
    written = 0
    if form == "parquet":
        with pq.ParquetWriter(file, schema, compression="zstd", write_statistics=False) as writer:
            for table in tables:
                writer.write_batch(table)
                written += table.num_rows
        return written
    text = schema.set(1, pa.field("at", pa.string()))
    with pyarrow.csv.CSVWriter(file, text) as writer:
        for table in tables:
            writer.write_batch(
                pa.RecordBatch.from_arrays([table[0], _as_text(at, table), *table.columns[2:]], schema=text)
            )
            written += table.num_rows
    return written


def _schema(names: Sequence[str]) -> pa.Schema:
    fixed = [pa.field("user_id", pa.string()), pa.field("at", pa.timestamp("ms", "UTC"))]
    return pa.schema([*fixed, *(pa.field(name, pa.float32()) for name in names)])


def _tables(names: Sequence[str], at: int, users: Iterable[UserFeatures]) -> Iterator[pa.RecordBatch]:
    schema = _schema(names)
    waiting = iter(users)
    while rows := list(islice(waiting, _ROWS)):
        matrix = np.array([row.features for row in rows], dtype=np.float32)
        moments = pa.array([at] * len(rows), pa.int64()).cast(schema.field("at").type)
        columns = [pa.array(np.ascontiguousarray(matrix[:, index])) for index in range(len(names))]
        yield pa.RecordBatch.from_arrays([pa.array([row.user_id for row in rows]), moments, *columns], schema=schema)


def _as_text(at: int, table: pa.RecordBatch) -> pa.Array:
    return pa.array([rfc3339(to_datetime(at))] * table.num_rows, pa.string())


def _write_lines(file: IO[bytes], table: pa.RecordBatch) -> int:
    """Writes an object a line; numbers are put in as Arrow writes them, for Python knows no shortest 32-bit float."""
    names = [msgspec.json.encode(name).decode() for name in table.schema.names]
    at = msgspec.json.encode(rfc3339(table[1][0].as_py())).decode()
    columns = [pc.cast(column, pa.string()).to_pylist() for column in table.columns[2:]]
    for user_id, *values in zip(table[0].to_pylist(), *columns, strict=True):
        cells = (msgspec.json.encode(user_id).decode(), at, *values)
        fields = ",".join(f"{name}:{cell}" for name, cell in zip(names, cells, strict=True))
        file.write(f"{{{fields}}}\n".encode())
    return int(table.num_rows)
