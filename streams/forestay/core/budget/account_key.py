"""What names one account of a budget."""

from typing import NamedTuple


class AccountKey(NamedTuple):
    """Which budget, in which period (a day, or the whole campaign), for which arm of an experiment."""

    budget: str
    period: str
    arm: str | None
