"""The event as the core sees it: numbers instead of texts wherever a feature needs no more."""

from typing import Final

import msgspec

from forestay.core.hashing import hash64
from forestay.core.units import to_milliseconds, to_minor_units
from forestay_schemas.click_event import ClickEvent
from forestay_schemas.types import EventName

#: Event names by their code. The order is part of the state record and of the model's input: append only.
EVENT_NAMES: Final[tuple[EventName, ...]] = tuple(EventName)
EVENT_CODES: Final[dict[EventName, int]] = {name: code for code, name in enumerate(EVENT_NAMES)}
PURCHASE: Final = EVENT_CODES[EventName.PURCHASE]
REFUND: Final = EVENT_CODES[EventName.REFUND]


class Event(msgspec.Struct, frozen=True, gc=False):
    """One valid click event.

    `ts` is in milliseconds since the epoch, `value` is price times quantity in hundredths of the currency;
    `id_hash`, `order`, `item` and `category` are 64-bit hashes, 0 where the event names none. Only purchases
    and refunds have an `order`, and a refund's is never its purchase's, whatever id they share.
    """

    event_id: str
    user_id: str
    kind: int
    ts: int
    id_hash: int
    order: int
    item: int
    category: int
    value: int
    quantity: int
    country: str | None
    timezone: str | None


def from_contract(click: ClickEvent) -> Event:
    """Returns the core's view of a validated contract record."""
    quantity = click.quantity or 1
    ordered = click.order_id and click.event in (EventName.PURCHASE, EventName.REFUND)
    return Event(
        event_id=click.event_id,
        user_id=click.user_id,
        kind=EVENT_CODES[click.event],
        ts=to_milliseconds(click.ts),
        id_hash=hash64(click.event_id),
        order=hash64(f"{click.event}\x1f{click.order_id}") if ordered else 0,
        item=hash64(click.item_id) if click.item_id else 0,
        category=hash64(click.category) if click.category else 0,
        value=to_minor_units(click.price, quantity) if click.price is not None else 0,
        quantity=quantity,
        country=click.country,
        timezone=click.timezone,
    )
