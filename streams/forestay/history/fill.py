"""Puts what history tells into what is durable of a user; what history cannot tell stays as it is."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from forestay.core.clock.schedule import Schedule
from forestay.core.event import NEVER
from forestay.core.families.family import Part
from forestay.core.packing import RecordWriter
from forestay.core.patterns.pattern_trigger import TriggerMemory
from forestay.core.patterns.patterns import PatternMemory
from forestay.core.rules import Rules
from forestay.core.state.consent import merged
from forestay.core.state.state_codec import decode_user, encode_user
from forestay.core.state.user_state import UserState
from forestay.history.rebuild import rebuilt
from forestay.history.told import Told


class Times(NamedTuple):
    """Event times a partition has reached, in milliseconds: its clock, and the newest of its click events."""

    clock: int
    watermark: int


class Filled(NamedTuple):
    """A user before and after (`before` is None for one who was unknown), and the record to write.

    `record` is None if nothing changes. `is_short` says that history has fewer events than the state had counted.
    """

    before: UserState | None
    after: UserState
    record: bytes | None
    is_short: bool


class Filler:
    """Fills users' states from their history, by the rules in force."""

    def __init__(self, rules: Rules, families: Collection[str] | None) -> None:
        """`families` names those to fill; None: all, and event ids, orders and triggers with them."""
        self._rules = rules
        self._families = families
        self._schedule = Schedule(rules.features, rules.patterns, rules.idle)

    def fill(
        self, user_id: str, record: bytes | None, told: Mapping[str, Iterable[Told]], times: Times
    ) -> Filled | None:
        """Returns a user filled from `told`: the events of every id that is theirs.

        Returns None if history has nothing to say: no event counts, the user's state has moved to another id, or a
        user whom the state does not know is of the topic alone (a worker has seen to them) or idle for too long.
        """
        before = None if record is None else decode_user(record, self._rules.features)
        fresh = self._fresh(user_id, before, told, times.clock)
        if fresh is None:
            return None
        if record is None or before is None:
            fresh.seen_clock = times.clock
            is_idle = times.clock - fresh.last_ts > self._rules.idle
            return None if is_idle else Filled(None, fresh, self._record(fresh, times), is_short=False)
        is_short = fresh.applied < before.applied
        after = decode_user(record, self._rules.features)
        self._put(fresh, after, is_short=is_short)
        new = self._record(after, times)
        # The durable record may be from before the watermark, with more than need be: that alone is no change.
        return Filled(before, after, None if new == self._record(before, times) else new, is_short)

    def _fresh(
        self, user_id: str, before: UserState | None, told: Mapping[str, Iterable[Told]], clock: int
    ) -> UserState | None:
        identity = None if before is None else before.identity
        if identity is not None and identity.moved:
            return None
        known: dict[str, list[Told]] = {}
        for other, events in told.items():
            bound = NEVER if before is None else before.offset
            if other != user_id:
                bound = NEVER if identity is None else identity.taken(other)
            known[other] = [one for one in events if one.of_file or one.place <= bound]
        return rebuilt(user_id, known, self._rules, clock)

    def _put(self, fresh: UserState, after: UserState, *, is_short: bool) -> None:
        """Replaces what history tells; where it is short, only what was empty: nothing known is lost."""
        after.last_ts = max(after.last_ts, fresh.last_ts)
        after.consents = merged(after.consents, fresh.consents)
        now = max(after.last_ts, after.scored_ts)
        for index, family in enumerate(self._rules.features.families):
            if self._families is not None and family.name not in self._families:
                continue
            if not is_short or _is_empty(after.parts[index], after.last_ts, now):
                after.parts[index] = fresh.parts[index]
        if self._families is None and not is_short:
            after.event_ids = fresh.event_ids
            after.orders = fresh.orders
            after.patterns = _with_firings(fresh.patterns, after.patterns)

    def _record(self, state: UserState, times: Times) -> bytes:
        """Returns the record as of the partition's watermark: what no event can need any more is left out."""
        rules = self._rules
        if state.patterns is not None:
            state.patterns.forget(times.watermark - rules.lateness, rules.patterns)
            if state.patterns.is_empty():
                state.patterns = None
        oldest = max(times.watermark, state.event_ids.latest) - rules.lateness
        return encode_user(state, rules.features, oldest, rules.lateness, self._schedule.due(state))


def _is_empty(part: Part, latest: int, now: int) -> bool:
    """Says whether the part remembers nothing that features at `now` or later can need."""
    writer = RecordWriter()
    part.write(writer, latest, now)
    return not writer.written()


def _with_firings(fresh: PatternMemory | None, durable: PatternMemory | None) -> PatternMemory | None:
    """Returns the memory of history, with the firings that the state knows of; `fresh` is not to be used after.

    Which of them were is for the worker to say: it may have met two ids of one user, or a late event, at a moment
    that history does not tell. Of a trigger the state knows nothing of, history's stand.
    """
    if durable is None:
        return fresh
    triggers = {} if fresh is None else {memory.key: memory for memory in fresh.triggers}
    for memory in durable.triggers:
        if memory.key in triggers or memory.fired != NEVER:
            triggers.setdefault(memory.key, TriggerMemory(memory.key)).fired = memory.fired
    return PatternMemory([triggers[key] for key in sorted(triggers)]) if triggers else None
