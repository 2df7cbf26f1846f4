"""A partition's clock, and who is woken as it moves: by a silence, by a pattern, or to be evicted (design D6)."""

import heapq
from typing import NamedTuple

from mypy_extensions import i64

from forestay.core.clock.schedule import Schedule, held_due
from forestay.core.clock.timers import SHORTEST
from forestay.core.decision.deciding import Deciding
from forestay.core.event import NEVER, Event
from forestay.core.patterns.patterns import PatternMemory
from forestay.core.rewards.rewards import Rewards
from forestay.core.rules import Rules
from forestay.core.state.consent import kept_for_ever
from forestay.core.state.held import Held
from forestay.core.state.user_state import UserState
from forestay.core.units import MINUTE
from forestay.core.users import Users
from forestay_schemas.retention_action import Trigger
from forestay_schemas.types import TriggerKind


class Coordinates(NamedTuple):
    """Which record tells the time."""

    topic: str
    offset: int


class Waking:
    """The clock of one partition; it stands at `NEVER` before the first event."""

    def __init__(  # noqa: PLR0917 - what it is made of, in the order it is needed
        self, number: int, users: Users, schedule: Schedule, rules: Rules, deciding: Deciding, rewards: Rewards
    ) -> None:
        """`number` is the partition's, `users` are its own."""
        self.clock: i64 = NEVER
        self._number = number
        self._users = users
        self._schedule = schedule
        self._rules = rules
        self._deciding = deciding
        self._rewards = rewards

    def look_after(self, state: UserState, event: Event) -> None:
        """Sees to it that the user of an event that was counted is woken in time."""
        rules = self._rules
        # Silences that would have been due before this event came are passed over: nobody could act on them.
        state.seen_clock = self.clock
        if rules.patterns.relevant(event.kind):
            if state.patterns is None:
                state.patterns = PatternMemory()
            state.patterns.update(event, rules.patterns)
            self._users.timers.arm(event.user_id, state, self._schedule.pattern(state))
        # No silence is due sooner than this; when it comes, the true time is worked out.
        soonest = state.last_ts + SHORTEST
        if state.armed == NEVER or soonest < state.armed * MINUTE:
            self._users.timers.arm(event.user_id, state, soonest)

    def is_anyone_due(self) -> bool:
        """Says whether users are to be woken or looked at although the clock stands.

        More came due at once than may be woken at once, a late event made something due in the past, or a worker has
        taken over: it makes no difference which.
        """
        timers = self._users.timers
        if timers.soon and timers.soon[0][0] <= self.clock:
            return True
        return NEVER != timers.first() <= self.clock // MINUTE

    def advance(self, clock: i64, oldest: i64, most: i64, source: Coordinates) -> bool:
        """Moves event time forward, and wakes every user who is due by then, in order.

        `oldest` is the earliest moment a further event may have; `source` names the record that tells the time.
        Returns False if more than `most` users were to be looked at: the rest is woken by calls that follow.
        """
        self.clock = max(self.clock, clock)
        timers = self._users.timers
        looked_at: i64 = 0
        while looked_at < most:
            if timers.soon and timers.soon[0][0] <= self.clock:
                due, user_id = heapq.heappop(timers.soon)
                self._wake(user_id, due, oldest, source)
                looked_at += 1
            elif NEVER != timers.first() <= self.clock // MINUTE:
                looked_at += self._open(most)
            else:
                return True
        return not self.is_anyone_due()

    def _open(self, most: i64) -> i64:
        """Looks up when the users of the next minute are due; returns how many it looked at."""
        timers = self._users.timers
        minute = timers.first()
        user_ids = timers.take(most)
        for user_id in user_ids:
            state = self._users.get(user_id)
            if state is not None and state.armed == minute:
                state.armed = NEVER
                timers.arm(user_id, state, self._schedule.due(state))
        return len(user_ids)

    def _wake(self, user_id: str, due: i64, oldest: i64, source: Coordinates) -> None:
        """Does what is due for the user at the moment `due`, if it still is."""
        state = self._users.get(user_id)
        if state is None or state.armed == NEVER:
            return
        current = self._schedule.due(state)
        state.armed = NEVER
        if current != due:
            self._users.timers.arm(user_id, state, current)
            return
        self._users.touch(user_id)
        wakes = self._schedule.waking(state) == due
        self._rewards.close(user_id, state, due)
        if not wakes:
            self._users.timers.arm(user_id, state, self._schedule.due(state))
            return
        if due - state.last_ts > self._rules.idle:
            self.evict(user_id, state)
            return
        held = _released(state, due)
        kind, name = TriggerKind.SILENCE, None
        if state.patterns is not None and self._schedule.pattern(state) == due:
            kind, name = TriggerKind.PATTERN, "+".join(state.patterns.fire(due, self._rules.patterns))
        if held is not None:
            # A user has one decision a moment: what else is due then has been seen to.
            kind, name = TriggerKind.RELEASE, None
        if state.patterns is not None:
            state.patterns.forget(oldest, self._rules.patterns)
            if state.patterns.is_empty():
                state.patterns = None
        # Nothing is decided twice: what comes due again after a crash has moved `scored_ts` when it was decided.
        if due > state.scored_ts:
            trigger = Trigger(
                kind=kind,
                name=name,
                event_id=None,
                topic=source.topic,
                partition=self._number,
                offset=source.offset,
            )
            self._deciding.ask(user_id, state, due, self.clock, trigger, held)
        self._users.timers.arm(user_id, state, self._schedule.due(state))

    def evict(self, user_id: str, state: UserState) -> None:
        """Forgets a user; what this batch is to decide about them is decided as if they were still known.

        Of one who has withdrawn consent this is kept: who comes back after years is not to be asked again.
        """
        self._users.remove(user_id)
        self._users.touch(user_id)
        self._rewards.abandon(user_id, state)
        if kept_for_ever(state.consents):
            self._users.new(user_id).consents = state.consents
        self._deciding.evicted(user_id, state)


def _released(state: UserState, due: i64) -> Held | None:
    """Takes from the state what waits until `due`, None if nothing does."""
    if not state.held or held_due(state) != due:
        return None
    first = state.held[0]
    state.held = state.held[1:]
    return first
