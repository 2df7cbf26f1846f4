"""Which moments are scored: the naive truth of the triggers, told record by record.

A score follows an event of a kind the shop scores on, if the event is the user's newest and the last score is
old enough; and it follows a silence longer than the user's own rhythm explains.
"""

from collections import defaultdict
from collections.abc import Sequence
from math import fsum
from statistics import pstdev
from typing import Final, NamedTuple

from support.builders import Click
from support.oracle import KINDS, LATENESS, Event, counting, features, session_gaps, sessions

from forestay.core.rules import Rules
from forestay.core.units import DAY, SECOND

#: Sessions needed before a rhythm is believed, and what stands for an unknown one.
BELIEVED, UNKNOWN = 4, 14 * DAY
SHORTEST, LONGEST, LAST = 1 * DAY, 60 * DAY, 180 * DAY
#: How often a silence of a day can double before it is longer than 180 days.
DOUBLINGS: Final = 8


class Moment(NamedTuple):
    """A user to be scored: at what moment, for an event or a silence, and the features then."""

    user: str
    now: int
    kind: str
    features: dict[str, float]


def first_silence(events: Sequence[Event]) -> int:
    """Mean gap plus two deviations, in whole seconds, between a day and sixty; fourteen days below four sessions."""
    chains = sessions(events)
    if len(chains) < BELIEVED:
        return UNKNOWN
    gaps = session_gaps(chains)
    return min(max(round(fsum(gaps) / len(gaps) + 2 * pstdev(gaps)) * SECOND, SHORTEST), LONGEST)


class Truth:
    """A partition told record by record: who is to be scored when, and with which features."""

    def __init__(self, rules: Rules, lateness: int = LATENESS) -> None:
        self.arrived: dict[str, list[Click]] = defaultdict(list)
        self.moments: list[Moment] = []
        #: Those never seen before: a repeat of an event that counted may be known as one, or be too late.
        self.too_late: list[Click] = []
        self.clock = -1
        self.watermark = -1
        self.due: dict[str, int] = {}
        self._rules = rules
        self._lateness = lateness
        self._last: dict[str, int] = {}

    def tell(self, clock: int) -> None:
        """Event time reaches `clock`: every silence due by then speaks, by due time and then by user."""
        self.clock = max(self.clock, clock)
        while ready := sorted((due, user) for user, due in self.due.items() if due <= self.clock):
            due, user = ready[0]
            self._moment(user, due, "silence")
            self._wait(user, after=due)

    def see(self, event: Click) -> None:
        """One event arrives."""
        user, ts = event["user_id"], event["ts"]
        known = {click["event_id"] for click in self.arrived.get(user, [])}
        if ts < self.watermark - self._lateness:
            if event["event_id"] not in known:
                self.too_late.append(event)
            return
        self.watermark = max(self.watermark, ts)
        self.tell(ts)
        self.arrived[user].append(event)
        if event["event_id"] in known:
            return
        last = self._last.get(user)
        self._wait(user, after=max(self.clock, -1 if last is None else last))
        newest = ts == max(click["ts"] for click in self.arrived[user])
        wanted = KINDS.index(event["event"]) in self._rules.score_on
        if wanted and newest and (last is None or ts - last >= max(self._rules.score_interval, 1)):
            self._moment(user, ts, "event")

    def _moment(self, user: str, now: int, kind: str) -> None:
        self._last[user] = now
        self.moments.append(Moment(user, now, kind, features(counting(self.arrived[user]), now)))

    def _wait(self, user: str, after: int) -> None:
        """The next silence: the first, or one two, four, ... times as long, up to 180 days."""
        events = counting(self.arrived[user])
        silences = [first_silence(events) << doubling for doubling in range(DOUBLINGS)]
        dues = [events[-1].ts + silence for silence in silences if silence <= LAST]
        self.due.pop(user, None)
        if later := [due for due in dues if due > after]:
            self.due[user] = later[0]
