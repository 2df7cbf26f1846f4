"""Sums over a user's whole life (`docs/features.md`)."""

from typing import Any, Final, cast

from mypy_extensions import mypyc_attr

from forestay.core.event import NEVER, PURCHASE, REFUND, Event
from forestay.core.families.family import Family, Feature, Part, capped
from forestay.core.units import HOUR

_MINOR: Final[float] = 100.0


class Lifetime(Family):
    """The family."""

    __slots__ = ()

    def __init__(self) -> None:
        """Has orders, money, events and tenure."""
        super().__init__(4, "lifetime", _features())

    def new(self) -> Part:
        """Returns the part of a user without a life."""
        return LifetimePart()

    def from_plain(self, plain: list[Any], latest: int) -> Part:
        """Reads what `to_plain` wrote."""
        part = LifetimePart()
        part.first = latest - plain[0]
        part.events = plain[1]
        part.orders = plain[2]
        part.spend = plain[3]
        part.refunds = plain[4]
        part.refund_value = plain[5]
        return part


@mypyc_attr(acyclic=True)
class LifetimePart(Part):
    """First moment, events, orders, spend, refunds and value given back."""

    __slots__ = ("events", "first", "orders", "refund_value", "refunds", "spend")

    def __init__(self) -> None:
        """Starts at nothing."""
        self.first = NEVER
        self.events = 0
        self.orders = 0
        self.spend = 0
        self.refunds = 0
        self.refund_value = 0

    def update(self, event: Event, latest: int) -> None:
        """Adds the event; a further line of an order adds its money only."""
        if event.ts < self.first or self.first == NEVER:
            self.first = event.ts
        self.events += 1
        if event.kind == PURCHASE:
            self.orders += event.counts
            self.spend = capped(self.spend + event.value)
        elif event.kind == REFUND:
            self.refunds += event.counts
            self.refund_value = capped(self.refund_value + event.value)

    def merge(self, other: Part, latest: int) -> None:
        """Sums add; the earlier first moment stays."""
        theirs = cast(LifetimePart, other)
        if self.first == NEVER or NEVER != theirs.first < self.first:
            self.first = theirs.first
        self.events += theirs.events
        self.orders += theirs.orders
        self.spend = capped(self.spend + theirs.spend)
        self.refunds += theirs.refunds
        self.refund_value = capped(self.refund_value + theirs.refund_value)

    def values(self, now: int, latest: int, into: list[float]) -> None:
        """Appends in the order of `_features`."""
        into.append(0.0 if self.first == NEVER else max(now - self.first, 0) / HOUR)
        into.append(float(self.orders))
        into.append(self.spend / _MINOR)
        into.append(float(self.refunds))
        into.append(self.refund_value / _MINOR)
        into.append(float(self.events))
        into.append(self.spend / _MINOR / self.orders if self.orders else 0.0)

    def to_plain(self, latest: int, now: int) -> list[Any]:
        """Writes the time since the first moment, and the sums."""
        return [latest - self.first, self.events, self.orders, self.spend, self.refunds, self.refund_value]


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
