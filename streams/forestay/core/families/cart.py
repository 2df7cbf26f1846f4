"""The open cart: what was put in and not taken out since the user's newest purchase (`docs/features.md`)."""

from typing import Any, Final, cast

from mypy_extensions import mypyc_attr

from forestay.core.event import ADD_TO_CART, NEVER, PURCHASE, REMOVE_FROM_CART, Event
from forestay.core.families.family import Family, Feature, Part
from forestay.core.units import DAY

MAX_ENTRIES: Final[int] = 64
#: Entries older than this are no open cart any more (milliseconds).
KEPT: Final[int] = 30 * DAY
_MINOR: Final[float] = 100.0

#: When, which item, how many more (or fewer), at which unit price.
Entry = tuple[int, int, int, int]


class Cart(Family):
    """The family."""

    __slots__ = ()

    def __init__(self) -> None:
        """Has the cart's quantity and value."""
        super().__init__(
            6,
            "cart",
            [
                Feature("cart_quantity", "items in the open cart", "count"),
                Feature("cart_value", "value of the open cart", "currency"),
            ],
        )

    def new(self) -> Part:
        """Returns an empty cart."""
        return CartPart()

    def from_plain(self, plain: list[Any], latest: int) -> Part:
        """Reads what `to_plain` wrote."""
        part = CartPart()
        if not plain:
            return part
        part.purchased = NEVER if plain[0] is None else latest - plain[0]
        ts = latest
        for at in range(1, len(plain), 4):
            ts -= plain[at]
            part.entries.append((ts, plain[at + 1], plain[at + 2], plain[at + 3]))
        return part


@mypyc_attr(acyclic=True)
class CartPart(Part):
    """The newest purchase, and the cart's entries since then."""

    __slots__ = ("entries", "purchased")

    def __init__(self) -> None:
        """Starts empty."""
        self.purchased = NEVER
        self.entries: list[Entry] = []

    def update(self, event: Event, latest: int) -> None:
        """Adds an entry an item; a purchase empties the cart up to its moment."""
        kind = event.kind
        if kind == PURCHASE:
            self._purchase(event.ts)
        elif kind in (ADD_TO_CART, REMOVE_FROM_CART) and event.ts > self.purchased:
            sign = 1 if kind == ADD_TO_CART else -1
            for line in event.items:
                if line.item == 0:
                    continue
                self.entries.append((event.ts, line.item, sign * line.quantity, line.price))
            if len(self.entries) > 4 * MAX_ENTRIES:
                self.entries = self._newest(NEVER)

    def _purchase(self, ts: int) -> None:
        if ts > self.purchased:
            self.purchased = ts
            if self.entries:
                self.entries = [entry for entry in self.entries if entry[0] > ts]

    def _newest(self, after: int) -> list[Entry]:
        entries = [entry for entry in self.entries if entry[0] > after]
        entries.sort(reverse=True)
        return entries[:MAX_ENTRIES]

    def merge(self, other: Part, latest: int) -> None:
        """One cart of both: the newer purchase empties it."""
        theirs = cast(CartPart, other)
        self.entries = self.entries + theirs.entries
        purchased = max(self.purchased, theirs.purchased)
        self.purchased = purchased
        self.entries = self._newest(purchased)

    def values(self, now: int, latest: int, into: list[float]) -> None:
        """Appends quantity and value."""
        quantities: dict[int, int] = {}
        prices: dict[int, int] = {}
        newest: dict[int, int] = {}
        if self.entries:
            for ts, item, more, price in self._newest(now - KEPT - 1):
                quantities[item] = quantities.get(item, 0) + more
                if more < 0:
                    continue
                if ts > newest.get(item, NEVER):
                    newest[item] = ts
                    prices[item] = price
                elif ts == newest[item]:
                    prices[item] = max(prices[item], price)
        quantity = value = 0
        for item, net in quantities.items():
            if net > 0:
                quantity += net
                value += net * prices.get(item, 0)
        into.append(float(quantity))
        into.append(value / _MINOR)

    def to_plain(self, latest: int, now: int) -> list[Any]:
        """Writes how long ago the newest purchase was, then of each entry, newest first, how much earlier it was."""
        entries = self._newest(now - KEPT - 1)
        if self.purchased == NEVER and not entries:
            return []
        plain: list[Any] = [None if self.purchased == NEVER else latest - self.purchased]
        before = latest
        for ts, item, more, price in entries:
            plain.append(before - ts)
            plain.append(item)
            plain.append(more)
            plain.append(price)
            before = ts
        return plain
