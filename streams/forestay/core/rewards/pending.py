"""A decision whose outcome is waited for, as a part of its user's state."""

from typing import Final

from mypy_extensions import i64, mypyc_attr

from forestay.core.event import NEVER, PURCHASE, REFUND, Event
from forestay.core.families.family import capped
from forestay.core.packing import RecordReader, RecordWriter
from forestay.core.units import MAX_AMOUNT

#: So many of a user's decisions wait at once; one beyond them has no outcome.
MAX_PENDING: Final = 128
#: One bit for each kind of feedback, and one for a return.
_MAX_BITS: Final = 2**16 - 1
_RETURNED: Final = 1


@mypyc_attr(acyclic=True)
class PendingReward:
    """What has come of a decision so far. Money is in hundredths of the currency.

    `bits` tells whether the user has returned, and which kinds of feedback came, in the contract's order. `owner` is
    whom it was about if that was another id, which has since become this user; else it is empty.
    """

    __slots__ = ("bits", "cost", "decided_at", "offer_id", "orders", "owner", "refunded", "revenue")

    def __init__(self, decided_at: i64, offer_id: str, cost: i64) -> None:
        """`offer_id` is empty where nothing was done, or is not known yet."""
        self.decided_at = decided_at
        self.offer_id = offer_id
        self.cost = cost
        self.owner = ""
        self.bits: i64 = 0
        self.orders: i64 = 0
        self.revenue: i64 = 0
        self.refunded: i64 = 0

    def returned(self) -> bool:
        """Says whether the user has done anything since."""
        return self.bits & _RETURNED != 0

    def told(self, kind: i64) -> bool:
        """Says whether feedback of this kind came; `kind` is its place in the contract."""
        return self.bits >> (kind + 1) & 1 != 0

    def tell(self, kind: i64) -> None:
        """Takes in feedback: the same kind twice counts once."""
        one: i64 = 1
        self.bits |= one << (kind + 1)

    def see(self, event: Event, horizon: i64) -> None:
        """Takes in an event of the user that was counted; `horizon` in milliseconds."""
        inside = self.decided_at < event.ts <= self.decided_at + horizon
        if inside:
            self.bits |= _RETURNED
        if event.kind == PURCHASE:
            self._order(event, horizon, inside)
        elif event.kind == REFUND and inside:
            self.refunded = capped(self.refunded + event.value)

    def _order(self, event: Event, horizon: i64, inside: bool) -> None:
        """An order counts at its earliest line, as features have it: an earlier line moves it."""
        if inside:
            self.revenue = capped(self.revenue + event.value)
            self.orders = capped(self.orders + event.counts)
        if event.moved_from == NEVER:
            return
        was_inside = self.decided_at < event.moved_from <= self.decided_at + horizon
        if inside and not was_inside:
            self.orders = capped(self.orders + 1)
        elif was_inside and not inside and self.orders:
            self.orders -= 1

    def write(self, writer: RecordWriter, latest: i64) -> None:
        """Writes it; `latest` is the user's newest moment."""
        writer.number(latest - self.decided_at)
        writer.text(self.offer_id)
        writer.text(self.owner)
        writer.number(self.bits)
        writer.number(self.cost)
        writer.number(self.orders)
        writer.number(self.revenue)
        writer.number(self.refunded)


def read_pending(reader: RecordReader, latest: i64) -> PendingReward:
    """Returns what `PendingReward.write` wrote."""
    decided_at = reader.moment(latest)
    offer_id, owner = reader.text(), reader.text()
    bits = reader.count(_MAX_BITS)
    pending = PendingReward(decided_at, offer_id, reader.count(MAX_AMOUNT))
    pending.owner = owner
    pending.bits = bits
    pending.orders = reader.count(MAX_AMOUNT)
    pending.revenue = reader.count(MAX_AMOUNT)
    pending.refunded = reader.count(MAX_AMOUNT)
    return pending


def merged(
    mine: list[PendingReward] | None, theirs: list[PendingReward] | None, other: str
) -> list[PendingReward] | None:
    """Returns the decisions that wait of a user and of the id `other`, which has become them, the oldest first."""
    if theirs is None:
        return mine
    for one in theirs:
        one.owner = one.owner or other
    both = sorted([*(mine or []), *theirs], key=_when)
    return both[:MAX_PENDING]


def _when(pending: PendingReward) -> tuple[int, str]:
    return pending.decided_at, pending.owner
