"""From moments worth a decision to decisions: situations taken at their record, settled once the model answers."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from mypy_extensions import i64

from forestay.core.budget.book import Book
from forestay.core.clock.schedule import held_due
from forestay.core.decision.answer import Answer, ModelIdentity
from forestay.core.decision.budgeting import take
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.decide import action_of, decide, remember
from forestay.core.decision.guardrails import Room
from forestay.core.decision.ladder import climb
from forestay.core.decision.model_input import model_input
from forestay.core.decision.quiet_hours import held_until
from forestay.core.decision.release import chosen_then, release
from forestay.core.decision.situation import Situation, decision_id
from forestay.core.event import EVENT_NAMES, NEVER
from forestay.core.experiments.trials import Trials
from forestay.core.items.offered import lately
from forestay.core.record import OutputRecord
from forestay.core.rewards.rewards import Rewards
from forestay.core.rules import Rules
from forestay.core.state.held import Held
from forestay.core.state.user_state import UserState
from forestay.core.units import to_milliseconds
from forestay.core.users import Users
from forestay_schemas.decision import Decision
from forestay_schemas.retention_action import Churn, RetentionAction, Trigger
from forestay_schemas.types import Rung, TriggerKind

#: Later than any moment.
_NEVER_DUE: Final = 2**60


class Settled(NamedTuple):
    """What one batch decided, in order, and what came of earlier decisions."""

    decisions: list[Decision]
    actions: list[RetentionAction]
    outcomes: list[OutputRecord]


class Deciding:
    """The decisions of one partition."""

    def __init__(self, users: Users, rules: Rules, catalogue: Catalogue, rewards: Rewards, book: Book) -> None:
        """`users`, `rewards` (what waits for outcomes) and `book` are the partition's."""
        self.situations: list[Situation] = []
        self._users = users
        self._rules = rules
        self._scored = [kind in rules.score_on for kind in range(len(EVENT_NAMES))]
        self._catalogue = catalogue
        self._rewards = rewards
        self._book = book
        self._embedding = catalogue.reads_embedding
        #: The catalogue's digest, which is the version of the policy.
        self.version = catalogue.digest()
        self._trials = Trials(catalogue)
        #: No later moment (milliseconds) may come in this batch: what it holds back is due then.
        self.must_settle_before: i64 = _NEVER_DUE
        #: Users evicted in this batch, whose situations are still to be decided.
        self._gone: dict[str, list[UserState]] = {}

    def adopt(self, catalogue: Catalogue) -> None:
        """Decides by another catalogue from the next batch on; between batches nothing is left undecided."""
        self.under(catalogue)
        self._embedding = catalogue.reads_embedding
        self.version = catalogue.digest()

    def under(self, catalogue: Catalogue) -> None:
        """Decides by the same catalogue with more of it stopped; its version stays."""
        self._catalogue = catalogue
        self._trials = Trials(catalogue)

    def begin(self) -> None:
        """Begins a batch."""
        self.situations = []
        self.must_settle_before = _NEVER_DUE
        self._gone = {}

    def worth_scoring(self, kind: i64, ts: i64, state: UserState) -> bool:
        """Says whether an event asks for a score: its kind does, it is the newest, and the last is old enough."""
        if ts < state.last_ts or not self._scored[kind]:
            return False
        if state.identity is not None and state.identity.merged_into:
            return False
        # At least a millisecond: a user's decisions have increasing moments.
        return state.scored_ts == NEVER or ts - state.scored_ts >= max(self._rules.score_interval, 1)

    def ask(  # noqa: PLR0917 - called for each decision
        self, user_id: str, state: UserState, now: i64, clock: i64, trigger: Trigger, held: Held | None = None
    ) -> None:
        """Takes a snapshot of the user at moment `now`, to be decided upon; `clock` is when it became known.

        `held` is the action that has waited until now.
        """
        state.scored_ts = now
        if self._rules.score_on:
            snapshot = model_input(state, self._rules.features, now)
            name = decision_id(user_id, now)
            words, zone = tuple(state.consents), state.timezone
            recent = () if self._catalogue.items is None else lately(state, self._rules.features, now)
            self.situations.append(
                Situation(name, user_id, now, clock, trigger, state.country, snapshot, zone, words, held, recent)
            )
            until = held_until(zone, clock, self._catalogue.guardrails)
            if until is not None and until < self.must_settle_before:
                self.must_settle_before = until
            # What comes of a release is told of the decision that chose.
            if held is None:
                self._rewards.ask(user_id, state, now)
                self._users.arm(user_id, state)

    def evicted(self, user_id: str, state: UserState) -> None:
        """Keeps a user who is forgotten until what this batch is to decide about them is decided."""
        if state.scored_ts != NEVER:
            self._gone.setdefault(user_id, []).append(state)

    def settle(self, situations: Sequence[Situation], answers: Mapping[str, Answer], model: ModelIdentity) -> Settled:
        """Decides on every situation in order.

        `answers` holds what was answered, by decision id; `model` is the one that would have answered on the others.
        """
        settled = Settled([], [], self._rewards.records)
        nothing = Answer(None, model)
        for situation in situations:
            state = self._state_of(situation)
            if state is None:
                continue
            answer = answers.get(situation.decision_id, nothing)
            churn = climb(situation, state.score, answer, self._rules.score_max_age)
            self._book.observe(situation.now)
            if self._embedding and churn.rung is Rung.MODEL:
                situation = situation._replace(embedding=answer.embedding)  # noqa: PLW2901 - the same, and answered
            decision = self._decide(situation, state, churn)
            take(decision, self._book)
            remember(state, decision, situation.now, situation.held)
            self._arm(situation.user_id, state)
            settled.decisions.append(decision)
            action = _action_of(decision, situation.held, self._catalogue)
            if action is not None:
                settled.actions.append(action)
            if situation.held is None:
                self._rewards.settle(situation.user_id, decision.decision_id, decision.offer_id, _cost(action))
            elif action is not None:
                self._rewards.released(state, action)
        return settled

    def _decide(self, situation: Situation, state: UserState, churn: Churn) -> Decision:
        if situation.held is not None:
            return release(situation, situation.held, state.contacts, churn, self._catalogue, self.version)
        # Nothing can wait with a user who is forgotten.
        room = Room(waiting=bool(state.held), forgotten=self._users.get(situation.user_id) is not state)

        def made(shop: Catalogue, arms: Collection[str]) -> Decision:
            return decide(situation, state.contacts, churn, shop, self.version, book=self._book, room=room, arms=arms)

        return self._trials.decide(situation, churn.probability, made)

    def _arm(self, user_id: str, state: UserState) -> None:
        """Sees to it that the user is woken when what waits is to be released."""
        if state.held:
            self._users.timers.arm(user_id, state, held_due(state))

    def _state_of(self, situation: Situation) -> UserState | None:
        """Returns the state a situation is about: that of a user evicted since, or the present one."""
        for gone in self._gone.get(situation.user_id, ()):
            if situation.now <= gone.scored_ts:
                return gone
        return self._users.get(situation.user_id)

    def take_as_made(self, decision: Decision, earlier: Mapping[str, Catalogue]) -> RetentionAction | None:
        """Takes a decision found in the log beyond the durable state; returns its action, None if none is owed.

        The action is that of the catalogue that decided, where it is among the `earlier` ones, by version.
        """
        user_id = decision.user_id
        decided_at = to_milliseconds(decision.decided_at)
        # Budgets are as of the mark, whatever is durable of the user.
        self._book.observe(decided_at)
        take(decision, self._book)
        state = self._users.get(user_id)
        if state is None:
            state = self._users.new(user_id)
        if decided_at <= state.scored_ts:
            # This state is from after the decision: a commit was under way, and its actions were durable.
            return None
        held: Held | None = None
        if decision.releases is not None:
            for one in state.held:
                if one.decision_id == decision.releases:
                    held = one
            state.held = [one for one in state.held if one is not held]
        remember(state, decision, decided_at, held)
        self._arm(user_id, state)
        if decision.trigger.kind is TriggerKind.PATTERN and state.patterns is not None:
            state.patterns.fire(decided_at, self._rules.patterns)
        action = _action_of(decision, held, earlier.get(decision.policy.version, self._catalogue))
        if decision.releases is None:
            self._rewards.restore(state, decided_at, decision.offer_id, _cost(action))
        elif action is not None:
            self._rewards.released(state, action)
        self._users.arm(user_id, state)
        self._users.touch(user_id)
        return action


def _action_of(decision: Decision, held: Held | None, catalogue: Catalogue) -> RetentionAction | None:
    """Returns the action a decision asks for now; a release asks for that of the decision it releases."""
    if held is None or decision.action_id is None or decision.held_until is not None:
        return action_of(decision, catalogue)
    return action_of(chosen_then(held), catalogue)


def _cost(action: RetentionAction | None) -> float:
    return 0.0 if action is None else action.cost
