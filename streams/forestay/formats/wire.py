"""Confluent's wire format: a zero byte, the schema's id in four bytes, big-endian, and what was serialized.

In Protobuf the message's indexes stand between: where in the .proto file the message is declared, outermost first,
as a count and so many numbers, all zigzag varints; the one byte 0 stands for the file's first message.
Source: Confluent Platform, "Formats, Serializers, and Deserializers", section "Wire format".
"""

from typing import Final

from forestay.core.errors import DeadLetter

#: Bytes before what was serialized.
HEADER: Final = 5
#: Message indexes are read to this depth: protoc itself takes messages nested 32 deep.
_MAX_INDEXES: Final = 32
#: A varint of 32 bits takes up to five bytes.
_MAX_VARINT: Final = 5


def schema_id(value: bytes) -> int | None:
    """Returns the id of the schema that `value` names; None if it is not framed."""
    if len(value) < HEADER or value[0] != 0:
        return None
    return int.from_bytes(value[1:HEADER], "big")


def named_schema(value: bytes) -> int:
    """Returns the id of the schema that `value` names.

    Raises:
        DeadLetter: the value is not framed.
    """
    found = schema_id(value)
    if found is None:
        raise DeadLetter("not_framed", "the value does not begin with a zero byte and a schema id (4 bytes)")
    return found


def message_indexes(value: bytes) -> tuple[tuple[int, ...], int]:
    """Returns the message indexes of a framed value, and where they end.

    Raises:
        DeadLetter: the value ends within them, or they are no indexes.
    """
    count, end = _varint(value, HEADER)
    if count == 0:
        return (0,), end
    if not 0 < count <= _MAX_INDEXES:
        raise DeadLetter("not_framed", f"the value names {count} message indexes; there are 1 to {_MAX_INDEXES}")
    indexes = []
    for _ in range(count):
        index, end = _varint(value, end)
        indexes.append(index)
    return tuple(indexes), end


def _varint(value: bytes, start: int) -> tuple[int, int]:
    """Returns the zigzag varint at `start`, and where it ends."""
    number = 0
    for place, byte in enumerate(value[start : start + _MAX_VARINT]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:  # noqa: PLR2004 - the bit that says more follow
            return (number >> 1) ^ -(number & 1), start + place + 1
    raise DeadLetter("not_framed", "the value's message indexes are cut off, or are no varints")
