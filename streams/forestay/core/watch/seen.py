"""What a batch's events have in their fields: counted at every event, and so cheaply."""

from typing import Final

from mypy_extensions import i64

from forestay.core.event import EVENT_NAMES, PURCHASE, Event

#: Fields that are watched; of an event's items the first one speaks.
FIELDS: Final[tuple[str, ...]] = ("country", "timezone", "currency", "item", "category", "price", "order")
_COUNT: Final[i64] = len(FIELDS)


class Seen:
    """Counts of one batch of a partition, by kind of event and field: flat, the field running fastest.

    `turns`, by kind: events of another user than the event before; those of one user's order or visit are much alike.
    `missing`: events without the field. `repeated`: events with the value of the event before. `orders`: user and
    moment (milliseconds) of each order's first line. What came twice, or too late, is not in it. The other attributes
    are the fields of the event before.
    """

    def __init__(self) -> None:
        """Starts at zero."""
        self.events: list[int] = [0] * len(EVENT_NAMES)
        self.turns: list[int] = [0] * len(EVENT_NAMES)
        self.missing: list[int] = [0] * (len(EVENT_NAMES) * len(FIELDS))
        self.repeated: list[int] = [0] * (len(EVENT_NAMES) * len(FIELDS))
        self.orders: list[tuple[str, int]] = []
        self.user_id = ""
        self.country: str | None = None
        self.timezone: str | None = None
        self.currency: str | None = None
        self.item: i64 = 0
        self.category: i64 = 0
        self.price: i64 = 0
        self.order: i64 = 0

    def following(self) -> "Seen":
        """Returns counts of zero for the batch after this one; its first event too has one before it."""
        after = Seen()
        after.user_id = self.user_id
        after.country, after.timezone, after.currency = self.country, self.timezone, self.currency
        after.item, after.category = self.item, self.category
        after.price, after.order = self.price, self.order
        return after

    def see(self, event: Event) -> None:
        """Counts an event that was applied."""
        kind: i64 = event.kind
        at: i64 = kind * _COUNT
        self.events[kind] += 1
        if event.user_id != self.user_id:
            self.turns[kind] += 1
            self.user_id = event.user_id
        self._see_texts(event, at)
        item: i64 = 0
        category: i64 = 0
        price: i64 = 0
        if event.items:
            line = event.items[0]
            item, category, price = line.item, line.category, line.price
        self._see_number(at + 3, item, self.item)
        self._see_number(at + 4, category, self.category)
        self._see_number(at + 5, price, self.price)
        self._see_number(at + 6, event.order, self.order)
        self.item, self.category, self.price, self.order = item, category, price, event.order
        if kind == PURCHASE and event.counts == 1:
            self.orders.append((event.user_id, event.ts))

    def _see_number(self, at: i64, value: i64, before: i64) -> None:
        if value == 0:
            self.missing[at] += 1
        elif value == before:
            self.repeated[at] += 1

    def _see_texts(self, event: Event, at: i64) -> None:
        country, timezone, currency = event.country, event.timezone, event.currency
        if country is None:
            self.missing[at] += 1
        elif country == self.country:
            self.repeated[at] += 1
        if timezone is None:
            self.missing[at + 1] += 1
        elif timezone == self.timezone:
            self.repeated[at + 1] += 1
        if currency is None:
            self.missing[at + 2] += 1
        elif currency == self.currency:
            self.repeated[at + 2] += 1
        self.country, self.timezone, self.currency = country, timezone, currency
