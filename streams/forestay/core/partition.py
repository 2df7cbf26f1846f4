"""One partition's state machine: records in, situations and dead letters out. No I/O.

The life of a batch is `apply` (decode, state, timers: yields the situations to be scored), then, with the
model's answers, `settle` (guardrails, policy, memory of what was done), and now and then `checkpoint` (what
must become durable). Situations are snapshots taken at their own record, so how a stream is cut into
batches changes no decision.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from forestay.core.catalogue import Catalogue
from forestay.core.decide import action_of, decide, remember
from forestay.core.decode import dead_letter, decode_click, decode_clock
from forestay.core.errors import DeadLetter, FloodError, StateError
from forestay.core.event import Event
from forestay.core.flood import FloodGuard
from forestay.core.ladder import ModelIdentity, climb
from forestay.core.model_input import model_input
from forestay.core.record import OutputRecord, SourceRecord
from forestay.core.rules import Rules
from forestay.core.situation import Situation, decision_id
from forestay.core.state_codec import MARK_KEY, PartitionMark, encode_mark, encode_user
from forestay.core.timers import SilenceTimers, next_due
from forestay.core.units import to_milliseconds
from forestay.core.user_state import NEVER, UserState, apply_event
from forestay_schemas.decision import Decision
from forestay_schemas.retention_action import RetentionAction, Trigger
from forestay_schemas.types import TriggerKind

_NO_TIME: Final = -1


class Applied(NamedTuple):
    """What one batch asks for: users to score, and records that failed.

    `flood` is set if so many failed that the line must stop once these are written; the rest is unread.
    """

    situations: list[Situation]
    dead_letters: list[OutputRecord]
    flood: FloodError | None = None


class Settled(NamedTuple):
    """What one batch decided, in order."""

    decisions: list[Decision]
    actions: list[RetentionAction]


class Partition:
    """The state of one partition's users, its clock and its timers."""

    def __init__(self, number: int, clock_topic: str, rules: Rules, catalogue: Catalogue) -> None:
        """Starts empty; `restore` brings back what was durable."""
        self.number = number
        self.users: dict[str, UserState] = {}
        self.clock = _NO_TIME
        self.positions: dict[str, int] = {}
        self._clock_topic = clock_topic
        self._rules = rules
        self._catalogue = catalogue
        self._digest = catalogue.digest()
        self._timers = SilenceTimers()
        self._dirty: set[str] = set()
        self._flood = FloodGuard(rules.dead_letter_limit)

    def restore(
        self, users: dict[str, UserState], mark: PartitionMark | None, made: Sequence[Decision] = ()
    ) -> list[RetentionAction]:
        """Takes over durable state, and the decisions made after it, which are taken as made (design D3).

        They move their users' `scored_ts`, so the replay of what led to them does not make them again, in
        whatever order the source topics are read. Returns their actions, which may not have become durable:
        the caller writes them again, with the same ids and bytes, before anything else.
        """
        self.users = users
        if mark is not None:
            self.clock = mark.clock
            self.positions = dict(mark.positions)
        actions = [action for decision in made if (action := self._take_as_made(decision)) is not None]
        for user_id, state in users.items():
            self._timers.arm(user_id, state.silence_due)
        return actions

    def _take_as_made(self, decision: Decision) -> RetentionAction | None:
        state = self.users.get(decision.user_id)
        if state is None:
            state = self.users[decision.user_id] = UserState(partition=self.number)
        decided_at = to_milliseconds(decision.decided_at)
        if decided_at <= state.scored_ts:
            # This state is from after the decision: a commit was under way, and its actions were durable.
            return None
        remember(state, decision, decided_at)
        if NEVER != state.silence_due <= decided_at:
            state.silence_due = next_due(state, after=decided_at)
        self._dirty.add(decision.user_id)
        return action_of(decision, self._catalogue)

    # -- apply ---------------------------------------------------------------------------------------

    def apply(self, records: Sequence[SourceRecord]) -> Applied:
        """Applies records of one source topic in offset order.

        Raises:
            StateError: offsets that do not increase.
        """
        applied = Applied([], [])
        for record in records:
            position = self.positions.get(record.topic, 0)
            if record.offset < position:
                message = f"{record.topic}-{record.partition}: offset {record.offset} came after {position - 1}"
                raise StateError(message)
            try:
                self._apply_one(record, applied.situations)
                failed = False
            except DeadLetter as problem:
                applied.dead_letters.append(dead_letter(record, problem))
                failed = True
            self.positions[record.topic] = record.offset + 1
            try:
                self._flood.saw(failed=failed)
            except FloodError as flood:
                return applied._replace(flood=flood)
        return applied

    def _apply_one(self, record: SourceRecord, situations: list[Situation]) -> None:
        if record.topic == self._clock_topic:
            self._advance(decode_clock(record), record, situations)
            return
        event = decode_click(record, self._rules.currency)
        if event.ts > self.clock:
            self._advance(event.ts, record, situations)
        self._apply_event(event, record, situations)

    def _apply_event(self, event: Event, record: SourceRecord, situations: list[Situation]) -> None:
        state = self.users.get(event.user_id)
        if state is None:
            state = self.users[event.user_id] = UserState(partition=record.partition)
        elif record.offset <= state.offset and record.partition == state.partition:
            return
        state.partition, state.offset = record.partition, record.offset
        self._dirty.add(event.user_id)
        if not apply_event(state, event):
            return
        # Silences that would have been due before this event came are passed over: nobody could act on them.
        self._arm(event.user_id, state, after=max(state.scored_ts, self.clock))
        if self._worth_scoring(event, state):
            state.scored_ts = event.ts
            trigger = Trigger(
                kind=TriggerKind.EVENT,
                event_id=event.event_id,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
            )
            situations.append(self._situation(event.user_id, state, event.ts, trigger))

    def _worth_scoring(self, event: Event, state: UserState) -> bool:
        """Says whether the event asks for a score: its kind does, it is the newest, and the last is old enough."""
        if event.kind not in self._rules.score_on or event.ts < state.last_ts:
            return False
        # At least a millisecond: a user's decisions have increasing moments.
        return state.scored_ts == NEVER or event.ts - state.scored_ts >= max(self._rules.score_interval, 1)

    def _advance(self, clock: int, record: SourceRecord, situations: list[Situation]) -> None:
        """Moves event time forward, and lets every silence due by then speak."""
        if clock <= self.clock:
            return
        self.clock = clock
        for due, user_id in self._timers.due(clock, self._due):
            state = self.users[user_id]
            trigger = Trigger(
                kind=TriggerKind.SILENCE,
                event_id=None,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
            )
            state.scored_ts = due
            self._arm(user_id, state, after=due)
            self._dirty.add(user_id)
            situations.append(self._situation(user_id, state, due, trigger))

    def _due(self, user_id: str) -> int:
        return self.users[user_id].silence_due

    def _arm(self, user_id: str, state: UserState, after: int) -> None:
        state.silence_due = next_due(state, after)
        self._timers.arm(user_id, state.silence_due)

    def _situation(self, user_id: str, state: UserState, now: int, trigger: Trigger) -> Situation:
        name = decision_id(user_id, now)
        return Situation(name, user_id, now, self.clock, trigger, state.country, model_input(state, now))

    # -- settle --------------------------------------------------------------------------------------

    def settle(
        self, situations: Sequence[Situation], probabilities: dict[str, float], model: ModelIdentity
    ) -> Settled:
        """Decides on every situation in order; `probabilities` holds the model's answers by decision id."""
        settled = Settled([], [])
        for situation in situations:
            state = self.users[situation.user_id]
            probability = probabilities.get(situation.decision_id)
            churn = climb(situation, state.score, probability, model, self._rules.score_max_age)
            decision = decide(situation, state.contacts, churn, self._catalogue, self._digest)
            remember(state, decision, situation.now)
            settled.decisions.append(decision)
            action = action_of(decision, self._catalogue)
            if action is not None:
                settled.actions.append(action)
        return settled

    # -- checkpoint ----------------------------------------------------------------------------------

    def checkpoint(self, decisions: int, generation: int) -> list[OutputRecord]:
        """Returns what must become durable since the last call: changed users, then the mark.

        `decisions` is the end of the decision topic in this partition, `generation` the group's. The caller
        writes the records in this order; the mark says that all before it are there.
        """
        records = [
            OutputRecord(user_id.encode(), encode_user(self.users[user_id])) for user_id in sorted(self._dirty)
        ]
        self._dirty.clear()
        mark = PartitionMark(dict(self.positions), self.clock, decisions, generation)
        records.append(OutputRecord(MARK_KEY, encode_mark(mark)))
        return records
