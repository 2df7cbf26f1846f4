"""Two records side by side, as a person reads them: only the fields that differ."""

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

#: What a record does not have.
ABSENT: Final = "(none)"
#: Characters shown of a value that is no JSON.
_SHOWN: Final = 200


class FieldChange(NamedTuple):
    """A field by its path, `candidates.0.propensity`, and its value on both sides as JSON."""

    path: str
    before: str
    after: str


def field_changes(before: bytes | None, after: bytes | None) -> list[FieldChange]:
    """Returns the fields in which two values differ, in their order; a value that is no JSON is one field."""
    first, second = _fields(before), _fields(after)
    paths = [*first, *(path for path in second if path not in first)]
    return [
        FieldChange(path, first.get(path, ABSENT), second.get(path, ABSENT))
        for path in paths
        if first.get(path) != second.get(path)
    ]


def _fields(value: bytes | None) -> dict[str, str]:
    if value is None:
        return {}
    try:
        return dict(_leaves(msgspec.json.decode(value), ""))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {"value": json.dumps(value.decode(errors="backslashreplace")[:_SHOWN], ensure_ascii=False)}


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not inner:
        yield path or "value", json.dumps(value, ensure_ascii=False)
        return
    for name, one in inner:
        yield from _leaves(one, f"{path}.{name}" if path else str(name))
