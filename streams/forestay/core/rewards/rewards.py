"""The join of decisions with what came of them: waited for in the user's state, closed by the user's timer."""

from typing import NamedTuple

from mypy_extensions import i64

from forestay.core.decision.situation import action_id_of, decision_id
from forestay.core.errors import DeadLetter
from forestay.core.event import Event
from forestay.core.record import OutputRecord
from forestay.core.rewards.pending import MAX_PENDING, PendingReward
from forestay.core.rewards.reward import KINDS, outcome
from forestay.core.rules import Rules
from forestay.core.state.user_state import UserState
from forestay.core.units import to_milliseconds, to_minor_units
from forestay_schemas.action_feedback import ActionFeedback
from forestay_schemas.retention_action import RetentionAction


class Told(NamedTuple):
    """The offer of an action, and the kinds of feedback told of it before, as bits in the contract's order."""

    offer_id: str
    before: int


class Rewards:
    """The outcomes of one partition; `records` are those of the batch in work.

    A decision is waited for from the moment it is asked for: what comes in the same batch, before it is made, counts.
    """

    def __init__(self, rules: Rules, margin: float) -> None:
        """`margin` is the shop's, as a share of revenue."""
        self.records: list[OutputRecord] = []
        self._horizon: i64 = rules.reward_horizon
        self._wait: i64 = rules.reward_wait
        self._margin = margin
        #: What this batch asks for and has not decided yet, by decision id; and of these, what is closed, and whether
        #: it is complete.
        self._asked: dict[str, PendingReward] = {}
        self._closed: dict[str, bool] = {}

    def adopt(self, margin: float) -> None:
        """Values outcomes that are closed from now on by another margin."""
        self._margin = margin

    def begin(self) -> None:
        """Begins a batch."""
        self.records = []
        self._asked = {}
        self._closed = {}

    def ask(self, user_id: str, state: UserState, now: i64) -> None:
        """Waits for what comes of a decision that is to be made as of `now` (milliseconds)."""
        pending = self._waiting(state, now)
        if pending is not None:
            self._asked[decision_id(user_id, now)] = pending

    def settle(self, user_id: str, decision: str, offer_id: str | None, cost: float) -> None:
        """Notes what a decision that was asked for has done; `cost` is that of its action, 0 if there is none."""
        pending = self._asked.pop(decision, None)
        if pending is None:
            return
        _fill(pending, offer_id, cost)
        complete = self._closed.get(decision)
        if complete is not None:
            self._write(user_id, pending, complete=complete)

    def restore(self, state: UserState, now: int, offer_id: str | None, cost: float) -> None:
        """Waits for what comes of a decision found in the log; otherwise as `ask` and `settle`."""
        pending = self._waiting(state, now)
        if pending is not None:
            _fill(pending, offer_id, cost)

    def released(self, state: UserState, action: RetentionAction) -> None:
        """Notes what an action costs that goes out later than it was decided; otherwise as `settle`."""
        decided_at = to_milliseconds(action.decided_at)
        for one in state.pending or ():
            if one.decided_at == decided_at and one.offer_id == action.offer_id:
                one.cost = to_minor_units(action.cost)

    def _waiting(self, state: UserState, now: i64) -> PendingReward | None:
        if not self._horizon:
            return None
        if state.pending is None:
            state.pending = []
        if len(state.pending) >= MAX_PENDING:
            return None
        pending = PendingReward(now, "", 0)
        state.pending.append(pending)
        return pending

    def see(self, state: UserState, event: Event) -> None:
        """Takes in an event that was counted for the user."""
        if state.pending is not None:
            horizon = self._horizon
            for one in state.pending:
                one.see(event, horizon)

    def take(self, user_id: str, state: UserState | None, feedback: ActionFeedback) -> Told:
        """Takes in feedback on an action of the user; returns which it is of, and what was told before.

        Raises:
            DeadLetter: no such action is waited for.
        """
        pending = None if state is None else state.pending
        for one in pending or ():
            acted = one.offer_id and action_id_of(decision_id(one.owner or user_id, one.decided_at))
            if acted == feedback.action_id:
                before = one.bits >> 1
                one.tell(KINDS.index(feedback.kind))
                return Told(one.offer_id, before)
        raise DeadLetter("unknown_action", "no such action is waited for: it is another user's, or its time is over")

    def close(self, user_id: str, state: UserState, now: i64) -> None:
        """Closes what is over at the moment `now` (milliseconds): nothing of it can come any more."""
        pending = state.pending
        if pending is None or not self._horizon:
            return
        done = 0
        while done < len(pending) and pending[done].decided_at + self._wait <= now:
            self._close(user_id, pending[done], complete=True)
            done += 1
        state.pending = pending[done:] or None

    def abandon(self, user_id: str, state: UserState) -> None:
        """Closes all of a user who is forgotten."""
        for one in state.pending or ():
            self._close(user_id, one, complete=False)
        state.pending = None

    def _close(self, user_id: str, pending: PendingReward, *, complete: bool) -> None:
        decision = decision_id(pending.owner or user_id, pending.decided_at)
        if decision in self._asked:
            # What it does is known when the batch is settled.
            self._closed[decision] = complete
        else:
            self._write(user_id, pending, complete=complete)

    def _write(self, user_id: str, pending: PendingReward, *, complete: bool) -> None:
        made = outcome(user_id, pending, self._horizon, self._margin, complete=complete)
        self.records.append(OutputRecord(user_id.encode(), made.model_dump_json().encode()))


def _fill(pending: PendingReward, offer_id: str | None, cost: float) -> None:
    pending.offer_id = offer_id or ""
    pending.cost = to_minor_units(cost)
