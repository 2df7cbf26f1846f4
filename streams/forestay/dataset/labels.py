"""Who has left, and what was spent: from the events of a user's ids, apart from everything the model is given.

The window of both holds what lies after the cutoff and before cutoff + horizon, both ends left out.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from forestay.core.event import NEVER, PURCHASE, Event
from forestay.dataset.plan import Label, Plan


class Outcome(NamedTuple):
    """What came of a user within a horizon: 1.0 has left, 0.0 has not; and what was spent, in the currency.

    Both are None where the data end too early.
    """

    churned: float | None
    spend: float | None


UNKNOWN: Final = Outcome(None, None)


class Activity:
    """What one id did that counts for the label: orders with their value, or any events."""

    def __init__(self, events: Iterable[Event], label: Label) -> None:
        """`events` are in the order of time; of several with one event id the first counts."""
        self._moments: list[int] = []
        #: Value in hundredths of the currency of all before each moment, and at last of all.
        self._spent = [0]
        seen: set[int] = set()
        for event in events:
            if event.id_hash in seen:
                continue
            seen.add(event.id_hash)
            bought = event.kind == PURCHASE
            if bought or label is Label.NO_EVENT:
                self._moments.append(event.ts)
                self._spent.append(self._spent[-1] + (event.value if bought else 0))

    def newest(self, until: int) -> int:
        """Returns the newest moment at or before `until`, `NEVER` if there is none."""
        at = bisect_right(self._moments, until)
        return self._moments[at - 1] if at else NEVER

    def count(self, after: int, before: int) -> int:
        """Returns how much there is with `after` < ts < `before`."""
        first, last = self._between(after, before)
        return last - first

    def spent(self, after: int, before: int) -> int:
        """Returns the value of what was bought with `after` < ts < `before`, in hundredths of the currency."""
        first, last = self._between(after, before)
        return self._spent[last] - self._spent[first]

    def _between(self, after: int, before: int) -> tuple[int, int]:
        first = bisect_right(self._moments, after)
        return first, max(bisect_left(self._moments, before), first)


def is_active(plan: Plan, cutoff: int, before: Sequence[Activity]) -> bool:
    """Says whether a user whose ids up to the cutoff did what is in `before` is asked about."""
    newest = max(one.newest(cutoff) for one in before)
    return newest != NEVER and newest >= cutoff - plan.observed


def is_known(cutoff: int, horizon: int, known_until: int) -> bool:
    """Says whether an outcome can be known where events are, up to `known_until`.

    Where the window reaches further nobody is labelled, not even who came back already: or those who come back early
    would be too many.
    """
    return cutoff + horizon <= known_until


def outcome(plan: Plan, cutoff: int, horizon: int, before: Sequence[Activity], after: Sequence[Activity]) -> Outcome:
    """Returns what came of a user by cutoff + horizon.

    `before` is of the ids that are the user's at the cutoff, `after` of those that are within the window. The usual
    spend is that of the `observed` time before the cutoff, as much of it as the horizon is long; who usually spends
    nothing does not spend less.
    """
    end = cutoff + horizon
    spent = sum(one.spent(cutoff, end) for one in after)
    if plan.label is not Label.LESS_SPEND:
        left = not any(one.count(cutoff, end) for one in after)
    else:
        usual = sum(one.spent(cutoff - plan.observed - 1, cutoff + 1) for one in before)
        left = spent * plan.observed < plan.spend_share * (usual * horizon)
    return Outcome(float(left), spent / 100)
