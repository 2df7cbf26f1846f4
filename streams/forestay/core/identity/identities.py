"""Bringing together the ids of one person, once and in any order, over partitions (`docs/identity.md`).

The user's partition asks, once the user's state is durable with the asking; the partition of the other id marks
it as leaving. At the next checkpoint its state becomes durable with that mark, and only then is it moved, as
those very bytes: after a crash the same bytes are moved again, and taken once. Its events from then on are
forwarded after the state.
"""

from forestay.core.clock.schedule import Schedule
from forestay.core.errors import DeadLetter, StateError
from forestay.core.event import Event
from forestay.core.identity.identity_record import Ask, Forward, Move, encode_identity, forwarded
from forestay.core.identity.merge import merge
from forestay.core.record import OutputRecord
from forestay.core.rules import Rules
from forestay.core.state.identity import Identity
from forestay.core.state.state_codec import decode_user, has_other_version, tells_asking, tells_leaving
from forestay.core.state.user_state import UserState, count_order
from forestay.core.users import Users


class Identities:
    """The identity work of one partition."""

    __slots__ = ("_asks", "_leaving", "_outbox", "_rules", "_schedule", "_users")

    def __init__(self, users: Users, rules: Rules, schedule: Schedule) -> None:
        """`users` are the partition's."""
        self._users = users
        self._rules = rules
        self._schedule = schedule
        #: Asks made and ids marked since the last checkpoint.
        self._asks: list[OutputRecord] = []
        self._leaving: list[str] = []
        #: What may be written once the checkpoint under way is durable, and events that must not overtake it.
        self._outbox: list[OutputRecord] = []

    # -- the user's side -------------------------------------------------------------------------------

    def link(self, user_id: str, state: UserState, other: str, now: list[OutputRecord]) -> None:
        """Sees to it that the other id's state is asked for, if there is need.

        The ask waits until the user's state is durable, so that a user who has asked never leaves, whatever is
        read first after a crash: no chains, no circles. Only an id that is leaving itself asks at once, through
        `now`, and for the user it goes to, whose state is durable with its own ask.
        """
        if other == user_id or not self._rules.merge_identities:
            return
        identity = state.identity
        if identity is None:
            identity = state.identity = Identity()
        if identity.merged_into:
            if other != identity.merged_into:
                now.append(encode_identity(Ask(other, identity.merged_into)))
            return
        if identity.knows(other):
            return
        identity.ask(other)
        self._asks.append(encode_identity(Ask(other, user_id)))

    def take(self, move: Move, offset: int) -> None:
        """Takes in a state, unless it was taken before; `offset` is that of the record.

        Raises:
            DeadLetter: the state cannot be read, or is not that of an id on its way to this user.
            StateError: the state is of a version this code does not know; a newer worker wrote it.
        """
        other = self._moved(move)
        identity = self._meet(move.user, offset)
        if identity is None or move.other in identity.absorbed:
            return
        identity.take(move.other, move.offset)
        state = self._user(move.user)
        merge(state, other, move.other, self._rules.patterns)
        self._users.timers.arm(move.user, state, self._schedule.due(state))

    def is_new(self, forward: Forward, offset: int) -> bool:
        """Says whether a forwarded event was not taken before, and notes that it is now.

        Raises:
            DeadLetter: the user has itself been merged.
        """
        identity = self._meet(forward.user, offset)
        if identity is None or forward.offset <= identity.taken(forward.other):
            return False
        identity.take(forward.other, forward.offset)
        return True

    def _moved(self, move: Move) -> UserState:
        if has_other_version(move.state):
            raise StateError(
                f"the state of {move.other}, on its way to {move.user}, is of a version that this worker does not"
                " know: update all workers"
            )
        try:
            state = decode_user(move.state, self._rules.features)
        except StateError as error:
            raise DeadLetter("identity", f"the state cannot be read: {error}") from error
        if state.identity is None or state.identity.merged_into != move.user or state.offset != move.offset:
            raise DeadLetter("identity", "the state is not on its way to this user")
        return state

    def _meet(self, user_id: str, offset: int) -> Identity | None:
        """Returns whose state takes in the record at `offset`, None if it did already."""
        state = self._user(user_id)
        identity = state.identity
        if identity is None:
            identity = state.identity = Identity()
        if identity.merged_into:
            raise DeadLetter("identity", "the user has itself been merged into another")
        if offset <= identity.met:
            return None
        identity.met = offset
        self._users.touch(user_id)
        return identity

    def _user(self, user_id: str) -> UserState:
        state = self._users.get(user_id)
        return self._users.new(user_id) if state is None else state

    # -- the other id's side ---------------------------------------------------------------------------

    def leave(self, ask: Ask) -> None:
        """Marks the other id as leaving, unless it has left, or is a user itself.

        An id without events is marked too: they are to follow.
        """
        state = self._user(ask.other)
        identity = state.identity
        if identity is None:
            identity = state.identity = Identity()
        if identity.merged_into or identity.is_user():
            return
        identity.merged_into = ask.user
        self._users.touch(ask.other)
        self._leaving.append(ask.other)

    def forward(self, state: UserState, event: Event, offset: int) -> OutputRecord | None:
        """Returns what sends an event of an id that has left to its user; None if it has to wait for the state.

        What the event's id alone can tell is told here: whether it was sent before, and whether its order counts.
        """
        assert state.identity is not None  # noqa: S101 - it has left
        state.last_ts = max(state.last_ts, event.ts)
        if event.order:
            count_order(state, event, self._rules.lateness)
        record = encode_identity(Forward(event.user_id, state.identity.merged_into, offset, forwarded(event)))
        if self._outbox:
            self._outbox.append(record)
            return None
        return record

    # -- checkpoints -----------------------------------------------------------------------------------

    def checkpoint(self, records: list[tuple[str, bytes | None]], clock: int) -> None:
        """Prepares asks, and the moves of the ids that leave from their records of this checkpoint.

        `clock` is the partition's (milliseconds). What the last checkpoint prepared must have been written.
        """
        self._outbox += self._asks
        self._asks = []
        if not self._leaving:
            return
        written = dict(records)
        for other in sorted(self._leaving):
            record = written[other]
            assert record is not None  # noqa: S101 - who is leaving is neither evicted nor begun anew
            self._outbox.append(self._leave_with(other, record, clock))
        self._leaving = []

    def restore(self, records: dict[str, bytes], clock: int) -> list[OutputRecord]:
        """Returns what may not have been written: asks not answered, and the moves of ids that were leaving."""
        repeated: list[OutputRecord] = []
        for user_id, record in sorted(records.items()):
            if tells_leaving(record):
                repeated.append(self._leave_with(user_id, record, clock))
            elif tells_asking(record):
                identity = decode_user(record, self._rules.features).identity
                asked = () if identity is None else identity.asked
                repeated.extend(encode_identity(Ask(other, user_id)) for other in asked)
        return repeated

    def has_to_tell(self) -> bool:
        """Says whether something waits for a checkpoint to be durable."""
        return bool(self._asks or self._leaving or self._outbox)

    def durable(self) -> list[OutputRecord]:
        """Returns what may be written now that the last checkpoint is durable, in this order."""
        ready, self._outbox = self._outbox, []
        return ready

    def _leave_with(self, other: str, record: bytes, clock: int) -> OutputRecord:
        """Returns the move of a state that is, or is about to be, durable as `record`."""
        state = decode_user(record, self._rules.features)
        assert state.identity is not None  # noqa: S101 - it was written as leaving
        self._empty(other, clock)
        return encode_identity(Move(other, state.identity.merged_into, state.offset, record))

    def _empty(self, other: str, clock: int) -> None:
        """Leaves of an id that has moved what its later events need: where to, and which were seen.

        `scored_ts` stays for decisions found in the log. It is kept as long as a user whose last event is now.
        """
        before = self._user(other)
        state = self._users.new(other)
        state.offset, state.scored_ts = before.offset, before.scored_ts
        state.last_ts = max(before.last_ts, clock)
        state.event_ids, state.orders = before.event_ids, before.orders
        state.identity = before.identity
        if state.identity is not None:
            state.identity.moved = True
        self._users.touch(other)
        self._users.timers.arm(other, state, self._schedule.due(state))
