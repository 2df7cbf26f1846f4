"""Triggers against a naive oracle: everything recomputed from all events, as docs/triggers.md says it."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from forestay.core.errors import StateError
from forestay.core.event import EVENT_CODES, Event, LineItem
from forestay.core.packing import RecordReader, RecordWriter
from forestay.core.patterns.pattern_rules import TriggerDefinition, Triggers
from forestay.core.patterns.patterns import PatternMemory
from forestay.core.units import HOUR, MINUTE

#: Item 0 names none.
ALL: Final = 0
GRID: Final = 30 * MINUTE
LATENESS: Final = HOUR
CART, VIEW, CHECKOUT, BUY = "add_to_cart", "view_item", "begin_checkout", "purchase"
SHOP: Final = Triggers.model_validate(
    {
        "triggers": [
            {"name": "cart", "when": CART, "unless": [CHECKOUT, BUY], "after": "1h", "again_after": "3h"},
            {
                "name": "viewed",
                "when": VIEW,
                "count": 3,
                "within": "4h",
                "same": "item",
                "unless": BUY,
                "after": "2h",
            },
            {
                "name": "either",
                "when": [CART, VIEW],
                "count": 2,
                "within": "30m",
                "after": "30m",
                "again_after": "30m",
            },
            {"name": "item", "when": [CART], "same": "item", "unless": [BUY], "after": "30m", "again_after": "1h"},
        ]
    }
)
RULES: Final = SHOP.rules()


@dataclass(frozen=True)
class Did:
    """One event: what, when, and with which items."""

    kind: str
    ts: int
    items: tuple[int, ...]

    def event(self) -> Event:
        lines = [LineItem(item, 0, 0, 1) for item in self.items]
        return Event(b"not looked at", "u1", EVENT_CODES[self.kind], self.ts, lines)


@dataclass
class Truth:
    """One user's whole history; of each trigger the last firing, and until when events were forgotten."""

    events: list[Did] = field(default_factory=list)
    fired: dict[str, int] = field(default_factory=dict)
    forgotten: dict[str, int] = field(default_factory=dict)

    def dues(self, trigger: TriggerDefinition) -> list[int]:
        """When the trigger is due: of each item that is pending, cooldown considered."""
        cancelled, newest_b = self._cancelled(trigger)
        earliest = self.fired[trigger.name] + trigger.again_after if trigger.name in self.fired else 0
        dues = []
        for item, times in self._kept(trigger).items():
            counted = times[: trigger.count]
            pending = (
                len(counted) == trigger.count
                and all(ts > max(cancelled, newest_b.get(item, -1)) for ts in counted)
                and (trigger.count == 1 or counted[-1] > counted[0] - (trigger.within or 0))
            )
            if pending and counted[0] + trigger.after >= earliest:
                dues.append(counted[0] + trigger.after)
        return dues

    def fire(self, now: int) -> list[str]:
        found = []
        for trigger in SHOP.triggers:
            while due := [due for due in self.dues(trigger) if due <= now]:
                self.fired[trigger.name] = min(due)
                found.append((min(due), trigger.name))
        return [name for _, name in sorted(found)]

    def next_due(self) -> int:
        return min((due for trigger in SHOP.triggers for due in self.dues(trigger)), default=-1)

    def forget(self, watermark: int) -> None:
        for trigger in SHOP.triggers:
            self.forgotten[trigger.name] = watermark - (trigger.within or 0) - trigger.after

    def _events(self, trigger: TriggerDefinition) -> list[Did]:
        return [did for did in self.events if did.ts > self.forgotten.get(trigger.name, -1)]

    def _kept(self, trigger: TriggerDefinition) -> dict[int, list[int]]:
        """The A's by item, newest first, as the bounds keep them."""
        by_item = defaultdict(list)
        for did in self._events(trigger):
            if did.kind in trigger.when:
                for item in {*did.items} - {ALL} if trigger.same else {ALL}:
                    by_item[item].append(did.ts)
        newest = [(ts, item) for item, times in by_item.items() for ts in sorted(times)[-trigger.count :]]
        kept = defaultdict(list)
        for ts, item in sorted(newest, reverse=True)[:64]:
            kept[item].append(ts)
        return kept

    def _cancelled(self, trigger: TriggerDefinition) -> tuple[int, dict[int, int]]:
        """Until when all A's are cancelled, and the newest B of each item."""
        newest: dict[int, int] = {}
        for did in self._events(trigger):
            if did.kind in trigger.unless:
                for item in {*did.items} or {ALL} if trigger.same else {ALL}:
                    newest[item] = max(newest.get(item, -1), did.ts)
        for_all = newest.pop(ALL, -1)
        beyond = sorted(newest.values(), reverse=True)[32:33]
        return max(for_all, *beyond, -1), newest


def times(most: int) -> st.SearchStrategy[int]:
    """Moments on a grid that all durations above are multiples of, so that edges are met; some just beside it."""
    return st.builds(lambda at, off: at * GRID + off, st.integers(1, most), st.sampled_from([0, 0, 0, 0, 1, -1]))


def whats(most: int) -> st.SearchStrategy[Did]:
    """Events of few items mostly, sometimes of none or of very many."""
    few = st.lists(st.integers(0, 2), max_size=3)
    many = st.builds(
        lambda first, number: list(range(first, first + number)), st.integers(1, 60), st.integers(20, 45)
    )
    items = st.one_of(few, few, few, many).map(tuple)
    return st.builds(Did, st.sampled_from([CART, VIEW, VIEW, VIEW, CHECKOUT, BUY]), times(most), items)


