"""The state of one user from the events of all their ids, by the core's own functions."""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from forestay.core.decoding.decode import event_of
from forestay.core.errors import DeadLetter
from forestay.core.event import NEVER, Event
from forestay.core.hearing import hear
from forestay.core.identity.merge import merge
from forestay.core.patterns.patterns import PatternMemory
from forestay.core.rules import Rules
from forestay.core.state.user_state import UserState, apply_event
from forestay.history.told import Told


def rebuilt(user_id: str, history: Mapping[str, Iterable[Told]], rules: Rules, clock: int) -> UserState | None:
    """Returns a user's state when event time reaches `clock`, from the events of every id that is theirs.

    Each id is rebuilt by itself and then merged, as workers do: an event id and an order count once within each id,
    and those remembered are of `user_id` alone. Of each id, events of files come first and by time, those of a topic
    as they came there. Each event id counts once, without the bound a worker has. An event of a topic that had come
    too late does not count, nor does any from before a silence of all ids so long that the user was forgotten.
    Words of consent all count, however late. Returns None if no event counts.
    """
    words: list[Event] = []
    builders = {other: _Builder(rules) for other in sorted({user_id, *history})}
    latest = NEVER
    for event, told in heapq.merge(*map(_events, history.values()), key=_when):
        if event.is_consent():
            words.append(event)
        elif event.ts >= told.clock - rules.lateness:
            if event.ts - latest > rules.idle:
                _forget(builders.values())
            if builders[told.user_id].take(event, told.clock):
                latest = max(latest, event.ts)
    for builder in builders.values():
        builder.fire(clock)
    state = builders.pop(user_id).state
    for name, other in builders.items():
        if other.state is not None:
            if state is None:
                state = UserState(rules.features.new_parts())
            merge(state, other.state, name, rules.patterns)
    _hear(state, words)
    return state


def _forget(builders: Iterable["_Builder"]) -> None:
    for builder in builders:
        builder.forget()


def _hear(state: UserState | None, words: Iterable[Event]) -> None:
    if state is None:
        return
    for word in words:
        # What cannot be heeded was a dead letter when it came.
        with suppress(DeadLetter):
            hear(state, word)


def rebuilt_at(events: Iterable[Event], rules: Rules, moments: Iterable[int]) -> Iterator[UserState | None]:
    """Yields what `rebuilt` returns of a user with one id at each of the `moments`, in one pass.

    `events` are a file's in the order of `rebuilt`, the `moments` rise. The state that is yielded grows on: what is
    wanted of it is to be taken before the next.
    """
    builder = _Builder(rules)
    waiting = iter(events)
    event = next(waiting, None)
    latest = NEVER
    for moment in moments:
        while event is not None and event.ts <= moment:
            if event.ts - latest > rules.idle:
                builder.forget()
            if builder.take(event, NEVER):
                latest = event.ts
            event = next(waiting, None)
        builder.fire(moment)
        yield builder.state


def in_order(history: Iterable[Told]) -> Iterator[Event]:
    """Yields the events of one id in the order in which they are applied; words of consent are none."""
    for event, _ in _events(history):
        if not event.is_consent():
            yield event


class _Happened(NamedTuple):
    event: Event
    told: Told


def _events(history: Iterable[Told]) -> Iterator[_Happened]:
    for told in sorted(history, key=_order):
        yield _Happened(event_of(told.value, None), told)


def _order(told: Told) -> tuple[bool, int, bytes]:
    return not told.of_file, told.place, told.value


def _when(happened: _Happened) -> int:
    return happened.event.ts


class _Builder:
    """Applies the events of one id one by one."""

    def __init__(self, rules: Rules) -> None:
        self.state: UserState | None = None
        self._rules = rules
        self._seen: set[int] = set()

    def forget(self) -> None:
        """Starts anew."""
        self.state = None
        self._seen = set()

    def take(self, event: Event, clock: int) -> bool:
        """Applies an event that is not too late when its partition has come to `clock`; says whether it counts."""
        rules = self._rules
        if rules.deduplicate:
            if event.id_hash in self._seen:
                return False
            self._seen.add(event.id_hash)
        if self.state is None:
            self.state = UserState(rules.features.new_parts())
        self.fire(max(event.ts, clock))
        # As a worker does: so the generations of ids begin where its do.
        self.state.event_ids.forget(clock - rules.lateness)
        if rules.deduplicate:
            self.state.event_ids.add(event.id_hash, event.ts, rules.lateness)
        self._apply(self.state, event)
        return True

    def _apply(self, state: UserState, event: Event) -> None:
        rules = self._rules
        apply_event(state, event, rules.lateness)
        if rules.patterns.relevant(event.kind):
            if state.patterns is None:
                state.patterns = PatternMemory()
            state.patterns.update(event, rules.patterns)

    def fire(self, clock: int) -> None:
        """Lets triggers that are due by `clock` fire, each at its moment, as they did."""
        patterns = None if self.state is None else self.state.patterns
        if patterns is None:
            return
        while NEVER != (due := patterns.next_due(self._rules.patterns)) <= clock:
            patterns.fire(due, self._rules.patterns)
