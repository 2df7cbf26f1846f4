"""One message as a line a person reads, and back, to the byte.

`key` is text, `value` the JSON of the value as it stands; where bytes are no UTF-8 the field is called
`key_base64` or `value_base64`, where they are UTF-8 but no JSON object `value_text`. Headers are pairs.
"""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from forestay.core.record import Headers
from forestay.recording.errors import RecordingError
from forestay.recording.messages import RecordedMessage


class _Bytes(msgspec.Struct, forbid_unknown_fields=True):
    base64: str


class _Line(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    topic: str
    partition: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    offset: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    timestamp: Annotated[int, Meta(ge=-1, le=2**63 - 1)]
    key: str | UnsetType | None = UNSET
    key_base64: str | UnsetType = UNSET
    value: msgspec.Raw | UnsetType = UNSET
    value_text: str | UnsetType = UNSET
    value_base64: str | UnsetType = UNSET
    headers: list[tuple[str, str | _Bytes | None]] = []


class _Probe(msgspec.Struct):
    value: msgspec.Raw


_NULL = msgspec.Raw(b"null")


def encode_line(message: RecordedMessage) -> bytes:
    """Returns `message` as one line of JSON, without the line's end."""
    line = _Line(*message[:4], headers=[(name, _to_text(value)) for name, value in message.headers])
    key = _to_text(message.key)
    if isinstance(key, _Bytes):
        line.key_base64 = key.base64
    else:
        line.key = key
    value = _to_text(message.value)
    if value is None or message.value is None:
        line.value = _NULL
    elif isinstance(value, _Bytes):
        line.value_base64 = value.base64
    elif _is_json_object(message.value):
        line.value = msgspec.Raw(message.value)
    else:
        line.value_text = value
    return msgspec.json.encode(line)


def decode_line(line: bytes) -> RecordedMessage:
    """Returns the message in `line`.

    Raises:
        RecordingError: it holds none.
    """
    try:
        row = msgspec.json.decode(line, type=_Line)
        headers: Headers = tuple((name, _from_text(value)) for name, value in row.headers)
        return RecordedMessage(row.topic, row.partition, row.offset, row.timestamp, _key(row), _value(row), headers)
    except (msgspec.DecodeError, UnicodeError, Base64Error) as error:
        raise RecordingError(f"is no recorded message ({error})") from error


def _key(row: _Line) -> bytes | None:
    if (row.key is UNSET) == (row.key_base64 is UNSET):
        raise RecordingError("needs exactly one of key and key_base64")
    if row.key_base64 is not UNSET:
        return b64decode(row.key_base64, validate=True)
    return None if row.key is None or row.key is UNSET else row.key.encode()


def _value(row: _Line) -> bytes | None:
    if sum(field is not UNSET for field in (row.value, row.value_text, row.value_base64)) != 1:
        raise RecordingError("needs exactly one of value, value_text and value_base64")
    if row.value_base64 is not UNSET:
        return b64decode(row.value_base64, validate=True)
    if row.value_text is not UNSET:
        return row.value_text.encode()
    raw = bytes(row.value)  # type: ignore[arg-type]
    return None if raw == b"null" else raw


def _to_text(value: bytes | None) -> str | _Bytes | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return _Bytes(b64encode(value).decode())


def _from_text(value: str | _Bytes | None) -> bytes | None:
    if isinstance(value, _Bytes):
        return b64decode(value.base64, validate=True)
    return None if value is None else value.encode()


def _is_json_object(value: bytes) -> bool:
    """Says whether `value` can stand in a line as it is: an object on one line that reads back as it was."""
    if not value.startswith(b"{") or b"\n" in value or b"\r" in value:
        return False
    try:
        probe = msgspec.json.decode(b'{"value":' + value + b"}", type=_Probe)
    except (msgspec.DecodeError, RecursionError):
        return False
    return bytes(probe.value) == value
