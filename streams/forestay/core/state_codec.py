"""State records as bytes: version, minute of the next timer, then MessagePack arrays (`docs/state.md`).

The timer stands in front so that a worker can wait for a user without unpacking the record.
Moments within a user's record are written as their distance from the user's newest moment: a few bytes each.
Decoding refuses a version it does not know.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from forestay.core.contact import Contact, Score
from forestay.core.errors import StateError
from forestay.core.event import NEVER
from forestay.core.feature_set import FeatureSet
from forestay.core.identity import Identity
from forestay.core.mark import PartitionMark
from forestay.core.patterns import PatternMemory
from forestay.core.units import MAX_AMOUNT, MINUTE
from forestay.core.upgrade import upgraded
from forestay.core.user_state import UserState, remembered_orders

USER_VERSION: Final[bytes] = b"\x02"
#: The same, of a user who waits for another id's state: a worker that takes over asks again.
ASKING_VERSION: Final[bytes] = b"\x82"
MARK_VERSION: Final[bytes] = b"\x02"
#: Bytes before the fields: the version, and the minute of the next timer.
HEADER: Final[int] = 5
#: Stands for 'no timer'.
NO_MINUTE: Final[int] = 2**32 - 1
#: Stands in its place in the record of an id whose state is to be moved to another (`core/identities.py`).
LEAVING: Final[int] = 2**32 - 2
#: The key of a partition's mark on the changelog. A user id has no control characters, so none is this.
MARK_KEY: Final[bytes] = b"\x00mark"

#: What a record holds, in the order of `encode_user`: the types are checked as it is read.
_Fields = tuple[
    int,
    int,
    int,
    int,
    list[int | bytes],
    list[int],
    dict[int, list[Any]],
    list[int] | None,
    list[int | str],
    tuple[float, int, str] | None,
    int | None,
    int | None,
    str | None,
    int | None,
    str | None,
    int | None,
    list[Any] | None,
]

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Fields).decode
_decode_mark: Final = msgspec.msgpack.Decoder(PartitionMark).decode


def encode_user(state: UserState, features: FeatureSet, oldest: int, lateness: int, due: int) -> bytes:
    """Returns the user's state record.

    `oldest` is the earliest moment an event may have that is not too late: what only earlier ones can need is left
    out; further lines of an order may lie `lateness` after it. `due` is when the user is to be looked at next. All
    are milliseconds, `due` may be `NEVER`.
    """
    latest = state.last_ts
    # Nobody asks for features of moments before the last decision.
    now = max(latest, state.scored_ts)
    parts: dict[int, list[Any]] = {}
    for index in range(len(state.parts)):
        plain = state.parts[index].to_plain(latest, now)
        if plain:
            parts[features.codes[index]] = plain
    score = state.score
    orders: list[int] = []
    if state.orders:
        for order, ts in sorted(remembered_orders(state.orders, oldest - lateness).items()):
            orders.append(order)
            orders.append(latest - ts)
    fields: list[Any] = [
        latest,
        state.offset,
        state.applied,
        state.duplicates,
        state.event_ids.to_plain(latest, oldest),
        orders,
        parts,
        state.patterns.to_plain() if state.patterns is not None else None,
        [value for contact in state.contacts for value in (latest - contact.ts, contact.offer_id)],
        None if score is None else [score.probability, latest - score.ts, score.version],
        _distance(latest, state.scored_ts),
        _distance(latest, state.seen_clock),
        state.country,
        _distance(latest, state.country_ts),
        state.timezone,
        _distance(latest, state.timezone_ts),
        None if state.identity is None else state.identity.to_plain(),
    ]
    identity = state.identity
    if identity is not None and identity.merged_into and not identity.moved:
        minute = LEAVING
    else:
        minute = NO_MINUTE if due == NEVER else due // MINUTE
    version = ASKING_VERSION if identity is not None and identity.asked else USER_VERSION
    return version + minute.to_bytes(4, "big") + bytes(_encode(fields))


def timer_minute(record: bytes) -> int:
    """Returns the minute in which the user of this record is to be looked at, `NEVER` if in none."""
    minute = 0 if record[:1] == b"\x01" else int.from_bytes(record[1:5], "big")
    return NEVER if minute >= LEAVING else minute


def with_minute(record: bytes, minute: int) -> bytes:
    """Returns a record held in memory, which tells the minute in which its user's timer stands."""
    if minute == NEVER or is_leaving(record):
        return record
    return record[:1] + minute.to_bytes(4, "big") + record[HEADER:]