def lived(events: list[Did]) -> PatternMemory:
    memory = PatternMemory()
    for did in events:
        if RULES.relevant(EVENT_CODES[did.kind]):
            memory.update(did.event(), RULES)
    return memory


def record(memory: PatternMemory) -> bytes:
    writer = RecordWriter()
    memory.write(writer)
    return writer.written()


def reread(memory: PatternMemory) -> PatternMemory:
    reader = RecordReader(record(memory))
    again = PatternMemory.read(reader)
    assert not reader.more()
    return again


EVENTS: Final = st.lists(whats(16), min_size=12, max_size=60)


@given(st.data(), EVENTS)
def test_the_order_of_arrival_changes_no_byte(data: st.DataObject, events: list[Did]) -> None:
    memory, other = lived(events), lived(data.draw(st.permutations(events)))
    assert record(memory) == record(other)
    assert memory.next_due(RULES) == other.next_due(RULES) == Truth(events).next_due()


@given(EVENTS, st.integers(0, 60))
def test_two_users_found_to_be_one_are_as_if_they_always_were(events: list[Did], at: int) -> None:
    one, other = lived(events[:at]), reread(lived(events[at:]))
    one.merge(other, RULES)
    assert record(one) == record(lived(events))
    assert one.next_due(RULES) == Truth(events).next_due()


@given(st.lists(st.one_of(whats(20), whats(20), times(30), st.just("reread")), min_size=12))
def test_firings_are_the_oracles_at_any_ticks_and_any_order(acts: list[Did | int | str]) -> None:
    memory, truth = PatternMemory(), Truth()
    for act in acts:
        if isinstance(act, Did):
            memory.update(act.event(), RULES)
            truth.events.append(act)
        elif isinstance(act, int):
            assert memory.fire(act, RULES) == truth.fire(act)
        else:
            memory = reread(memory)
        assert memory.next_due(RULES) == truth.next_due()


@given(EVENTS, st.lists(times(30), max_size=6), times(30))
def test_more_looks_at_the_clock_fire_nothing_else(events: list[Did], looks: list[int], last: int) -> None:
    often, once = lived(events), lived(events)
    fired = [name for look in sorted(looks) if look < last for name in often.fire(look, RULES)]
    assert fired + often.fire(last, RULES) == once.fire(last, RULES)
    assert record(often) == record(once)


@st.composite
def late(draw: st.DrawFn) -> list[tuple[int, Did]]:
    """Events in the order of arrival, each with the clock then: at most `LATENESS` behind it."""
    told, clock = [], 0
    for did in sorted(draw(st.lists(whats(40), min_size=12, max_size=24)), key=lambda did: did.ts):
        clock = max(clock, did.ts + draw(st.sampled_from([0, GRID, LATENESS])))
        told.append((clock, did))
    for clock, did in draw(st.lists(st.sampled_from(told), max_size=12)):
        told.append((clock, Did(did.kind, max(clock - LATENESS, 0) + draw(st.sampled_from([0, 1, GRID])), did.items)))
    return sorted(told, key=lambda each: each[0])


@given(late(), st.integers(0, 7))
def test_forgetting_within_lateness_changes_no_firing(told: list[tuple[int, Did]], every: int) -> None:
    memory, truth = PatternMemory(), Truth()
    for number, (clock, did) in enumerate(told):
        assert memory.fire(clock, RULES) == truth.fire(clock)
        if every and number % every == 0:
            memory.forget(clock - LATENESS, RULES)
        memory.update(did.event(), RULES)
        truth.events.append(did)
        assert memory.next_due(RULES) == truth.next_due()
    end = told[-1][0] + 200 * HOUR
    assert memory.fire(end, RULES) == truth.fire(end)
    memory.forget(end, RULES)
    assert memory.is_empty()


@given(late(), st.integers(0, 30), st.booleans())
def test_a_merge_is_the_oracles_in_the_middle_of_firings(told: list[tuple[int, Did]], at: int, forgets: bool) -> None:
    """Two users take turns; at event `at` they are found to be one."""
    memories, truths = [PatternMemory(), PatternMemory()], [Truth(), Truth()]
    for number, (clock, did) in enumerate(told):
        for memory, truth in zip(memories, truths, strict=True):
            assert memory.fire(clock, RULES) == truth.fire(clock)
            if forgets:
                memory.forget(clock - LATENESS, RULES)
                truth.forget(clock - LATENESS)
        if number == at:
            memories[0].merge(memories.pop(), RULES)
            one, other = truths
            names = one.fired | other.fired
            fired = {name: max(one.fired.get(name, -1), other.fired.get(name, -1)) for name in names}
            truths = [Truth(one.events + other.events, fired, one.forgotten)]
        which = number % len(memories)
        memories[which].update(did.event(), RULES)
        truths[which].events.append(did)
        assert [memory.next_due(RULES) for memory in memories] == [truth.next_due() for truth in truths]


@given(EVENTS, st.data())
def test_a_damaged_record_is_refused_or_can_be_lived_with(events: list[Did], data: st.DataObject) -> None:
    damaged = bytearray(record(lived(events)))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        memory = PatternMemory.read(RecordReader(bytes(damaged[: data.draw(st.integers(1, len(damaged)))])))
    except StateError:
        return
    for did in events:
        memory.update(did.event(), RULES)
    memory.fire(memory.next_due(RULES), RULES)
    memory.forget(100 * GRID, RULES)
    assert record(reread(memory)) == record(memory)
