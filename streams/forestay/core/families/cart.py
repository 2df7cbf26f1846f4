"""The open cart: what was put in and not taken out since the user's newest purchase (`docs/features.md`)."""

from typing import Final, cast

from librt.vecs import append, vec
from mypy_extensions import i64, mypyc_attr

from forestay.core.errors import StateError
from forestay.core.event import ADD_TO_CART, NEVER, PURCHASE, REMOVE_FROM_CART, Event
from forestay.core.families.family import Family, Feature, Part
from forestay.core.packing import MAX_NUMBER, RecordReader, RecordWriter
from forestay.core.units import DAY

MAX_ENTRIES: Final = 64
#: Entries older than this are no open cart any more.
_KEPT_DAYS: Final = 30
_MINOR: Final = 100.0

#: Numbers an entry, and where each stands: when, which item, how many more (or fewer), at which unit price.
_ENTRY: Final = 4
_ITEM: Final = 1
_MORE: Final = 2
_PRICE: Final = 3
#: Numbers of the entries that count, and those at which older ones are dropped.
_FULL: Final = MAX_ENTRIES * _ENTRY
_OVERFULL: Final = 2 * _FULL


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

    def read(self, reader: RecordReader, latest: i64) -> Part:
        """Reads what `CartPart.write` wrote."""
        part = CartPart()
        if reader.more():
            part.fill(reader, latest)
        return part


@mypyc_attr(acyclic=True)
class CartPart(Part):
    """The newest purchase, and the cart's entries since then in one row of numbers, ascending."""

    __slots__ = ("_entries", "purchased")

    def __init__(self) -> None:
        """Starts empty."""
        self.purchased: i64 = NEVER
        self._entries = vec[i64]()

    def update(self, event: Event, latest: i64) -> None:
        """Adds an entry an item; a purchase empties the cart up to its moment."""
        kind = event.kind
        if kind == PURCHASE:
            self._purchase(event.ts)
        elif kind in (ADD_TO_CART, REMOVE_FROM_CART) and event.ts > self.purchased:
            for line in event.items:
                if line.item:
                    more = line.quantity if kind == ADD_TO_CART else -line.quantity
                    self.put(event.ts, line.item, more, line.price)

    def _purchase(self, ts: i64) -> None:
        if ts > self.purchased:
            self.purchased = ts
            entries = self._entries
            at: i64 = 0
            while at < len(entries) and entries[at] <= ts:
                at += _ENTRY
            if at:
                self._entries = entries[at:]

    def put(self, ts: i64, item: i64, more: i64, price: i64) -> None:
        """Puts an entry into its place."""
        entries = append(append(append(append(self._entries, ts), item), more), price)
        at: i64 = len(entries) - _ENTRY
        index: i64
        while at and _is_later(entries, at - _ENTRY, ts, item, more, price):
            for index in range(at, at + _ENTRY):
                entries[index] = entries[index - _ENTRY]
            at -= _ENTRY
        entries[at] = ts
        entries[at + _ITEM] = item
        entries[at + _MORE] = more
        entries[at + _PRICE] = price
        # Dropping many now and then is cheaper than one each time.
        self._entries = entries if len(entries) < _OVERFULL else entries[len(entries) - _FULL :]

    def merge(self, other: Part, latest: i64) -> None:
        """One cart of both: the newer purchase empties it."""
        theirs = cast(CartPart, other)
        self._purchase(theirs.purchased)
        entries = theirs._entries  # noqa: SLF001 - of the same class
        for at in range(0, len(entries), _ENTRY):
            if entries[at] > self.purchased:
                self.put(entries[at], entries[at + _ITEM], entries[at + _MORE], entries[at + _PRICE])

    def _begin(self, now: i64) -> i64:
        """Returns where the entries begin that count at `now`: none is too old, and they are not too many."""
        entries = self._entries
        at: i64 = max(len(entries) - _FULL, 0)
        oldest = now - _KEPT_DAYS * DAY
        while at < len(entries) and entries[at] < oldest:
            at += _ENTRY
        return at

    def values(self, now: i64, latest: i64, into: list[float]) -> None:
        """Appends quantity and value."""
        entries = self._entries
        size: i64 = len(entries)
        begin = self._begin(now)
        # Sums may be more than a word holds.
        quantity = value = 0
        at = size - _ENTRY
        while at >= begin:
            item = entries[at + _ITEM]
            if not _has(entries, item, at + _ENTRY):
                net = _net(entries, item, begin)
                if net > 0:
                    quantity += net
                    value += net * _price(entries, item, begin)
            at -= _ENTRY
        into.append(float(quantity))
        into.append(value / _MINOR)

    def write(self, writer: RecordWriter, latest: i64, now: i64) -> None:
        """Writes how long ago purchase and oldest entry were; then the entries, oldest first (`docs/state.md`)."""
        entries = self._entries
        size: i64 = len(entries)
        at = self._begin(now)
        if self.purchased == NEVER and at == size:
            return
        if self.purchased == NEVER:
            writer.number(0)
        else:
            writer.number(latest - self.purchased + 1)
        if at == size:
            return
        before = entries[at]
        writer.number(latest - before)
        while at < size:
            writer.number(entries[at] - before)
            writer.number(entries[at + _ITEM])
            writer.number(entries[at + _MORE])
            writer.number(entries[at + _PRICE])
            before = entries[at]
            at += _ENTRY

    def fill(self, reader: RecordReader, latest: i64) -> None:
        """Reads into an empty cart what `write` wrote.

        Raises:
            StateError: it wrote no such thing.
        """
        ago = reader.count(latest + 1)
        if ago:
            self.purchased = latest + 1 - ago
        ts: i64 = 0
        if reader.more():
            ts = latest - reader.count(latest)
        left: i64 = MAX_ENTRIES
        while reader.more():
            if left == 0:
                raise StateError(f"a state record holds more than {MAX_ENTRIES} entries of a cart")
            left -= 1
            ts += reader.count(latest - ts)
            item, more = reader.count(MAX_NUMBER), reader.number()
            self.put(ts, item, more, reader.count(MAX_NUMBER))


def _is_later(entries: vec[i64], at: i64, ts: i64, item: i64, more: i64, price: i64) -> bool:  # noqa: PLR0917
    """Says whether the entry that stands there comes after the given one."""
    if entries[at] != ts:
        return entries[at] > ts
    if entries[at + _ITEM] != item:
        return entries[at + _ITEM] > item
    if entries[at + _MORE] != more:
        return entries[at + _MORE] > more
    return entries[at + _PRICE] > price


def _has(entries: vec[i64], item: i64, begin: i64) -> bool:
    """Says whether an entry from `begin` on is of the item."""
    at = begin
    while at < len(entries):
        if entries[at + _ITEM] == item:
            return True
        at += _ENTRY
    return False


def _net(entries: vec[i64], item: i64, begin: i64) -> int:
    """Returns how many of the item the entries from `begin` on leave in the cart."""
    net: int = 0
    at: i64
    for at in range(begin, len(entries), _ENTRY):
        if entries[at + _ITEM] == item:
            net += entries[at + _MORE]
    return net


def _price(entries: vec[i64], item: i64, begin: i64) -> int:
    """Returns the unit price at which the item was last put in, the highest of that moment, 0 if none is kept."""
    price: i64 = 0
    newest: i64 = NEVER
    at: i64
    for at in range(begin, len(entries), _ENTRY):
        if entries[at + _ITEM] != item or entries[at + _MORE] < 0:
            continue
        if entries[at] > newest:
            newest = entries[at]
            price = entries[at + _PRICE]
        else:
            price = max(price, entries[at + _PRICE])
    return price
