"""The records of the internal identity topic, by which a user's other ids bring their states together.

`Ask` goes to the partition of the other id, `Move` and `Forward` to that of the user (`docs/identity.md`).
"""

from typing import Annotated, Final

import msgspec

from forestay.core.errors import DeadLetter
from forestay.core.event import CONSENT_GRANTED, CONSENT_WITHDRAWN, EVENT_NAMES, NEVER, Event, LineItem
from forestay.core.packing import MAX_NUMBER
from forestay.core.record import OutputRecord
from forestay_schemas.click_event import MAX_ITEMS
from forestay_schemas.types import MAX_EPOCH_MILLISECONDS

#: An id as the contract has it: without control characters, so that none is the key of a partition's mark.
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern="^[^\\x00-\\x1f\\x7f]+$")]
_Offset = Annotated[int, msgspec.Meta(ge=NEVER, le=MAX_NUMBER)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=MAX_NUMBER)]
#: An item's price in hundredths and its quantity, as bounded by the contract of the clickstream.
_Price = Annotated[int, msgspec.Meta(ge=0, le=10**11)]
_Quantity = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


_Label = Annotated[str, msgspec.Meta(max_length=1_000)]


class ForwardedEvent(msgspec.Struct, array_like=True, frozen=True):
    """An event as the core sees it (`core/event.py`); an item is its hash, category, price and quantity.

    At most 10 KB: a value of the source topic could be larger than what a topic takes in the end. `counts` and
    `moved_from` are those of the id it came with, whose orders are told apart from the user's.
    """

    event_id: _Id
    kind: Annotated[int, msgspec.Meta(ge=0, le=CONSENT_WITHDRAWN)]
    ts: Annotated[int, msgspec.Meta(ge=0, le=MAX_EPOCH_MILLISECONDS)]
    order: _Number
    counts: Annotated[int, msgspec.Meta(ge=0, le=1)]
    moved_from: _Offset
    items: Annotated[list[tuple[_Number, _Number, _Price, _Quantity]], msgspec.Meta(max_length=MAX_ITEMS)]
    anonymous_id: _Id | None
    country: _Label | None
    timezone: _Label | None
    channel: _Label | None = None

    def event(self, user_id: str) -> Event:
        """Returns the event, as one of `user_id`."""
        items = [LineItem(*item) for item in self.items]
        event = Event(
            self.event_id.encode(),
            user_id,
            self.kind,
            self.ts,
            items,
            anonymous_id=self.anonymous_id,
            country=self.country,
            timezone=self.timezone,
        )
        event.channel = self.channel
        event.order, event.counts, event.moved_from = self.order, self.counts, self.moved_from
        return event


class Ask(msgspec.Struct, tag="ask", array_like=True, frozen=True):
    """`other` has turned out to be `user`: its state is to be moved there."""

    other: _Id
    user: _Id


class Move(msgspec.Struct, tag="move", array_like=True, frozen=True):
    """The state of `other`, as its record stood on the changelog; it holds its events up to `offset`."""

    other: _Id
    user: _Id
    offset: _Offset
    state: bytes


class Forward(msgspec.Struct, tag="forward", array_like=True, frozen=True):
    """An event of `other` after its state has moved, and its offset there."""

    other: _Id
    user: _Id
    offset: _Offset
    event: ForwardedEvent


IdentityRecord = Ask | Move | Forward
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(IdentityRecord).decode


def encode_identity(record: IdentityRecord) -> OutputRecord:
    """Returns the record to write; its key is the id whose partition it goes to."""
    return OutputRecord(_key(record), _encode(record))


def decode_identity(key: bytes | None, value: bytes | None) -> IdentityRecord:
    """Returns the record in `value`.

    Raises:
        DeadLetter: it is none, or stands under another key than its own.
    """
    try:
        record: IdentityRecord = _decode(value or b"")
    except msgspec.DecodeError as error:
        raise DeadLetter("identity", f"no record of the identity topic: {error}") from error
    if isinstance(record, Forward) and len(EVENT_NAMES) <= record.event.kind < CONSENT_GRANTED:
        raise DeadLetter("identity", f"there is no event of code {record.event.kind}")
    if key != _key(record):
        raise DeadLetter("wrong_key", "the record's key is not the id it is for")
    if record.other == record.user:
        raise DeadLetter("identity", "an id cannot be merged into itself")
    return record


def forwarded(event: Event) -> ForwardedEvent:
    """Returns an event whose order has been counted, to be written."""
    return ForwardedEvent(
        event.event_id.decode(),
        event.kind,
        event.ts,
        event.order,
        event.counts,
        event.moved_from,
        [(line.item, line.category, line.price, line.quantity) for line in event.items],
        event.anonymous_id,
        event.country,
        event.timezone,
        event.channel,
    )


def _key(record: IdentityRecord) -> bytes:
    return (record.other if isinstance(record, Ask) else record.user).encode()
