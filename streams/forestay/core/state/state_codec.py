"""State records as bytes: version, minute of the next timer, then numbers one after the other (`docs/state.md`).

The timer stands in front so that a worker can wait for a user without unpacking the record.
Moments within a user's record are written as their distance from the user's newest moment: a few bytes each.
Decoding refuses a version it does not know.
"""

from typing import Final

import msgspec
from mypy_extensions import i64

from forestay.core.budget.records import RESERVATION_PREFIX
from forestay.core.errors import StateError
from forestay.core.event import NEVER
from forestay.core.families.family import capped
from forestay.core.feature_set import FeatureSet
from forestay.core.packing import MAX_NUMBER, RecordReader, RecordWriter
from forestay.core.patterns.patterns import PatternMemory
from forestay.core.rewards.pending import MAX_PENDING, read_pending
from forestay.core.state.consent import read_consents, write_consents
from forestay.core.state.contact import Score
from forestay.core.state.contact_record import are_told_apart, read_contacts, read_sorts, write_contacts, write_sorts
from forestay.core.state.held import read_held, write_held
from forestay.core.state.identity import Identity, is_leaving
from forestay.core.state.mark import PartitionMark, StateTopics
from forestay.core.state.upgrade import upgraded
from forestay.core.state.user_state import MAX_ORDERS, UserState, remembered_orders
from forestay.core.survival import MAX_EDGES, MAX_HOURS, PARTS, Survival
from forestay.core.units import MINUTE
from forestay_schemas.types import MAX_EPOCH_MILLISECONDS

OLD_VERSION: Final = b"\x01"
USER_VERSION: Final[bytes] = b"\x02"
#: The same, of a user who waits for another id's state: a worker that takes over asks again.
ASKING_VERSION: Final[bytes] = b"\x82"
MARK_VERSION: Final[bytes] = b"\x02"
#: The same, of a partition whose shares of budgets have moved: code that knows no moves must not go on from it.
MOVED_VERSION: Final[bytes] = b"\x03"
_KNOWN: Final = (OLD_VERSION, USER_VERSION, ASKING_VERSION)
#: Bytes before the fields: the version, and the minute of the next timer.
HEADER: Final[int] = 5
#: Stands for 'no timer'.
NO_MINUTE: Final[int] = 2**32 - 1
#: Stands in its place in the record of an id whose state is to be moved to another (`core/identity/identities.py`).
LEAVING: Final[int] = 2**32 - 2
#: The key of a partition's mark on the changelog. A user id has no control characters, so none is this.
MARK_KEY: Final[bytes] = b"\x00mark"
#: The key of what its state is made beside. No key that begins so is a user's.
TOPICS_KEY: Final[bytes] = b"\x00topics"
_NO_USER: Final[bytes] = b"\x00"
_RESERVATION: Final[bytes] = RESERVATION_PREFIX.encode()

#: What a user may have, as bits of a number: what follows holds what is set, in this order.
_CONTACTS: Final = 1
_SCORE: Final = 2
_SCORED: Final = 4
_CLOCK: Final = 8
_COUNTRY: Final = 16
_TIMEZONE: Final = 32
_PATTERNS: Final = 64
_IDENTITY: Final = 128
_ORDERS: Final = 256
_CURVE: Final = 512
_PENDING: Final = 1_024
_SORTS: Final = 2_048
_CONSENTS: Final = 4_096
_HELD: Final = 8_192
_ALL: Final = 16_383

_encode_mark: Final = msgspec.msgpack.Encoder().encode
_decode_mark: Final = msgspec.msgpack.Decoder(PartitionMark).decode
_decode_topics: Final = msgspec.msgpack.Decoder(StateTopics).decode


def encode_user(state: UserState, features: FeatureSet, oldest: i64, lateness: i64, due: i64) -> bytes:
    """Returns the user's state record.

    `oldest` is the earliest moment an event may have that is not too late: what only earlier ones can need is left
    out; further lines of an order may lie `lateness` after it. `due` is when the user is to be looked at next. All
    are milliseconds, `due` may be `NEVER`.
    """
    writer = RecordWriter()
    writer.raw(_header(state, due))
    latest = state.last_ts
    # A user without events has no newest moment: distances are then from -1.
    writer.number(latest)
    writer.number(state.offset)
    writer.number(capped(state.applied))
    writer.number(capped(state.duplicates))
    state.event_ids.write(writer, latest, oldest)
    orders = remembered_orders(state.orders, oldest - lateness) if state.orders else {}
    present = _present(state) | (_ORDERS if orders else 0) | (_PENDING if state.pending is not None else 0)
    writer.number(present)
    _write_decided(writer, state)
    _write_known(writer, state)
    _write_orders(writer, orders, latest)
    if state.pending is not None:
        writer.number(len(state.pending))
        for pending in state.pending:
            pending.write(writer, latest)
    if state.consents:
        write_consents(writer, state.consents, latest)
    if state.held:
        write_held(writer, state.held, latest)
    # Nobody asks for features of moments before the last decision.
    now = max(latest, state.scored_ts)
    parts = state.parts
    codes = features.codes
    for index in range(len(parts)):
        begun = writer.begin(codes[index])
        parts[index].write(writer, latest, now)
        writer.end(begun)
    writer.close()
    return writer.written()


