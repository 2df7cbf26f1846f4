"""Triggers 'A and then not B within T' for one user: what is due and when (`docs/triggers.md`).

Most users have no memory of this: it is made at the first event some trigger asks about. An event no
trigger asks about costs `PatternRules.relevant`, one list lookup. Made for mypyc as `pattern_trigger`.
"""

from mypy_extensions import mypyc_attr

from forestay.core.event import EVENT_NAMES, Event
from forestay.core.pattern_record import read, written
from forestay.core.pattern_trigger import NEVER, PatternRule, TriggerMemory


class PatternRules:
    """The triggers, by the event kinds they ask about."""

    __slots__ = ("_relevant", "by_key", "unless", "when")

    def __init__(self, rules: list[tuple[PatternRule, list[int], list[int]]]) -> None:
        """Takes each trigger with the kinds of its A and of its B; keys must differ."""
        self.by_key: dict[int, PatternRule] = {}
        self.when: list[list[PatternRule]] = [[] for _ in EVENT_NAMES]
        self.unless: list[list[PatternRule]] = [[] for _ in EVENT_NAMES]
        for rule, when, unless in rules:
            self.by_key[rule.key] = rule
            for kind in when:
                self.when[kind].append(rule)
            for kind in unless:
                self.unless[kind].append(rule)
        self._relevant: list[bool] = [bool(self.when[kind] or self.unless[kind]) for kind in range(len(EVENT_NAMES))]

    def relevant(self, kind: int) -> bool:
        """Says whether any trigger asks about events of this kind."""
        return self._relevant[kind]


@mypyc_attr(acyclic=True)
class PatternMemory:
    """What one user did about all triggers.

    Every method takes the rules in force; other rules than before take effect at once: what is remembered of
    a trigger that is gone is dropped, the rest is judged by its new rule.
    """

    __slots__ = ("_rules", "_triggers")

    def __init__(self) -> None:
        """Starts without any memory."""
        self._triggers: dict[int, TriggerMemory] = {}
        self._rules: PatternRules | None = None

    def is_empty(self) -> bool:
        """Says whether nothing is remembered, so that the whole may be dropped."""
        return not self._triggers

    def update(self, event: Event, rules: PatternRules) -> None:
        """Takes an event, which must not have counted before."""
        if rules is not self._rules:
            self._adopt(rules)
        for rule in rules.when[event.kind]:
            if not rule.by_item:
                self._of(rule).add_when(event.ts, 0, rule)
                continue
            for item in _items(event):
                if item:
                    self._of(rule).add_when(event.ts, item, rule)
        for rule in rules.unless[event.kind]:
            memory = self._of(rule)
            if not rule.by_item:
                memory.cancel_until(event.ts)
                continue
            for item in _items(event):
                memory.add_unless(event.ts, item, rule)

    def next_due(self, rules: PatternRules) -> int:
        """Returns the earliest due time of what is pending (milliseconds), `NEVER` if nothing is."""
        if rules is not self._rules:
            self._adopt(rules)
        earliest = NEVER
        for memory in self._triggers.values():
            due = memory.due
            if due != NEVER and (earliest == NEVER or due < earliest):
                earliest = due
        return earliest

    def fire(self, now: int, rules: PatternRules) -> list[str]:
        """Returns the names of the triggers due at or before `now`, by due time and name, and notes the firings.

        A name stands twice only if `now` lies so far behind that two items of a trigger came due with its
        cooldown between them.
        """
        if rules is not self._rules:
            self._adopt(rules)
        found: list[tuple[int, str]] = []
        for key, memory in self._triggers.items():
            while memory.due != NEVER and memory.due <= now:
                rule = rules.by_key[key]
                found.append((memory.due, rule.name))
                memory.mark_fired(rule)
        found.sort()
        return [name for _, name in found]

    def merge(self, other: "PatternMemory", rules: PatternRules) -> None:
        """Takes over the memory of another user found to be this one; `other` is not to be used after."""
        if rules is not self._rules:
            self._adopt(rules)
        for key, memory in other._triggers.items():  # noqa: SLF001 - another of the same class
            rule = rules.by_key.get(key)
            if rule is not None:
                self._of(rule).absorb(memory, rule)

    def forget(self, watermark: int, rules: PatternRules) -> None:
        """Drops what cannot matter any more once no event earlier than `watermark` will come.

        Changes no firing. Call it where the stream decides (at an event, at a tick) and not where a commit
        happens to fall, or equal input gives different records.
        """
        if rules is not self._rules:
            self._adopt(rules)
        empty: list[int] = []
        for key, memory in self._triggers.items():
            memory.forget(watermark, rules.by_key[key])
            if memory.is_empty():
                empty.append(key)
        for key in empty:
            del self._triggers[key]

    def to_plain(self) -> list[int]:
        """Returns the memory as numbers (`pattern_record`), equal for equal memory; empty if there is none."""
        return written(self._triggers)

    @classmethod
    def from_plain(cls, plain: list[int]) -> "PatternMemory":
        """Returns the memory that `to_plain` wrote.

        Raises:
            StateError: it wrote no such thing.
        """
        memory = cls()
        memory._triggers = read(plain)
        return memory

    def _adopt(self, rules: PatternRules) -> None:
        """Judges what is remembered by `rules`, and drops the memory of triggers they do not have."""
        before = self._triggers
        self._rules = rules
        self._triggers = {}
        for key, memory in before.items():
            rule = rules.by_key.get(key)
            if rule is not None:
                self._of(rule).absorb(memory, rule)

    def _of(self, rule: PatternRule) -> TriggerMemory:
        memory = self._triggers.get(rule.key)
        if memory is None:
            memory = self._triggers[rule.key] = TriggerMemory()
        return memory


def _items(event: Event) -> list[int]:
    """Returns the event's distinct items, [0] if it names none."""
    lines = event.items
    if len(lines) == 1:
        return [lines[0].item]
    return list({line.item for line in lines}) or [0]