def is_leaving(record: bytes) -> bool:
    """Says whether the record is of an id whose state is to be moved."""
    return record[:1] == USER_VERSION and int.from_bytes(record[1:5], "big") == LEAVING


def is_asking(record: bytes) -> bool:
    """Says whether the record is of a user who waits for another id's state."""
    return record[:1] == ASKING_VERSION


def has_other_version(record: bytes) -> bool:
    """Says whether the record is of a version of which this code can read none."""
    return len(record) > HEADER and record[:1] not in (b"\x01", USER_VERSION, ASKING_VERSION)


def check_numbers(record: bytes) -> None:
    """Checks the numbers of a record that came over a topic: sums of larger ones could not be written again.

    Raises:
        StateError: one is beyond 2^62, or the bytes are damaged.
    """
    try:
        waiting: list[Any] = [msgspec.msgpack.decode(record[HEADER:])]
    except msgspec.DecodeError as error:
        raise StateError(f"a user state record cannot be read: {error}") from error
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            waiting.extend(value)
            waiting.extend(value.values())
        elif isinstance(value, int) and abs(value) > MAX_AMOUNT:
            raise StateError(f"a user state record holds the number {value}")


def decode_user(record: bytes, features: FeatureSet) -> UserState:
    """Returns the state in a user's record.

    Raises:
        StateError: another version, or damaged bytes.
    """
    try:
        if record[:1] == b"\x01":
            fields: Sequence[Any] = upgraded(record)
        else:
            if not is_asking(record):
                _check_version(record, USER_VERSION, "user state")
            fields = _decode(record[HEADER:])
        state = _user(fields, features)
    except (msgspec.DecodeError, LookupError, TypeError, ValueError) as error:
        message = f"a user state record cannot be read: {error}"
        raise StateError(message) from error
    state.armed = timer_minute(record)
    return state


def _user(fields: Sequence[Any], features: FeatureSet) -> UserState:
    latest: int = fields[0]
    state = UserState(features.parts_from_plain(fields[6], latest))
    state.last_ts = latest
    state.offset = fields[1]
    state.applied = fields[2]
    state.duplicates = fields[3]
    state.event_ids.read(fields[4], latest)
    orders: list[int] = fields[5]
    state.orders = {orders[at]: latest - orders[at + 1] for at in range(0, len(orders), 2)}
    if fields[7] is not None:
        state.patterns = PatternMemory.from_plain(fields[7])
    contacts: list[Any] = fields[8]
    state.contacts = [Contact(latest - contacts[at], contacts[at + 1]) for at in range(0, len(contacts), 2)]
    if fields[9] is not None:
        state.score = Score(fields[9][0], latest - fields[9][1], fields[9][2])
    state.scored_ts = _moment(latest, fields[10])
    state.seen_clock = _moment(latest, fields[11])
    state.country = fields[12]
    state.country_ts = _moment(latest, fields[13])
    state.timezone = fields[14]
    state.timezone_ts = _moment(latest, fields[15])
    if fields[16] is not None:
        state.identity = Identity.from_plain(fields[16])
    return state


def _distance(latest: int, ts: int) -> int | None:
    return None if ts == NEVER else latest - ts


def _moment(latest: int, distance: int | None) -> int:
    return NEVER if distance is None else latest - distance


def encode_mark(mark: PartitionMark) -> bytes:
    """Returns the partition's mark as a record."""
    return MARK_VERSION + bytes(_encode(mark))


def decode_mark(record: bytes) -> PartitionMark:
    """Returns the mark in a record.

    Raises:
        StateError: another version, or damaged bytes.
    """
    if record[:1] != b"\x01":
        # Version 1 is the same without the watermark.
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
