"""When a user is to be looked at next: for a silence, a pattern, a held action, an outcome, or to be evicted."""

from mypy_extensions import i64

from forestay.core.clock.timers import next_silence
from forestay.core.event import NEVER
from forestay.core.families.sessions import SessionsPart
from forestay.core.feature_set import FeatureSet
from forestay.core.patterns.patterns import PatternRules
from forestay.core.state.user_state import UserState


def held_due(state: UserState) -> i64:
    """Returns when the user's first held action is to be judged again, `NEVER` if none waits.

    After the last decision in any case, since a user's decisions have increasing moments.
    """
    if not state.held:
        return NEVER
    until: i64 = state.held[0].until
    if until <= state.scored_ts:
        return state.scored_ts + 1
    return until


class Schedule:
    """The due times of users; `idle` (milliseconds) is the silence after which a user is evicted."""

    __slots__ = ("_reward_wait", "_sessions", "idle", "patterns")

    def __init__(self, features: FeatureSet, patterns: PatternRules, idle: i64, reward_wait: i64 = 0) -> None:
        """`patterns` are the triggers of the form 'A and then not B within T'; `reward_wait` as in `Rules`."""
        self._reward_wait: i64 = reward_wait
        self._sessions: i64 = features.index("sessions")
        self.patterns = patterns
        self.idle: i64 = idle

    def silence(self, state: UserState) -> i64:
        """Returns when the user's next silence is due, `NEVER` if none is; those before `seen_clock` are past."""
        sessions: SessionsPart | None = None
        if self._sessions >= 0:
            part = state.parts[self._sessions]
            if isinstance(part, SessionsPart):
                sessions = part
        return next_silence(state, sessions, max(state.scored_ts, state.seen_clock))

    def pattern(self, state: UserState) -> i64:
        """Returns when the user's next pattern is due, `NEVER` if none is pending."""
        return NEVER if state.patterns is None else state.patterns.next_due(self.patterns)

    def outcome(self, state: UserState) -> i64:
        """Returns when the user's next outcome is closed, `NEVER` if none is waited for."""
        if state.pending is None or not self._reward_wait:
            return NEVER
        return state.pending[0].decided_at + self._reward_wait

    def due(self, state: UserState) -> i64:
        """Returns when the user is to be looked at next (milliseconds); `NEVER` without events, or if leaving."""
        due = self.waking(state)
        outcome = self.outcome(state)
        return outcome if NEVER != outcome < due else due

    def waking(self, state: UserState) -> i64:
        """Returns when the user is to be woken or evicted next; otherwise as `due`."""
        if state.last_ts == NEVER:
            return NEVER
        if state.identity is not None and state.identity.merged_into:
            return state.last_ts + self.idle + 1 if state.identity.moved else NEVER
        due = self.silence(state)
        if due == NEVER:
            due = state.last_ts + self.idle + 1
        pattern = self.pattern(state)
        if NEVER != pattern < due:
            due = pattern
        held = held_due(state)
        return held if NEVER != held < due else due
