"""State records as bytes: one version byte, then MessagePack arrays in the order of the fields.

The layout is documented in `docs/state.md`. Decoding refuses a version it does not know.
"""

from typing import Final

import msgspec

from forestay.core.errors import StateError
from forestay.core.user_state import UserState

USER_VERSION: Final = b"\x01"
MARK_VERSION: Final = b"\x01"
#: The key of a partition's mark on the changelog. A user id has no control characters, so none is this.
MARK_KEY: Final = b"\x00mark"


class PartitionMark(msgspec.Struct, array_like=True, frozen=True):
    """How far one partition's state has come; written after the users of the same commit.

    `positions` is the next offset to read of each source topic, `decisions` the end of the decision topic
    when this was written: decisions beyond it were made after the last durable state (design D3).
    `generation` is the group generation that wrote it.
    """

    positions: dict[str, int]
    clock: int
    decisions: int
    generation: int


_encode = msgspec.msgpack.Encoder().encode
_decode_user = msgspec.msgpack.Decoder(UserState).decode
_decode_mark = msgspec.msgpack.Decoder(PartitionMark).decode


def encode_user(state: UserState) -> bytes:
    """Returns the user's state record."""
    return USER_VERSION + _encode(state)


def decode_user(record: bytes) -> UserState:
    """Returns the state in a user's record.

    Raises:
        StateError: another version, or damaged bytes.
    """
    _check_version(record, USER_VERSION, "user state")
    try:
        return _decode_user(record[1:])
    except msgspec.DecodeError as error:
        message = f"a user state record cannot be read: {error}"
        raise StateError(message) from error


def encode_mark(mark: PartitionMark) -> bytes:
    """Returns the partition's mark as a record."""
    return MARK_VERSION + _encode(mark)


def decode_mark(record: bytes) -> PartitionMark:
    """Returns the mark in a record.

    Raises:
        StateError: another version, or damaged bytes.
    """
    _check_version(record, MARK_VERSION, "partition mark")
    try:
        return _decode_mark(record[1:])
    except msgspec.DecodeError as error:
        message = f"a partition mark cannot be read: {error}"
        raise StateError(message) from error


def _check_version(record: bytes, expected: bytes, what: str) -> None:
    if record[:1] != expected:
        message = f"a {what} record has version {record[:1].hex() or 'none'}, this code reads {expected.hex()}"
        raise StateError(message)
