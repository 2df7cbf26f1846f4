"""Avro's logical types, read as what JSON can say; their names are ours, so that no other reader changes.

Source: Apache Avro 1.12 specification, section "Logical Types".
"""

import base64
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from fastavro.read import LOGICAL_READERS

#: A decimal may take this many bytes, 154 digits: converting a megabyte of digits takes minutes.
_MAX_DECIMAL_BYTES: Final = 64
_MAX_SCALE: Final = 154
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - local timestamps have no zone
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


def _decimal(data: bytes, schema: Mapping[str, Any]) -> float:
    """Returns the number nearest to the decimal: as JSON would have it."""
    if len(data) > _MAX_DECIMAL_BYTES:
        raise ValueError("a decimal of more than 154 digits")
    scale: int = schema["scale"]
    return int.from_bytes(data, "big", signed=True) / int(10**scale)


def _scale(schema: Mapping[str, Any]) -> int:
    scale = schema.get("scale", 0)
    if not isinstance(scale, int) or not 0 <= scale <= _MAX_SCALE:
        raise ValueError(f"a decimal's scale must lie between 0 and {_MAX_SCALE}")
    return scale


def _base64(data: bytes, _: Any) -> str:
    return base64.b64encode(data).decode()


def _uuid(data: bytes, _: Any) -> str:
    return str(UUID(bytes=data))


def _date(days: int, _: Any) -> str:
    return date.fromordinal(_EPOCH_DAY + days).isoformat()


def _milliseconds(ticks: int) -> Callable[[int, Any], int]:
    return lambda value, _: value // ticks


def _local(nanoseconds: int) -> Callable[[int, Any], str]:
    """Returns a reader of local moments: without a zone they are texts, which no contract takes for a moment."""

    def read(value: int, _: Any) -> str:
        moment = _EPOCH + timedelta(microseconds=value * nanoseconds // 1_000)
        return moment.isoformat(timespec="milliseconds")

    return read


#: By Avro's type and logical type. What is not here is read as the type it stands on: a `timestamp-millis` is an
#: integer, which the contract takes for epoch milliseconds; a `uuid` in a string is a string.
_READERS: Final[dict[tuple[str, str | None], Callable[[Any, Any], Any]]] = {
    ("bytes", None): _base64,
    ("fixed", None): _base64,
    ("bytes", "decimal"): _decimal,
    ("fixed", "decimal"): _decimal,
    ("fixed", "uuid"): _uuid,
    ("int", "date"): _date,
    ("long", "timestamp-micros"): _milliseconds(1_000),
    ("long", "timestamp-nanos"): _milliseconds(1_000_000),
    ("long", "local-timestamp-millis"): _local(1_000_000),
    ("long", "local-timestamp-micros"): _local(1_000),
    ("long", "local-timestamp-nanos"): _local(1),
}


def _name(logical: str | None) -> str:
    return f"forestay-{logical or 'base64'}"


def _register(kind: str, logical: str | None, read: Callable[[Any, Any], Any]) -> None:
    def logical_reader(value: Any, written: Any = None, _read_as: Any = None) -> Any:
        return read(value, written)

    LOGICAL_READERS[f"{kind}-{_name(logical)}"] = logical_reader


for (_kind, _logical), _reader in _READERS.items():
    _register(_kind, _logical, _reader)


def renamed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what `schema`, of a type without parts, says beside its name, its logical type being one of ours."""
    kind, logical = schema["type"], schema.get("logicalType")
    if (kind, logical) not in _READERS:
        logical = None
    if (kind, logical) not in _READERS:
        return {"type": kind}
    read = {"type": kind, "logicalType": _name(logical)}
    return read | ({"scale": _scale(schema)} if logical == "decimal" else {})
