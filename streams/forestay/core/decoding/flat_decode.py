"""The compiled decoder of the usual click event: a flat object in ASCII with at most one item.

What it accepts, the contract accepts with the same result (a property test holds it to that); the rest it leaves to
others. It takes two thirds of the time of `fast_decode`; in plain Python, where loops over bytes are slow, it is not
used.
"""

from typing import Final

from librt.vecs import vec
from mypy_extensions import i64

from forestay.core.decoding.fast_decode import MOST_IDENTIFIER, MOST_LABEL, MOST_QUANTITY, SHORT
from forestay.core.decoding.flat_json import NUMBER, TEXT, Field, FlatObject, Names, hundredths, whole
from forestay.core.decoding.timestamps import UNKNOWN, parse_usual
from forestay.core.event import EVENT_NAMES, Event, LineItem
from forestay.core.hashing import hash_bytes
from forestay_schemas.types import MAX_EPOCH_MILLISECONDS

#: Says whether this module runs in its compiled form.
COMPILED: Final = not __file__.endswith(".py")

#: In hundredths.
_MOST_PRICE: Final = 10**11
_MOST_RATING: Final = 10_000
_A: Final = 0x41
_Z: Final = 0x5A

_EVENT_ID: Final = 0
_USER_ID: Final = 3
_EVENT: Final = 6
_TS: Final = 9
_ITEM_ID: Final = 12
_ITEM_NAME: Final = 15
_CATEGORY: Final = 18
_PRICE: Final = 21
_QUANTITY: Final = 24
_RATING: Final = 27
_CURRENCY: Final = 30
_ORDER_ID: Final = 33
_ANONYMOUS_ID: Final = 36
_COUNTRY: Final = 39
_TIMEZONE: Final = 42
#: Each stands three numbers behind the one before (`flat_json`).
_CLICK: Final = FlatObject(
    [
        Field("event_id", 1, MOST_IDENTIFIER),
        Field("user_id", 1, MOST_IDENTIFIER),
        Field("event", 1, MOST_LABEL),
        Field("ts", 1, MOST_LABEL, number=True),
        Field("item_id", 1, MOST_IDENTIFIER),
        Field("item_name", 0, MOST_LABEL),
        Field("category", 0, MOST_LABEL),
        Field("price", number=True),
        Field("quantity", number=True),
        Field("rating", number=True),
        Field("currency", 3, 3),
        Field("order_id", 1, MOST_IDENTIFIER),
        Field("anonymous_id", 1, MOST_IDENTIFIER),
        Field("country", 0, MOST_LABEL),
        Field("timezone", 0, MOST_LABEL),
        Field("items"),
        Field("properties"),
        Field("session_id", 1, MOST_IDENTIFIER),
        Field("brand", 0, MOST_LABEL),
        Field("query", 0, MOST_LABEL),
        Field("channel", 0, MOST_LABEL),
        Field("device", 0, MOST_LABEL),
    ]
)
_KINDS: Final = Names(EVENT_NAMES)


def flat_event(value: bytes, key: bytes) -> Event | None:
    """Returns the event of the user who is the record's key, None if others have to judge."""
    if len(value) > SHORT:
        return None
    at = _CLICK.places(value)
    if len(at) == 0 or at[_EVENT_ID] != TEXT or at[_EVENT] != TEXT or not _is(value, at, _USER_ID, key):
        return None
    kind = _KINDS.find(value, at[_EVENT + 1], at[_EVENT + 2] - at[_EVENT + 1])
    ts = _moment(value, at)
    if kind < 0 or ts < 0 or not _in_bounds(value, at):
        return None
    items = _items(value, at)
    if items is None:
        return None
    return Event(
        value[at[_EVENT_ID + 1] : at[_EVENT_ID + 2]],
        key.decode(),
        kind,
        ts,
        items,
        _text(value, at, _ORDER_ID),
        _text(value, at, _ANONYMOUS_ID),
        _text(value, at, _COUNTRY),
        _text(value, at, _TIMEZONE),
        _text(value, at, _CURRENCY),
    )


def _text(value: bytes, at: vec[i64], field: i64) -> str | None:
    return value[at[field + 1] : at[field + 2]].decode() if at[field] == TEXT else None


def _is(value: bytes, at: vec[i64], field: i64, expected: bytes) -> bool:
    """Says whether the field holds this text, which is ASCII if it does."""
    start = at[field + 1]
    length = at[field + 2] - start
    if at[field] != TEXT or length != len(expected):
        return False
    index: i64 = 0
    while index < length:
        if value[start + index] != expected[index]:
            return False
        index += 1
    return True


def _in_bounds(value: bytes, at: vec[i64]) -> bool:
    """Says whether rating and currency are what they may be."""
    if at[_RATING] == NUMBER:
        rating = hundredths(value, at[_RATING + 1], at[_RATING + 2])
        if not 0 <= rating <= _MOST_RATING:
            return False
    if at[_CURRENCY] == TEXT:
        start = at[_CURRENCY + 1]
        while start < at[_CURRENCY + 2]:
            if not _A <= value[start] <= _Z:
                return False
            start += 1
    return True


def _moment(value: bytes, at: vec[i64]) -> i64:
    ts: i64 = UNKNOWN
    if at[_TS] == TEXT:
        ts = parse_usual(value, at[_TS + 1], at[_TS + 2])
    elif at[_TS] == NUMBER:
        ts = whole(value, at[_TS + 1], at[_TS + 2])
    if ts > MAX_EPOCH_MILLISECONDS:
        return UNKNOWN
    return ts


def _items(value: bytes, at: vec[i64]) -> list[LineItem] | None:
    """Returns the event's item, if it has one; None if its numbers are out of bounds."""
    price: i64 = 0
    quantity: i64 = 1
    if at[_PRICE] == NUMBER:
        price = hundredths(value, at[_PRICE + 1], at[_PRICE + 2])
    if at[_QUANTITY] == NUMBER:
        quantity = whole(value, at[_QUANTITY + 1], at[_QUANTITY + 2])
    if not (0 <= price <= _MOST_PRICE and 1 <= quantity <= MOST_QUANTITY):
        return None
    named: i64 = _ITEM_ID
    if at[_ITEM_ID] != TEXT:
        named = _ITEM_NAME
        if at[_ITEM_NAME] != TEXT and at[_CATEGORY] != TEXT and at[_PRICE] != NUMBER and at[_QUANTITY] != NUMBER:
            return []
    return [LineItem(_hash(value, at, named), _hash(value, at, _CATEGORY), price, quantity)]


def _hash(value: bytes, at: vec[i64], field: i64) -> i64:
    if at[field] != TEXT or at[field + 1] == at[field + 2]:
        return 0
    return hash_bytes(value[at[field + 1] : at[field + 2]])
