"""One partition's state machine: records in, situations and outputs out. No I/O.

The life of a batch is `apply` (decode, state, timers: yields the situations to be scored), then, with the
model's answers, `settle` (guardrails, policy, memory of what was done), and now and then `checkpoint` (what
must become durable). Situations are snapshots taken at their own record, so how a stream is cut into
batches changes no decision.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mypy_extensions import i64

from forestay.core.applied import Applied, Restored
from forestay.core.budget.book import Book
from forestay.core.budget.exchange import Exchange
from forestay.core.budget.exchange_record import decode_message
from forestay.core.budget.records import reservation_records, taken_reservations
from forestay.core.clock.schedule import Schedule
from forestay.core.decision.answer import Answer, ModelIdentity
from forestay.core.decision.budgeting import end_reservations
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.deciding import Deciding, Settled
from forestay.core.decision.pauses import Pauses
from forestay.core.decision.situation import Situation
from forestay.core.decoding.decode import dead_letter, decode_click, decode_clock, decode_told
from forestay.core.decoding.values import ValueDecoder
from forestay.core.errors import DeadLetter, FloodError, StateError
from forestay.core.event import EVENT_NAMES, NEVER, Event
from forestay.core.feature_stream import FeatureWriter
from forestay.core.flood import FloodGuard
from forestay.core.hearing import check_word, hear
from forestay.core.identity.identities import Identities
from forestay.core.identity.identity_record import Ask, IdentityRecord, Move, decode_identity
from forestay.core.identity.places import check_place
from forestay.core.record import OutputRecord, Record
from forestay.core.record_batch import BatchRecord
from forestay.core.rewards.feedback import decode_feedback
from forestay.core.rewards.rewards import Rewards
from forestay.core.rules import Rules
from forestay.core.sources import Sources
from forestay.core.state.identity import is_leaving
from forestay.core.state.mark import PartitionMark
from forestay.core.state.state_codec import MARK_KEY, encode_mark, tells_asking, tells_leaving
from forestay.core.state.user_state import UserState, apply_event, count_event
from forestay.core.units import MINUTE
from forestay.core.users import Users
from forestay.core.waking import Coordinates, Waking
from forestay.core.watch.seen import Seen
from forestay_schemas.decision import Decision
from forestay_schemas.retention_action import Trigger
from forestay_schemas.types import TriggerKind

#: No bound on how many users one batch wakes.
ALL: Final[int] = 2**60
#: Users a worker wakes in one batch by the time a record tells: after an outage thousands are silent at once, and
#: what they ask for is decided and made durable in portions.
MOST_WOKEN: Final[int] = 2_000
#: No catalogue but the present one has decided.
_NO_OTHERS: Final[Mapping[str, Catalogue]] = {}
#: Dead letters that tell of no bad deploy upstream, and stop no line.
_NO_FAULT: Final = ("too_late", "unknown_action")


class _UnfinishedError(Exception):
    """Control: more users are to be woken before this record than one batch may."""


class Partition:
    """The state of one partition's users, its clock, its watermark and its timers."""

    def __init__(  # noqa: PLR0917 - what it is made of, in the order it is needed
        self,
        number: int,
        sources: Sources,
        rules: Rules,
        catalogue: Catalogue,
        decoder: ValueDecoder | None = None,
        place: Callable[[bytes], int] | None = None,
        partitions: int = 1,
    ) -> None:
        """Starts empty; `restore` brings back what was durable.

        `decoder` reads values that are not JSON. `place` tells a key's partition, where ids are to be merged over
        partitions. It is one of so many `partitions`, which share the budgets.
        """
        self._place = place
        self._decoder = decoder
        self.number = number
        self.watermark: i64 = NEVER
        self.positions: dict[str, int] = {}
        self._sources = sources
        self._rules = rules
        # Asked for each event: attributes of a compiled object take 1 ns, those of a tuple 25.
        self._lateness: i64 = rules.lateness
        self._idle: i64 = rules.idle
        self._deduplicate = rules.deduplicate
        self._written_at = [kind in rules.feature_stream.kinds for kind in range(len(EVENT_NAMES))]
        schedule = Schedule(rules.features, rules.patterns, rules.idle, rules.reward_wait)
        self.users = Users(rules.features, schedule, rules.lateness, rules.live_users)
        self._rewards = Rewards(rules, catalogue.policy.margin)
        self.book = Book(catalogue.budgets, number, partitions, rules.budget_interval)
        self.exchange = Exchange(self.book, rules.budget_interval)
        self._deciding = Deciding(self.users, rules, catalogue, self._rewards, self.book)
        self._catalogue = catalogue
        self.pauses = Pauses(catalogue, self._deciding.version)
        self._waking = Waking(number, self.users, schedule, rules, self._deciding, self._rewards)
        self._flood = FloodGuard(rules.dead_letter_limit)
        self._identities = Identities(self.users, rules, schedule)
        self._writer = FeatureWriter(rules.features, rules.feature_stream)
        self._late = 0
        self._features: list[OutputRecord] = []
        self._identity: list[OutputRecord] = []
        self._most_woken = ALL
        self._seen = Seen()

    @property
    def clock(self) -> int:
        """Returns the event time that has been told, in milliseconds; `NEVER` before the first event."""
        return self._waking.clock

    @property
    def version(self) -> str:
        """Returns the version of the catalogue that decides."""
        return self._deciding.version

    def adopt(self, catalogue: Catalogue) -> None:
        """Goes on under another catalogue, between two batches; what users have stays (docs/catalogue.md)."""
        self._rewards.adopt(catalogue.policy.margin)
        self.book.adopt(catalogue.budgets)
        self._deciding.adopt(catalogue)
        self._catalogue = catalogue
        self.pauses.adopt(catalogue, self._deciding.version)
        self._deciding.under(self.pauses.stopped(catalogue))

    @property
    def has_to_tell(self) -> bool:
        """Says whether identity records, or messages about budgets, wait for a checkpoint to be durable."""
        return self._identities.has_to_tell() or self.exchange.has_to_tell

    def restore(
        self,
        users: dict[str, bytes],
        mark: PartitionMark | None,
        made: Sequence[Decision] = (),
        earlier: Mapping[str, Catalogue] = _NO_OTHERS,
    ) -> Restored:
        """Takes over durable state, and the decisions made after it, which are taken as made (design D3).

        `users` are theirs and, by their keys, the reservations of budgets; it is emptied of these.

        They move their users' `scored_ts`, so the replay of what led to them does not make them again, in
        whatever order the source topics are read. Returns their actions, and asks and states on their way to
        another partition, which may not have been written: the caller writes them again before anything else.
        `earlier` are other catalogues that made some of the decisions, by version: actions come of their own.
        """
        reservations = taken_reservations(users)
        pending = {name: record for name, record in users.items() if tells_leaving(record) or tells_asking(record)}
        self.users.restore(users)
        if mark is not None:
            self._waking.clock = mark.clock
            self.watermark = mark.watermark
            self.positions = dict(mark.positions)
            self.pauses.restore(mark.pauses)
            self._deciding.under(self.pauses.stopped(self._catalogue))
        self.book.restore(reservations, None if mark is None else mark.budgets)
        self.exchange.restore()
        actions = [action for decision in made if (action := self._deciding.take_as_made(decision, earlier))]
        return Restored(actions, self._identities.restore(pending, self.clock))

    # -- apply ---------------------------------------------------------------------------------------

    def apply(self, topic: str, records: Sequence[Record], now: int = NEVER, most_woken: int = ALL) -> Applied:
        """Applies records of one source topic in offset order.

        A time told may wake very many users: after about `most_woken` of them the batch ends before the record that
        tells it (`Applied.taken`), and goes on when the rest is given again.

        `now` is what the time is (milliseconds), `NEVER` where recorded time is all there is: no event may lie far
        ahead of it.

        Raises:
            StateError: offsets that do not increase.
        """
        dead_letters: list[OutputRecord] = []
        features: list[OutputRecord] = []
        identity: list[OutputRecord] = []
        self._features, self._identity = features, identity
        self._deciding.begin()
        self._rewards.begin()
        self._seen = self._seen.following()
        self._most_woken = most_woken
        late, taken = self._late, 0
        flood: FloodError | None = None
        expected: i64 = self.positions.get(topic, 0)
        is_click = topic == self._sources.clickstream
        for record in records:
            offset: i64 = record.offset
            if offset < expected:
                message = f"{topic}-{self.number}: offset {offset} came after {expected - 1}"
                raise StateError(message)
            try:
                if is_click:
                    self._apply_event(self._decode(record, now), offset, topic)
                else:
                    self._apply_other(record, offset, topic, now)
                self._flood.passed()
            except _UnfinishedError:
                break
            except DeadLetter as problem:
                dead_letters.append(dead_letter(topic, self.number, record, problem))
                if problem.code == "too_late":
                    self._late += 1
                if problem.code in _NO_FAULT:
                    self._flood.passed()
                else:
                    flood = self._flood.failed()
            expected = offset + 1
            taken += 1
            if flood is not None:
                break
        self.positions[topic] = expected
        situations = self._deciding.situations
        return Applied(situations, dead_letters, features, identity, self._late - late, taken, self._seen, flood)

    def _apply_other(self, record: Record, offset: i64, topic: str, now: i64) -> None:
        if topic == self._sources.clock:
            self._advance(decode_clock(record, now), topic, offset)
        elif topic == self._sources.feedback:
            self._apply_feedback(record, now)
        elif topic == self._sources.budget:
            self.exchange.take(decode_message(record.value, self.number))
        else:
            self._apply_identity(decode_identity(record.key, record.value), topic, offset)

    def _decode(self, record: Record, now: i64) -> Event:
        if isinstance(record, BatchRecord):
            return decode_told(record.value, record.key, record.told, self._rules, self._decoder, now)
        return decode_click(record, self._rules, self._decoder, now)

    def _apply_event(self, event: Event, offset: i64, topic: str) -> None:
        ts = event.ts
        self._check_place(event)
        if ts > self._waking.clock or self._waking.is_anyone_due():
            self._advance(ts, topic, offset)
        oldest = self.watermark - self._lateness
        self.watermark = max(self.watermark, ts)
        user_id = event.user_id
        state = self.users.get(user_id)
        if state is not None:
            if offset <= state.offset:
                return
            state = self._still_known(user_id, state, ts, oldest)
        if event.is_consent():  # however late: a withdrawal is heeded
            check_word(event)
        elif ts < oldest:
            self._too_late(state, event, offset, oldest)
            return
        if state is None:
            state = self.users.new(user_id)
        state.offset = offset
        self.users.touch(user_id)
        self._count(state, event, topic, offset)

    def _count(self, state: UserState, event: Event, topic: str, offset: i64) -> None:
        if self._deduplicate and not event.is_consent() and self._was_seen(state, event):
            return
        if state.identity is not None and state.identity.moved:
            forward = self._identities.forward(state, event, offset)
            if forward is not None:
                self._identity.append(forward)
        elif event.is_consent():
            hear(state, event)
        else:
            apply_event(state, event, self._lateness)
            self._take_in(state, event, topic, offset)

    def _was_seen(self, state: UserState, event: Event) -> bool:
        """Says whether the event came before, and remembers that it came."""
        if state.event_ids.seen(event.id_hash):
            state.duplicates += 1
            return True
        state.event_ids.add(event.id_hash, event.ts, self._lateness)
        return False

    def _still_known(self, user_id: str, state: UserState, ts: i64, oldest: i64) -> UserState | None:
        """Returns the state as it is at `ts`: of a user forgotten by then what is kept for ever, None if nothing."""
        if state.last_ts != NEVER and ts - state.last_ts > self._idle and not is_leaving(state.identity):
            # Too long ago: the user comes back as a new one, whether or not the timer has come by.
            self._waking.evict(user_id, state)
            return self.users.get(user_id)
        state.event_ids.forget(oldest)
        return state

    def _take_in(self, state: UserState, event: Event, topic: str, offset: i64) -> None:
        """Asks for what follows from an event that was counted for the user."""
        user_id, ts = event.user_id, event.ts
        self._seen.see(event)
        if state.pending is not None:
            self._rewards.see(state, event)
        self._waking.look_after(state, event)
        other = event.anonymous_id
        if other is not None:
            self._identities.link(user_id, state, other, self._identity)
        if self._written_at[event.kind]:
            self._features.append(self._writer.record(user_id, state, ts))
        if self._deciding.worth_scoring(event.kind, ts, state):
            trigger = Trigger(
                kind=TriggerKind.EVENT,
                name=None,
                event_id=event.event_id.decode(),
                topic=topic,
                partition=self.number,
                offset=offset,
            )
            self._deciding.ask(user_id, state, ts, self.clock, trigger)

    def _check_place(self, event: Event) -> None:
        """Makes sure that another partition would find this user here: the answer to an ask goes there."""
        if event.anonymous_id is not None and self._place is not None and self._rules.merge_identities:
            check_place(self.number, self._place(event.user_id.encode()))

    def _advance(self, clock: i64, topic: str, offset: i64) -> None:
        if clock >= self._deciding.must_settle_before:  # what this batch holds back until then is not known yet
            raise _UnfinishedError
        oldest = self.watermark - self._lateness
        if not self._waking.advance(clock, oldest, self._most_woken, Coordinates(topic, offset)):
            raise _UnfinishedError

    def _too_late(self, state: UserState | None, event: Event, offset: i64, oldest: i64) -> None:
        if state is not None and self._deduplicate and state.event_ids.seen(event.id_hash):
            state.offset = offset
            state.duplicates += 1
            self.users.touch(event.user_id)
            return
        behind = (oldest - event.ts) // MINUTE
        raise DeadLetter("too_late", f"the event came {behind} minutes after the allowed lateness had passed")

    def _apply_feedback(self, record: Record, now: int) -> None:
        feedback = decode_feedback(record, now)
        end_reservations(feedback, self.book)
        told = self._rewards.take(feedback.user_id, self.users.get(feedback.user_id), feedback)
        self.users.touch(feedback.user_id)
        if self.pauses.take(told.offer_id, told.before, feedback.kind, self.clock):
            self._deciding.under(self.pauses.stopped(self._catalogue))

    def _apply_identity(self, record: IdentityRecord, topic: str, offset: int) -> None:
        if isinstance(record, Ask):
            self._identities.leave(record)
        elif isinstance(record, Move):
            self._identities.take(record, offset)
        else:
            event = record.event.event(record.user)
            if event.ts > self.clock or self._waking.is_anyone_due():
                self._advance(event.ts, topic, offset)
            if self._identities.is_new(record, offset):
                state = self.users.get(record.user)
                assert state is not None  # noqa: S101 - it has just taken the record in
                if event.is_consent():
                    hear(state, event)
                else:
                    count_event(state, event)
                    self._take_in(state, event, topic, offset)

    # -- settle --------------------------------------------------------------------------------------

    def settle(self, situations: Sequence[Situation], answers: Mapping[str, Answer], model: ModelIdentity) -> Settled:
        """Decides on every situation in order, see `Deciding.settle`; others are told of budgets when it is time."""
        settled = self._deciding.settle(situations, answers, model)
        self.exchange.tick(self.clock)
        return settled

    # -- checkpoint ----------------------------------------------------------------------------------

    def checkpoint(self, decisions: int, generation: int) -> list[OutputRecord]:
        """Returns what must become durable since the last call: changed users and reservations, then the mark.

        `decisions` is the end of the decision topic in this partition, `generation` the group's. The caller
        writes the records in this order; the mark says that all before it are there.
        """
        self.users.watermark = self.watermark
        changes = self.users.changes()
        self._identities.checkpoint(changes, self.clock)
        records = [OutputRecord(user_id.encode(), record) for user_id, record in changes]
        self.users.cool()
        self.exchange.checkpoint()
        reservations, budgets = self.book.checkpoint()
        records += reservation_records(reservations)
        mark = PartitionMark(
            dict(self.positions),
            self.clock,
            decisions,
            generation,
            self.watermark,
            len(self.users),
            budgets,
            self.pauses.checkpoint(self.clock),
        )
        records.append(OutputRecord(MARK_KEY, encode_mark(mark)))
        return records

    def durable(self) -> list[OutputRecord]:
        """Returns identity records that may be written now that the last checkpoint is durable."""
        return self._identities.durable()
