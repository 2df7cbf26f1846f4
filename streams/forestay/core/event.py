"""The event as the core sees it: numbers instead of texts wherever a feature needs no more."""

from typing import Final

from mypy_extensions import i64, mypyc_attr

from forestay.core.hashing import hash64, hash_bytes
from forestay.core.units import MAX_AMOUNT, to_milliseconds, to_minor_units
from forestay_schemas.click_event import ClickEvent
from forestay_schemas.types import ConsentName, EventName

#: Event names by their code. The order is part of the state record and of the model's input: append only.
EVENT_NAMES: Final[tuple[EventName, ...]] = tuple(EventName)
EVENT_CODES: Final[dict[str, int]] = {str(name): code for code, name in enumerate(EVENT_NAMES)}
ADD_TO_CART: Final[i64] = EVENT_CODES["add_to_cart"]
REMOVE_FROM_CART: Final[i64] = EVENT_CODES["remove_from_cart"]
PURCHASE: Final[i64] = EVENT_CODES["purchase"]
REFUND: Final[i64] = EVENT_CODES["refund"]

#: Words of consent stand behind all events: they touch no family, no pattern and no clock of silence.
CONSENT_GRANTED: Final = 1_000
CONSENT_WITHDRAWN: Final = 1_001
_CONSENT_CODES: Final[dict[str, int]] = {
    ConsentName.GRANTED.value: CONSENT_GRANTED,
    ConsentName.WITHDRAWN.value: CONSENT_WITHDRAWN,
}

#: Stands for a moment that never was.
NEVER: Final = -1

#: What an event at whose top level no item stands has in its fields.
NO_ITEM: Final = (None, None, None, None, None)


@mypyc_attr(acyclic=True)
class LineItem:
    """One item of an event: hashes of its id and category (0: none), unit price in hundredths, quantity."""

    __slots__ = ("category", "item", "price", "quantity")

    def __init__(self, item: i64, category: i64, price: i64, quantity: i64) -> None:
        """Takes what `Event` describes."""
        self.item = item
        self.category = category
        self.price = price
        self.quantity = quantity


@mypyc_attr(acyclic=True)
class Event:
    """One valid click event.

    `ts` is in milliseconds since the epoch; `value` is price times quantity over the items, in hundredths of
    the currency and at most `MAX_AMOUNT`; `quantity` their sum, at least 1. `id_hash` and `order` are 62-bit hashes.
    Only purchases and refunds have an `order`, and a refund's is never its purchase's, whatever id they share; others
    have 0.

    `counts` and `moved_from` are set when the event is applied: 1 for an event that counts and 0 for a further
    line of an order; and the moment the order counted at until now, if this is an earlier line, else `NEVER`.
    """

    __slots__ = (
        "anonymous_id",
        "channel",
        "country",
        "counts",
        "currency",
        "event_id",
        "id_hash",
        "items",
        "kind",
        "moved_from",
        "order",
        "quantity",
        "timezone",
        "ts",
        "user_id",
        "value",
    )

    def __init__(  # noqa: PLR0917 - made once an event: keywords would cost
        self,
        event_id: bytes,
        user_id: str,
        kind: i64,
        ts: i64,
        items: list[LineItem],
        order_id: str | None = None,
        anonymous_id: str | None = None,
        country: str | None = None,
        timezone: str | None = None,
        currency: str | None = None,
    ) -> None:
        """`event_id` is in UTF-8, `kind` a code of `EVENT_CODES`; sums and hashes are made here."""
        self.event_id = event_id
        self.user_id = user_id
        self.kind = kind
        self.ts = ts
        self.id_hash: i64 = hash_bytes(event_id)
        self.items = items
        self.order: i64 = 0
        if order_id:
            self.order = _order(kind, order_id)
        self.counts: i64 = 1
        self.moved_from: i64 = NEVER
        value: i64 = 0
        quantity: i64 = 0
        for line in items:
            value = min(value + line.price * line.quantity, MAX_AMOUNT)
            quantity += line.quantity
        self.value = value
        self.quantity: i64 = quantity or 1
        self.anonymous_id = anonymous_id
        self.country = country
        self.timezone = timezone
        self.currency = currency
        #: That of a word of consent; of events it is not kept.
        self.channel: str | None = None

    def is_consent(self) -> bool:
        """Says whether this is a word of consent, and no event that counts."""
        return self.kind >= CONSENT_GRANTED


def _order(kind: i64, order_id: str) -> int:
    """Returns the order's hash; an order bought and the same order given back are two."""
    if kind == PURCHASE:
        return hash64(order_id)
    if kind == REFUND:
        return hash64("refund\x1f" + order_id)
    return 0


def from_contract(click: ClickEvent) -> Event:
    """Returns the core's view of a validated contract record: the reference of the fast decoder."""
    consent = _CONSENT_CODES.get(click.event, NEVER)
    event = Event(
        click.event_id.encode(),
        click.user_id,
        EVENT_CODES[click.event] if consent == NEVER else consent,
        to_milliseconds(click.ts),
        [line_item(*fields) for fields in _items(click)],
        click.order_id,
        click.anonymous_id,
        click.country,
        click.timezone,
        click.currency,
    )
    if consent != NEVER:
        event.channel = click.channel
    return event


def line_item(
    item_id: str | None, item_name: str | None, category: str | None, price: float | None, quantity: int | None
) -> LineItem:
    """Returns an item as the core sees it; one without an id goes by its name, one without a quantity is one."""
    count = quantity or 1
    named = item_id or item_name
    return LineItem(
        hash64(named) if named else 0,
        hash64(category) if category else 0,
        to_minor_units(price) if price is not None else 0,
        count,
    )


def _items(click: ClickEvent) -> list[tuple[str | None, str | None, str | None, float | None, int | None]]:
    if click.items:
        return [(item.item_id, item.item_name, item.category, item.price, item.quantity) for item in click.items]
    alone = (click.item_id, click.item_name, click.category, click.price, click.quantity)
    return [] if alone == NO_ITEM else [alone]
