"""Rows of tables to click events: cells of CSV, values of Parquet columns. Names are those of the contract."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

#: Columns whose text in a CSV file is a number, and those whose text anywhere is JSON.
_WHOLE: Final = ("quantity",)
_NUMBERS: Final = ("price", "rating")
_JSON: Final = ("items", "properties")
_MAX_DIGITS: Final = 15

#: Decimals as numbers: prices of a warehouse are such.
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


def value_of_cells(cells: dict[str, str]) -> bytes:
    """Returns a row of CSV as an event's value; what is no number or JSON is left for the contract to refuse."""
    fields: dict[str, Any] = {name: cell for name, cell in cells.items() if cell != ""}
    for name in (*_WHOLE, *_NUMBERS):
        if name in fields:
            with suppress(ValueError):
                fields[name] = _number(fields[name], whole=name in _WHOLE)
    ts = fields.get("ts", "")
    if ts.isascii() and ts.isdigit() and len(ts) <= _MAX_DIGITS:
        fields["ts"] = int(ts)
    return value_of_row(fields)


def value_of_row(row: dict[str, Any]) -> bytes:
    """Returns a row of typed values as an event's value: null is left out, a time without a zone is UTC."""
    fields = {name: value for name, value in row.items() if value is not None}
    for name in _JSON:
        text = fields.get(name)
        if isinstance(text, str):
            with suppress(msgspec.DecodeError):
                fields[name] = msgspec.json.decode(text)
    ts = fields.get("ts")
    if isinstance(ts, datetime) and ts.tzinfo is None:
        fields["ts"] = ts.replace(tzinfo=UTC)
    return _encode(fields)


def _number(text: str, *, whole: bool) -> float | int:
    if whole:
        with suppress(ValueError):
            return int(text)
    return float(text)