def _header(state: UserState, due: i64) -> bytes:
    identity = state.identity
    minute: i64 = NO_MINUTE if due == NEVER else due // MINUTE
    if is_leaving(identity):
        minute = LEAVING
    version = ASKING_VERSION if identity is not None and identity.asked else USER_VERSION
    return version + int(minute).to_bytes(4, "big")


def _present(state: UserState) -> i64:
    present = _decided(state)
    if state.seen_clock != NEVER:
        present |= _CLOCK
    if state.country is not None:
        present |= _COUNTRY
    if state.timezone is not None:
        present |= _TIMEZONE
    if state.patterns is not None and not state.patterns.is_empty():
        present |= _PATTERNS
    if state.identity is not None:
        present |= _IDENTITY
    return present


def _decided(state: UserState) -> i64:
    present: i64 = 0
    if state.contacts:
        present |= _CONTACTS
        if are_told_apart(state.contacts):
            present |= _SORTS
    if state.score is not None:
        present |= _SCORE
        if state.score.survival is not None:
            present |= _CURVE
    if state.scored_ts != NEVER:
        present |= _SCORED
    if state.consents:
        present |= _CONSENTS
    if state.held:
        present |= _HELD
    return present


def _write_decided(writer: RecordWriter, state: UserState) -> None:
    latest = state.last_ts
    if state.contacts:
        write_contacts(writer, state.contacts, latest)
        if are_told_apart(state.contacts):
            write_sorts(writer, state.contacts)
    score = state.score
    if score is not None:
        writer.real(score.probability)
        writer.number(latest - score.ts)
        writer.text(score.version)
        if score.survival is not None:
            _write_curve(writer, score.survival)
    if state.scored_ts != NEVER:
        writer.number(latest - state.scored_ts)
    if state.seen_clock != NEVER:
        writer.number(latest - state.seen_clock)


def _write_curve(writer: RecordWriter, curve: Survival) -> None:
    writer.number(len(curve.hours))
    before_hours, before_share = 0, PARTS
    for hours, share in zip(curve.hours, curve.shares, strict=True):
        writer.number(hours - before_hours)
        writer.number(before_share - share)
        before_hours, before_share = hours, share


def _write_known(writer: RecordWriter, state: UserState) -> None:
    latest = state.last_ts
    if state.country is not None:
        writer.text(state.country)
        writer.number(latest - state.country_ts)
    if state.timezone is not None:
        writer.text(state.timezone)
        writer.number(latest - state.timezone_ts)
    if state.patterns is not None and not state.patterns.is_empty():
        state.patterns.write(writer)
    if state.identity is not None:
        state.identity.write(writer)


def _write_orders(writer: RecordWriter, orders: dict[int, int], latest: i64) -> None:
    if orders:
        writer.number(len(orders))
        for order, ts in sorted(orders.items()):
            writer.number(order)
            writer.number(latest - ts)


def timer_minute(record: bytes) -> int:
    """Returns the minute in which the user of this record is to be looked at, `NEVER` if in none."""
    minute = 0 if record[:1] == OLD_VERSION else int.from_bytes(record[1:5], "big")
    return NEVER if minute >= LEAVING else minute


def with_minute(record: bytes, minute: int) -> bytes:
    """Returns a record held in memory, which tells the minute in which its user's timer stands."""
    if minute == NEVER or tells_leaving(record):
        return record
    return record[:1] + minute.to_bytes(4, "big") + record[HEADER:]


def tells_leaving(record: bytes) -> bool:
    """Says whether the record is of an id whose state is to be moved."""
    return record[:1] == USER_VERSION and int.from_bytes(record[1:5], "big") == LEAVING


def tells_asking(record: bytes) -> bool:
    """Says whether the record is of a user who waits for another id's state."""
    return record[:1] == ASKING_VERSION


def has_other_version(record: bytes) -> bool:
    """Says whether the record is of a version of which this code can read none."""
    return len(record) > HEADER and record[:1] not in _KNOWN


def check_known_version(record: bytes) -> None:
    """Makes sure that a user's record can be told by its first byte.

    Raises:
        StateError: it is of another version.
    """
    if record[:1] not in _KNOWN:
        raise StateError(
            f"it has version {record[:1].hex() or 'none'}, which this worker does not know: a newer one wrote it"
            " (update all workers), or it was damaged"
        )


