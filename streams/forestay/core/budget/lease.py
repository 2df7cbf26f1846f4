"""A partition's part of a budget: what it may spend without asking anybody, and what has moved in and out of it.

A budget is cut into whole units, one share for each partition; the shares of a period make its limit, to the unit. A
share belongs to the partition, not to the worker that has it: what was spent of it is in the partition's durable
state, and who takes the partition over, behind the fence, goes on with what is left. So nobody has to be asked, no
share has to be taken back from a dead worker, and two workers cannot spend the same unit. This is the escrow method
(O'Neil, ACM TODS 11(4), 1986).

Its moves are those of the bounded counter (Balegas et al., "Extending eventually consistent cloud databases for
enforcing numeric invariants", SRDS 2015): of each pair of partitions there is the total ever given, which only grows.
The giver makes it durable before it tells; who is told takes the largest total it has heard. So a transfer that comes
twice, late, or after a later one changes nothing, one that is lost comes with the next, and what is on its way is
nobody's.
"""

from forestay.core.budget.exchange_record import Report
from forestay.core.event import NEVER


def share_of(limit: int, number: int, partitions: int) -> int:
    """Returns what partition `number` of `partitions` may spend of `limit` units; the shares sum to the limit."""
    return limit * (number + 1) // partitions - limit * number // partitions


class Lease:
    """What has moved between one account of this partition and those of others: units ever, by the other's number.

    `moved` is what it has more than its share. `told_at` is the clock (milliseconds) of the newest common price, and
    `want` the dearest offer that was refused since the last report. The treasurer has the newest of the `reports`.
    """

    __slots__ = ("given", "moved", "received", "reports", "told_at", "want")

    def __init__(self) -> None:
        """Begins with nothing moved."""
        self.given: dict[int, int] = {}
        self.received: dict[int, int] = {}
        self.reports: dict[int, Report] = {}
        self.moved = 0
        self.told_at = NEVER
        self.want = 0

    @property
    def is_begun(self) -> bool:
        """Says whether it has to be kept: units have moved, or partitions have told each other of the account."""
        return bool(self.given or self.received or self.reports) or self.told_at != NEVER

    def give(self, other: int, amount: int) -> None:
        """Takes units out of the account, for another partition: to be told once that is durable."""
        self.given[other] = self.given.get(other, 0) + amount
        self.moved -= amount

    def hear(self, other: int, given: int, received: int) -> None:
        """Takes in what another partition has ever given to this one, and what it ever `received` from it.

        That it received more than this one knows to have given shows that state was lost here: it is given, then.
        """
        fresh = given - self.received.get(other, 0)
        if fresh > 0:
            self.received[other] = given
            self.moved += fresh
        forgotten = received - self.given.get(other, 0)
        if forgotten > 0:
            self.give(other, forgotten)
