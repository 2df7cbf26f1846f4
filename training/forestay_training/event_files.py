"""Purchases of a public data set as a Parquet file of click events, which every command reads."""

import json
import sys
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

_ROWS: Final = 16_384
_ITEM: Final = pa.struct(
    [("item_id", pa.string()), ("category", pa.string()), ("price", pa.float64()), ("quantity", pa.int64())]
)
_SCHEMA: Final = pa.schema(
    [
        ("event_id", pa.string()),
        ("user_id", pa.string()),
        ("event", pa.string()),
        ("ts", pa.timestamp("ms", "UTC")),
        ("order_id", pa.string()),
        ("currency", pa.string()),
        ("items", pa.list_(_ITEM)),
    ]
)


def write_events(events: Iterable[dict[str, Any]], out: Path) -> int:
    """Writes `events`, which have the columns above, and returns how many there were."""
    written = 0
    waiting = iter(events)
    with pq.ParquetWriter(out, _SCHEMA, compression="zstd") as writer:
        while some := list(islice(waiting, _ROWS)):
            writer.write_table(pa.Table.from_pylist(some, _SCHEMA))
            written += len(some)
    return written


def convert(events: Iterable[dict[str, Any]], out: Path) -> None:
    """Writes `events` to `out`, and prints how many there were."""
    written = write_events(events, out)
    report = {"file": str(out), "bytes": out.stat().st_size, "events": written}
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