def decode_user(record: bytes, features: FeatureSet) -> UserState:
    """Returns the state in a user's record.

    Raises:
        StateError: another version, or damaged bytes.
    """
    if record[:1] == OLD_VERSION:
        state = _user(RecordReader(upgraded(record)), features)
    else:
        if not tells_asking(record):
            _check_version(record, USER_VERSION, "user state")
        state = _user(RecordReader(record, HEADER), features)
    state.armed = timer_minute(record)
    return state


def _user(reader: RecordReader, features: FeatureSet) -> UserState:
    latest = reader.number()
    if not NEVER <= latest <= MAX_EPOCH_MILLISECONDS:
        raise StateError(f"a state record holds the moment {latest}")
    state = UserState([])
    state.last_ts = latest
    state.offset = reader.number()
    state.applied = reader.count(MAX_NUMBER)
    state.duplicates = reader.count(MAX_NUMBER)
    state.event_ids.read(reader, latest)
    present = reader.count(_ALL)
    _read_decided(reader, state, present)
    _read_known(reader, state, present)
    if present & _PENDING:
        state.pending = [read_pending(reader, latest) for _ in range(reader.count(MAX_PENDING))]
    if present & _CONSENTS:
        state.consents = read_consents(reader, latest)
    if present & _HELD:
        state.held = read_held(reader, latest)
    state.parts = features.read_parts(reader, latest)
    return state


def _read_decided(reader: RecordReader, state: UserState, present: i64) -> None:
    latest = state.last_ts
    if present & _CONTACTS:
        state.contacts = read_contacts(reader, latest)
    if present & _SORTS:
        read_sorts(reader, state.contacts)
    if present & _SCORE:
        probability = reader.real()
        if not 0.0 <= probability <= 1.0:
            raise StateError(f"a state record holds the probability {probability}")
        ts = reader.moment(latest)
        version = reader.text()
        state.score = Score(probability, ts, version, _read_curve(reader) if present & _CURVE else None)
    if present & _SCORED:
        state.scored_ts = reader.moment(latest)
    if present & _CLOCK:
        state.seen_clock = reader.moment(latest)


def _read_curve(reader: RecordReader) -> Survival:
    hours: list[int] = []
    shares: list[int] = []
    edge, share = 0, PARTS
    for _ in range(reader.count(MAX_EDGES)):
        edge += reader.count(MAX_HOURS)
        share -= reader.count(PARTS)
        hours.append(edge)
        shares.append(share)
    curve = Survival(tuple(hours), tuple(shares))
    curve.check()
    return curve


def _read_known(reader: RecordReader, state: UserState, present: i64) -> None:
    latest = state.last_ts
    if present & _COUNTRY:
        state.country = reader.text()
        state.country_ts = reader.moment(latest)
    if present & _TIMEZONE:
        state.timezone = reader.text()
        state.timezone_ts = reader.moment(latest)
    if present & _PATTERNS:
        state.patterns = PatternMemory.read(reader)
    if present & _IDENTITY:
        state.identity = Identity.read(reader)
    if present & _ORDERS:
        for _ in range(reader.count(MAX_ORDERS)):
            order = reader.number()
            state.orders[order] = reader.moment(latest)


def encode_mark(mark: PartitionMark) -> bytes:
    """Returns the partition's mark as a record."""
    has_moved = mark.budgets is not None and bool(mark.budgets.leases)
    return (MOVED_VERSION if has_moved else MARK_VERSION) + bytes(_encode_mark(mark))


def decode_mark(record: bytes) -> PartitionMark:
    """Returns the mark in a record.

    Raises:
        StateError: another version, or damaged bytes.
    """
    if record[:1] not in (OLD_VERSION, MOVED_VERSION):
        # Version 1 is the same without the watermark.
        _check_version(record, MARK_VERSION, "partition mark")
    try:
        return _decode_mark(record[1:])
    except msgspec.DecodeError as error:
        message = f"a partition mark cannot be read: {error}"
        raise StateError(message) from error


def encode_topics(topics: StateTopics) -> bytes:
    """Returns what a state is made beside as a record."""
    return MARK_VERSION + bytes(_encode_mark(topics))


def decode_topics(record: bytes) -> StateTopics:
    """Returns what a state was made beside.

    Raises:
        StateError: another version, or damaged bytes.
    """
    _check_version(record, MARK_VERSION, "record of topics")
    try:
        return _decode_topics(record[1:])
    except msgspec.DecodeError as error:
        raise StateError(f"a record of topics cannot be read: {error}") from error


def is_users(key: bytes) -> bool:
    """Says whether a key of the changelog is a user's."""
    return not key.startswith(_NO_USER)


def is_reservation(key: bytes) -> bool:
    """Says whether a key of the changelog is that of a reservation of budgets."""
    return key.startswith(_RESERVATION)


def _check_version(record: bytes, expected: bytes, what: str) -> None:
    if record[:1] != expected:
        message = f"a {what} record has version {record[:1].hex() or 'none'}, this code reads {expected.hex()}"
        raise StateError(message)
