"""What one partition has taken of one budget in one period, and what it holds back for single actions."""

from typing import Final, NamedTuple

import msgspec

from forestay.core.budget.account_key import AccountKey
from forestay.core.budget.lease import Lease
from forestay.core.budget.pacing import Pace

#: Stands for 'not closed'.
NONE: Final = -1


class Draw(NamedTuple):
    """So many hundredths or points of one account; `end` is when its period is over (milliseconds)."""

    key: AccountKey
    amount: int
    end: int


class Account:
    """Units taken: `reserved` for actions that may still turn out to cost nothing, `spent` for good.

    `returned` is what was reserved and came back, ever. `end` is when the period is over (milliseconds).
    """

    __slots__ = ("end", "lease", "pace", "reserved", "returned", "spent")

    def __init__(self, end: int, pace: Pace, spent: int = 0) -> None:
        """Begins with nothing reserved."""
        self.end = end
        self.lease = Lease()
        self.pace = pace
        self.reserved = 0
        self.returned = 0
        self.spent = spent

    @property
    def taken(self) -> int:
        """Returns all that no other action may have."""
        return self.reserved + self.spent


class Reservation(msgspec.Struct, array_like=True, frozen=True):
    """Units held back for an action until `until` (milliseconds); then they come back if it `lapses`, else are spent.

    `closed` is the number of the commit by which it was over, `NONE` while it is open.
    """

    draws: tuple[Draw, ...]
    until: int
    lapses: bool = True
    closed: int = NONE
