"""Triggers 'A and then not B within T' for one user: what is due and when (`docs/triggers.md`).

Most users have no memory of this: it is made at the first event some trigger asks about. An event no
trigger asks about costs `PatternRules.relevant`, one list lookup. Made for mypyc as `pattern_trigger`.
"""

from typing import Final

from mypy_extensions import i64, mypyc_attr

from forestay.core.event import EVENT_NAMES, Event
from forestay.core.packing import HASHES, RecordReader, RecordWriter
from forestay.core.patterns.pattern_record import read, write
from forestay.core.patterns.pattern_trigger import NEVER, PatternRule, TriggerMemory

#: An item is known by 48 bits of its hash: those of one user alone are to be told apart.
_ITEM_BITS: Final = HASHES - 1


class PatternRules:
    """The triggers, by the event kinds they ask about."""

    __slots__ = ("_relevant", "_rules", "unless", "when")

    def __init__(self, rules: list[tuple[PatternRule, list[int], list[int]]]) -> None:
        """Takes each trigger with the kinds of its A and of its B; keys must differ."""
        self._rules: list[PatternRule] = [rule for rule, _, _ in rules]
        self.when: list[list[PatternRule]] = [[] for _ in EVENT_NAMES]
        self.unless: list[list[PatternRule]] = [[] for _ in EVENT_NAMES]
        for rule, when, unless in rules:
            for kind in when:
                self.when[kind].append(rule)
            for kind in unless:
                self.unless[kind].append(rule)
        self._relevant: list[bool] = [bool(self.when[kind] or self.unless[kind]) for kind in range(len(EVENT_NAMES))]

    def relevant(self, kind: i64) -> bool:
        """Says whether any trigger asks about events of this kind."""
        return self._relevant[kind]

    def named(self, key: i64) -> PatternRule | None:
        """Returns the trigger that `key` names in state records, None if there is none such any more."""
        for rule in self._rules:
            if rule.key == key:
                return rule
        return None


@mypyc_attr(acyclic=True)
class PatternMemory:
    """What one user did about all triggers: `triggers` stand by key.

    Every method takes the rules in force; other rules than before take effect at once: what is remembered of
    a trigger that is gone is dropped, the rest is judged by its new rule.
    """

    __slots__ = ("_rules", "triggers")

    def __init__(self, triggers: list[TriggerMemory] | None = None) -> None:
        """Takes what is remembered of triggers, by key, whose due times are not made yet; nothing at first."""
        self.triggers: list[TriggerMemory] = [] if triggers is None else triggers
        self._rules: PatternRules | None = None

    def is_empty(self) -> bool:
        """Says whether nothing is remembered, so that the whole may be dropped."""
        return not [memory for memory in self.triggers if not memory.is_empty()]

    def update(self, event: Event, rules: PatternRules) -> None:
        """Takes an event, which must not have counted before."""
        if rules is not self._rules:
            self._adopt(rules)
        for rule in rules.when[event.kind]:
            if rule.by_item:
                self._add_items(event, rule)
            else:
                self._of(rule).add_when(event.ts, 0, rule)
        for rule in rules.unless[event.kind]:
            memory = self._of(rule)
            lines = event.items
            if not rule.by_item or not lines:
                memory.cancel_until(event.ts)
                continue
            for line in lines:
                memory.add_unless(event.ts, _short(line.item), rule)

    def _add_items(self, event: Event, rule: PatternRule) -> None:
        """Takes an A of each distinct item that the event names."""
        lines = event.items
        if len(lines) == 1:
            item = _short(lines[0].item)
            if item != 0:
                self._of(rule).add_when(event.ts, item, rule)
            return
        for each in {_short(line.item) for line in lines}:
            if each != 0:
                self._of(rule).add_when(event.ts, each, rule)

    def next_due(self, rules: PatternRules) -> i64:
        """Returns the earliest due time of what is pending (milliseconds), `NEVER` if nothing is."""
        if rules is not self._rules:
            self._adopt(rules)
        earliest: i64 = NEVER
        for memory in self.triggers:
            due = memory.due
            if due != NEVER and (earliest == NEVER or due < earliest):
                earliest = due
        return earliest

    def fire(self, now: i64, rules: PatternRules) -> list[str]:
        """Returns the names of the triggers due at or before `now`, by due time and name, and notes the firings.

        A name stands twice only if `now` lies so far behind that two items of a trigger came due with its
        cooldown between them.
        """
        if rules is not self._rules:
            self._adopt(rules)
        found: list[tuple[int, str]] = []
        for memory in self.triggers:
            rule = rules.named(memory.key)
            while rule is not None and NEVER != memory.due <= now:
                found.append((memory.due, rule.name))
                memory.mark_fired(rule)
        found.sort()
        return [name for _, name in found]

    def merge(self, other: "PatternMemory", rules: PatternRules) -> None:
        """Takes over the memory of another user found to be this one; `other` is not to be used after."""
        if rules is not self._rules:
            self._adopt(rules)
        for memory in other.triggers:
            rule = rules.named(memory.key)
            if rule is not None:
                self._of(rule).absorb(memory, rule)

    def forget(self, watermark: i64, rules: PatternRules) -> None:
        """Drops what cannot matter any more once no event earlier than `watermark` will come.

        Changes no firing. Call it where the stream decides (at an event, at a tick) and not where a commit
        happens to fall, or equal input gives different records.
        """
        if rules is not self._rules:
            self._adopt(rules)
        is_empty = False
        for memory in self.triggers:
            rule = rules.named(memory.key)
            if rule is not None:
                memory.forget(watermark, rule)
            is_empty = is_empty or memory.is_empty()
        if is_empty:
            self.triggers = [memory for memory in self.triggers if not memory.is_empty()]

    def write(self, writer: RecordWriter) -> None:
        """Writes the memory (`pattern_record`), in equal bytes for equal memory."""
        write(writer, self.triggers)

    @staticmethod
    def read(reader: RecordReader) -> "PatternMemory":
        """Returns the memory that `write` wrote.

        Raises:
            StateError: it wrote no such thing.
        """
        return PatternMemory(read(reader))

    def _adopt(self, rules: PatternRules) -> None:
        """Judges what is remembered by `rules`, and drops the memory of triggers they do not have."""
        self._rules = rules
        is_gone = False
        for memory in self.triggers:
            rule = rules.named(memory.key)
            if rule is None:
                is_gone = True
            else:
                memory.judge(rule)
        if is_gone:
            self.triggers = [memory for memory in self.triggers if rules.named(memory.key) is not None]

    def _of(self, rule: PatternRule) -> TriggerMemory:
        """Returns the memory of a trigger, made if there is none."""
        key = rule.key
        at = 0
        for memory in self.triggers:
            if memory.key == key:
                return memory
            if memory.key < key:
                at += 1
        made = TriggerMemory(key)
        self.triggers.insert(at, made)
        return made


def _short(item: i64) -> i64:
    """Returns what an item is known by here; 0 stands for none."""
    return (item & _ITEM_BITS) or 1 if item != 0 else 0
