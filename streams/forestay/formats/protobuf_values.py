"""Protobuf messages to what JSON can say. A field that is not set is left out.

Source: the ProtoJSON mapping, with these differences: names as in the .proto file; 64-bit integers are numbers;
moments are integer milliseconds since the epoch, durations seconds; names of enums as events have them.
"""

import base64
import re
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

#: Beyond this a double tells no whole number from the next.
_EXACT: Final = 2**53
_NANOSECONDS: Final = 1_000_000_000
_WRAPPERS: Final = ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String")
Convert = Callable[[Any], Any]


class MessageReader:
    """Reads messages of one type, and of the types its fields are of."""

    def __init__(self, descriptor: Any) -> None:
        """Takes a message's descriptor."""
        self._fields: dict[str, dict[int, tuple[str, Convert]]] = {}
        self._descriptor = descriptor

    def to_dict(self, message: Any) -> dict[str, Any]:
        """Returns the fields that are set, by name. Depth is bounded by the parser's, 100 messages."""
        return self._read(message, self._converters(self._descriptor))

    @staticmethod
    def _read(message: Any, converters: dict[int, tuple[str, Convert]]) -> dict[str, Any]:
        read = {}
        for field, value in message.ListFields():
            # Extensions of proto2 are not among the message's own fields.
            known = converters.get(field.number)
            if known is not None:
                name, convert = known
                read[name] = convert(value)
        return read

    def _converters(self, descriptor: Any) -> dict[int, tuple[str, Convert]]:
        found = self._fields.get(descriptor.full_name)
        if found is None:
            # Known before it is filled: a message may hold its own kind.
            found = self._fields[descriptor.full_name] = {}
            for field in descriptor.fields:
                found[field.number] = (field.name, self._of_field(field))
        return found

    def _of_field(self, field: Any) -> Convert:
        of_one = field.message_type
        if of_one is not None and of_one.GetOptions().map_entry:
            convert = self._of_one(of_one.fields_by_name["value"])
            return lambda entries: {_key(key): convert(entries[key]) for key in entries}
        convert = self._of_one(field)
        return (lambda values: [convert(value) for value in values]) if field.is_repeated else convert

    def _of_one(self, field: Any) -> Convert:
        if field.enum_type is not None:
            return _of_enum(field.enum_type)
        if field.message_type is None:
            return _OF_TYPE.get(field.type, _same)
        known = _WELL_KNOWN.get(field.message_type.full_name)
        if known is not None:
            return known
        converters = self._converters(field.message_type)
        return lambda message: self._read(message, converters)


def _of_enum(enum: Any) -> Convert:
    """Returns a reader of names without the enum's own, in lower case: EVENT_NAME_ADD_TO_CART is add_to_cart."""
    prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper() + "_"
    names = {number: value.name.removeprefix(prefix).lower() for number, value in enum.values_by_number.items()}
    # A number that a newer schema added stays a number: no contract takes it for a name.
    return lambda number: names.get(number, number)


def _same(value: Any) -> Any:
    return value


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _text(value: Any) -> str:
    """Returns a text; proto2 hands bytes over where it is not UTF-8."""
    if not isinstance(value, str):
        raise ValueError("a text that is not UTF-8")  # noqa: TRY004 - the value is wrong, not the program
    return value


def _key(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def _timestamp(message: Any) -> int:
    return int(message.seconds * 1_000 + message.nanos // 1_000_000)


def _duration(message: Any) -> float:
    return float(message.seconds + message.nanos / _NANOSECONDS)


def _number(value: float) -> float | int:
    """Returns a whole number as such: a Struct holds doubles, its JSON did not."""
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


def _json_value(message: Any) -> Any:
    kind = message.WhichOneof("kind")
    if kind == "number_value":
        return _number(message.number_value)
    if kind == "struct_value":
        return _struct(message.struct_value)
    if kind == "list_value":
        return _list(message.list_value)
    return None if kind in (None, "null_value") else getattr(message, kind)


def _struct(message: Any) -> dict[str, Any]:
    return {name: _json_value(message.fields[name]) for name in message.fields}


def _list(message: Any) -> list[Any]:
    return [_json_value(value) for value in message.values]


_OF_TYPE: Final[dict[int, Convert]] = {FieldDescriptor.TYPE_BYTES: _base64, FieldDescriptor.TYPE_STRING: _text}
_WELL_KNOWN: Final[dict[str, Convert]] = {
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Duration": _duration,
    "google.protobuf.Struct": _struct,
    "google.protobuf.Value": _json_value,
    "google.protobuf.ListValue": _list,
    "google.protobuf.BytesValue": lambda message: _base64(message.value),
    **{f"google.protobuf.{name}Value": lambda message: message.value for name in _WRAPPERS},
}
