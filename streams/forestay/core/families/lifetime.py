"""Sums over a user's whole life (`docs/features.md`)."""

from typing import Final, cast

from mypy_extensions import i64, mypyc_attr

from forestay.core.event import NEVER, PURCHASE, REFUND, Event
from forestay.core.families.family import Family, Feature, Part, capped
from forestay.core.packing import RecordReader, RecordWriter
from forestay.core.units import HOUR, MAX_AMOUNT

_MINOR: Final = 100.0


class Lifetime(Family):
    """The family."""

    __slots__ = ()

    def __init__(self) -> None:
        """Has orders, money, events and tenure."""
        super().__init__(4, "lifetime", _features())

    def new(self) -> Part:
        """Returns the part of a user without a life."""
        return LifetimePart()

    def read(self, reader: RecordReader, latest: i64) -> Part:
        """Reads what `LifetimePart.write` wrote."""
        part = LifetimePart()
        if reader.more():
            part.first = latest - reader.count(latest)
            part.events = reader.count(MAX_AMOUNT)
            part.orders = reader.count(MAX_AMOUNT)
            part.spend = reader.count(MAX_AMOUNT)
            part.refunds = reader.count(MAX_AMOUNT)
            part.refund_value = reader.count(MAX_AMOUNT)
        return part


@mypyc_attr(acyclic=True)
class LifetimePart(Part):
    """First moment, events, orders, spend, refunds and value given back."""

    __slots__ = ("events", "first", "orders", "refund_value", "refunds", "spend")

    def __init__(self) -> None:
        """Starts at nothing."""
        self.first: i64 = NEVER
        self.events: i64 = 0
        self.orders: i64 = 0
        self.spend: i64 = 0
        self.refunds: i64 = 0
        self.refund_value: i64 = 0

    def update(self, event: Event, latest: i64) -> None:
        """Adds the event; a further line of an order adds its money only."""
        if event.ts < self.first or self.first == NEVER:
            self.first = event.ts
        self.events = capped(self.events + 1)
        if event.kind == PURCHASE:
            self.orders = capped(self.orders + event.counts)
            self.spend = capped(self.spend + event.value)
        elif event.kind == REFUND:
            self.refunds = capped(self.refunds + event.counts)
            self.refund_value = capped(self.refund_value + event.value)

    def merge(self, other: Part, latest: i64) -> None:
        """Sums add; the earlier first moment stays."""
        theirs = cast(LifetimePart, other)
        if self.first == NEVER or NEVER != theirs.first < self.first:
            self.first = theirs.first
        self.events = capped(self.events + theirs.events)
        self.orders = capped(self.orders + theirs.orders)
        self.spend = capped(self.spend + theirs.spend)
        self.refunds = capped(self.refunds + theirs.refunds)
        self.refund_value = capped(self.refund_value + theirs.refund_value)

    def values(self, now: i64, latest: i64, into: list[float]) -> None:
        """Appends in the order of `_features`."""
        spend = float(self.spend) / _MINOR
        into.append(0.0 if self.first == NEVER else max(now - self.first, 0) / HOUR)
        into.append(float(self.orders))
        into.append(spend)
        into.append(float(self.refunds))
        into.append(float(self.refund_value) / _MINOR)
        into.append(float(self.events))
        into.append(spend / float(self.orders) if self.orders else 0.0)

    def write(self, writer: RecordWriter, latest: i64, now: i64) -> None:
        """Writes the time since the first moment, and the sums."""
        if self.first != NEVER:
            writer.number(latest - self.first)
            writer.number(self.events)
            writer.number(self.orders)
            writer.number(self.spend)
            writer.number(self.refunds)
            writer.number(self.refund_value)


def _features() -> list[Feature]:
    return [
        Feature("tenure_hours", "time since the first event", "hours"),
        Feature("orders_total", "orders ever", "count"),
        Feature("spend_total", "value ever bought", "currency"),
        Feature("refunds_total", "refunded orders ever", "count"),
        Feature("refund_value_total", "value ever given back", "currency"),
        Feature("events_total", "events ever counted", "count"),
        Feature("average_basket", "spend_total / orders_total, 0 without orders", "currency"),
    ]
