"""Timers in event time: one a user, for silence, patterns and eviction (design D6).

A user's silence is due when it has lasted longer than their own rhythm explains. Timers stand in minutes:
each minute that has any holds the users to look at then. A user is looked at no later than due; moving a due
time later, which every event does, costs nothing until the old minute comes. An idle user costs a reference.
"""

import heapq
from typing import Final

from mypy_extensions import i64

from forestay.core.event import NEVER
from forestay.core.families.sessions import SessionsPart
from forestay.core.state.user_state import UserState
from forestay.core.units import DAY, MINUTE, SECOND

#: Bounds of the first silence (milliseconds), and what stands for an unknown rhythm.
SHORTEST: Final = 1 * DAY
LONGEST: Final = 60 * DAY
UNKNOWN: Final = 14 * DAY
#: Sessions needed before a rhythm is believed.
_MIN_SESSIONS: Final = 4
#: After the first, each further silence is twice as long; none is looked at beyond this.
LAST_SILENCE: Final = 180 * DAY
#: In minutes.
_HOUR: Final = 60


def first_silence(sessions: SessionsPart | None) -> i64:
    """Returns how long a silence is remarkable for this user, in milliseconds: mean gap plus two deviations."""
    if sessions is None or sessions.count() < _MIN_SESSIONS:
        return UNKNOWN
    # Whole seconds: the last digits of a float must not move a timer.
    silence: i64 = round(sessions.mean_gap() + 2 * sessions.gap_deviation()) * SECOND
    return min(max(silence, SHORTEST), LONGEST)


def next_silence(state: UserState, sessions: SessionsPart | None, after: i64) -> i64:
    """Returns when the user's first silence later than `after` is due, `NEVER` when there is none."""
    silence = first_silence(sessions)
    while silence <= LAST_SILENCE:
        if state.last_ts + silence > after:
            return state.last_ts + silence
        silence *= 2
    return NEVER


class Timers:
    """Which users to look at in which minute.

    Far minutes are kept by the hour: a user then costs 15 bytes, where a list a minute would take 60. The users of
    the minute that is open stand in `soon` by their due time, so that the clock's way through it is gone once.
    """

    __slots__ = ("_hours", "_minutes", "_opened", "_users", "_waiting", "minute", "soon")

    def __init__(self) -> None:
        """Starts without timers."""
        #: The last minute opened, and (due, user) of those due in it or before.
        self.minute: i64 = NEVER
        self.soon: list[tuple[int, str]] = []
        #: Minutes of hours up to the last one opened, and their users.
        self._minutes: list[int] = []
        self._users: dict[int, list[str]] = {}
        #: Later hours: users, and beside each the minute within the hour.
        self._hours: list[int] = []
        self._waiting: dict[int, tuple[list[str], bytearray]] = {}
        self._opened: i64 = NEVER

    def arm(self, user_id: str, state: UserState, due: i64) -> None:
        """Makes sure the user is looked at no later than `due` (milliseconds, or `NEVER`)."""
        if due == NEVER:
            return
        minute = due // MINUTE
        if minute <= self.minute:
            state.armed = minute
            heapq.heappush(self.soon, (due, user_id))
        elif state.armed == NEVER or minute < state.armed:
            state.armed = minute
            self.put(user_id, minute)

    def put(self, user_id: str, minute: i64) -> None:
        """Puts the user into a minute."""
        hour = minute // _HOUR
        if hour <= self._opened:
            self._put_near(user_id, minute)
            return
        waiting = self._waiting.get(hour)
        if waiting is None:
            waiting = self._waiting[hour] = ([], bytearray())
            heapq.heappush(self._hours, hour)
        waiting[0].append(user_id)
        waiting[1].append(minute % _HOUR)

    def _put_near(self, user_id: str, minute: i64) -> None:
        users = self._users.get(minute)
        if users is None:
            self._users[minute] = [user_id]
            heapq.heappush(self._minutes, minute)
        else:
            users.append(user_id)

    def first(self) -> i64:
        """Returns the first minute that has timers, `NEVER` if none has."""
        if not self._minutes and self._hours:
            hour = heapq.heappop(self._hours)
            self._opened = hour
            users, minutes = self._waiting.pop(hour)
            for index in range(len(users)):
                self._put_near(users[index], hour * _HOUR + minutes[index])
        return self._minutes[0] if self._minutes else NEVER

    def take(self, most: int) -> list[str]:
        """Opens the first minute, as `first` has just told it; returns and forgets at most so many of its users."""
        minute = self._minutes[0]
        self.minute = max(self.minute, minute)
        users = self._users[minute]
        if len(users) > most:
            self._users[minute] = users[most:]
            return users[:most]
        heapq.heappop(self._minutes)
        return self._users.pop(minute)

    def __len__(self) -> int:
        """Returns how many timers stand; some may be of users who have moved on."""
        near = sum([len(users) for users in self._users.values()])
        return near + len(self.soon) + sum([len(users) for users, _ in self._waiting.values()])
