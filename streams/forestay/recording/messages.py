"""Recorded messages, one by one and as columns."""

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any, Final

import pyarrow as pa

from forestay.core.record import Headers, SourceRecord

#: One row of a recording: what the core reads, so that replay through the core converts nothing.
RecordedMessage = SourceRecord

_HEADER: Final = pa.struct([pa.field("name", pa.string(), nullable=False), pa.field("value", pa.binary())])

#: The columns of a recording, in order. `timestamp` is in epoch milliseconds, -1 where the topic has none.
SCHEMA: Final = pa.schema(
    [
        pa.field("topic", pa.string(), nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("timestamp", pa.int64(), nullable=False),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
        pa.field("headers", pa.list_(pa.field("element", _HEADER, nullable=False)), nullable=False),
    ]
)

#: Rows turned into Python objects at once: a few MB at a kilobyte a row.
_CHUNK: Final = 4_096


def to_columns(messages: Sequence[RecordedMessage]) -> pa.RecordBatch:
    """Returns `messages` as columns of `SCHEMA`."""
    *columns, headers = zip(*messages, strict=True) if messages else ((),) * len(SCHEMA)
    rows = [[{"name": name, "value": value} for name, value in row] for row in headers]
    arrays = [pa.array(column, field.type) for column, field in zip((*columns, rows), SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def from_columns(batch: pa.RecordBatch) -> Iterator[RecordedMessage]:
    """Yields the rows of `batch`."""
    for start in range(0, batch.num_rows, _CHUNK):
        *columns, headers = batch.slice(start, _CHUNK).columns
        yield from map(RecordedMessage, *(column.to_pylist() for column in columns), _headers(headers))


def _headers(column: pa.ListArray) -> Iterator[Headers]:
    if len(column.flatten()) == 0:
        return repeat((), len(column))
    rows: list[list[dict[str, Any]]] = column.to_pylist()
    return (tuple((header["name"], header["value"]) for header in row) for row in rows)
