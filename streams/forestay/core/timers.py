"""Silence as an event: one timer a user, in event time (design D6).

A user's timer is due when their silence has lasted longer than their own rhythm explains. The heap holds
at most a few entries a user and is touched only when a timer is armed earlier or comes due: moving a due
time later, which every event does, costs nothing until the old entry surfaces. An idle user costs nothing.
"""

import heapq
from collections.abc import Callable, Iterator
from typing import Final

from forestay.core.units import DAY
from forestay.core.user_state import NEVER, UserState

#: Bounds of the first silence (milliseconds), and what stands for an unknown rhythm.
SHORTEST: Final = 1 * DAY
LONGEST: Final = 60 * DAY
UNKNOWN: Final = 14 * DAY
#: Visits needed before a rhythm is believed.
_MIN_VISITS: Final = 4
#: After the first, each further silence is twice as long; none is looked at beyond this.
_LAST: Final = 180 * DAY


def first_silence(state: UserState) -> int:
    """Returns how long a silence is remarkable for this user, in milliseconds: mean gap plus two deviations."""
    rhythm = state.rhythm
    if rhythm.visits < _MIN_VISITS:
        return UNKNOWN
    return round(min(max(rhythm.mean_gap() + 2 * rhythm.gap_deviation(), SHORTEST), LONGEST))


def next_due(state: UserState, after: int) -> int:
    """Returns when the user's first silence later than `after` is due, `NEVER` when there is none."""
    silence = first_silence(state)
    while silence <= _LAST:
        if state.last_ts + silence > after:
            return state.last_ts + silence
        silence *= 2
    return NEVER


class SilenceTimers:
    """The timers of one partition, ordered by due time and then by user."""

    def __init__(self) -> None:
        """Starts without timers."""
        self._heap: list[tuple[int, str]] = []
        self._earliest: dict[str, int] = {}

    def arm(self, user_id: str, due: int) -> None:
        """Makes sure the user's timer is looked at no later than `due`."""
        if due == NEVER:
            return
        earliest = self._earliest.get(user_id)
        if earliest is None or due < earliest:
            self._earliest[user_id] = due
            heapq.heappush(self._heap, (due, user_id))

    def due(self, clock: int, current_due: Callable[[str], int]) -> Iterator[tuple[int, str]]:
        """Yields (due, user) of the timers due at `clock`, in order.

        `current_due` tells a user's true due time: an entry that surfaces early goes back to its place.
        """
        heap = self._heap
        while heap and heap[0][0] <= clock:
            at, user_id = heapq.heappop(heap)
            if self._earliest.get(user_id) != at:
                continue
            del self._earliest[user_id]
            due = current_due(user_id)
            if due == at:
                yield due, user_id
            else:
                self.arm(user_id, due)

    def __len__(self) -> int:
        """Returns how many users have a timer."""
        return len(self._earliest)
