"""Offers stopped by what is told of their actions, in one partition: complaints, failures (docs/catalogue.md)."""

from collections.abc import Iterator
from typing import Final

from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.guardrail_settings import AutomaticPause
from forestay.core.rewards.reward import KINDS
from forestay.core.state.pauses_mark import Counted, PausesMark, Tripped
from forestay.core.units import HOUR
from forestay_schemas.action_feedback import FeedbackKind
from forestay_schemas.types import ActionKind

#: A window moves on in so many steps.
PARTS: Final = 12


class Pauses:
    """The rules of one catalogue, what they have counted, and what they have stopped until another comes."""

    def __init__(self, catalogue: Catalogue, version: str) -> None:
        """`version` is the catalogue's."""
        self._begin(catalogue, version)

    def _begin(self, catalogue: Catalogue, version: str) -> None:
        self._version = version
        self._rules = catalogue.switches.automatic
        self._kinds = {offer.id: offer.kind for offer in catalogue.offers}
        #: By rule and subject, and by part of time: actions first told of, and told of badly.
        self._counts: dict[tuple[int, str], dict[int, list[int]]] = {}
        self._tripped: dict[tuple[int, str], Tripped] = {}
        #: What the last checkpoint gave, None without rules.
        self.mark: PausesMark | None = None

    def adopt(self, catalogue: Catalogue, version: str) -> None:
        """Goes on under another catalogue, which lifts all pauses and counts anew."""
        if version != self._version:
            self._begin(catalogue, version)

    @property
    def tripped(self) -> tuple[Tripped, ...]:
        """Returns what is stopped, in the order of rules and subjects."""
        return tuple(one for _, one in sorted(self._tripped.items()))

    def rule(self, tripped: Tripped) -> AutomaticPause:
        """Returns the rule that has stopped something."""
        return self._rules[tripped.rule]

    def take(self, offer_id: str, before: int, kind: FeedbackKind, clock: int) -> bool:
        """Counts feedback on an action; returns whether it stops something that was not stopped.

        `before` are the kinds told of the action before, as bits in the contract's order; `clock` is event time as
        the partition was told it, in milliseconds.
        """
        stopped = False
        told = 1 << KINDS.index(kind)
        for number, subject in self._concerned(offer_id):
            rule = self._rules[number]
            mask = sum(1 << KINDS.index(one) for one in rule.feedback)
            is_bad = bool(told & mask) and not before & mask
            if not before or is_bad:
                stopped |= self._count(number, subject, (int(not before), int(is_bad)), clock)
        return stopped

    def _concerned(self, offer_id: str) -> Iterator[tuple[int, str]]:
        """Yields the rules that look at an offer and have not stopped it, each with what it counts it under."""
        kind = self._kinds.get(offer_id)
        for number, rule in enumerate(self._rules):
            if kind is None or rule.offer not in {None, offer_id} or rule.kind not in {None, kind}:
                continue
            subject = offer_id if rule.kind is None else str(kind)
            if (number, subject) not in self._tripped:
                yield number, subject

    def _count(self, number: int, subject: str, more: tuple[int, int], clock: int) -> bool:
        rule, key = self._rules[number], (number, subject)
        parts = self._counts.setdefault(key, {})
        part = _part(rule, clock)
        counts = parts.setdefault(part, [0, 0])
        counts[0] += more[0]
        counts[1] += more[1]
        _forget(parts, part)
        told, bad = (sum(one[place] for one in parts.values()) for place in (0, 1))
        # Divided, so that 7 of 100 are the 0.07 that the catalogue says: 0.07 * 100 is more than 7.
        if told < rule.at_least or bad / told < rule.share:
            return False
        self._tripped[key] = Tripped(number, subject, clock, told, bad)
        del self._counts[key]
        return True

    def stopped(self, catalogue: Catalogue) -> Catalogue:
        """Returns the catalogue with what is stopped among its paused offers and kinds."""
        if not self._tripped:
            return catalogue
        by_kind = {one.subject for one in self.tripped if self.rule(one).kind is not None}
        offers = {one.subject for one in self.tripped if self.rule(one).kind is None}
        switches = catalogue.switches
        paused = {
            "paused": switches.paused | offers,
            "paused_kinds": switches.paused_kinds | {ActionKind(kind) for kind in by_kind},
        }
        return catalogue.model_copy(update={"switches": switches.model_copy(update=paused)})

    # -- what is durable -----------------------------------------------------------------------------

    def checkpoint(self, clock: int) -> PausesMark | None:
        """Returns what a commit's mark says, None without rules; parts that have left their window go."""
        if not self._rules:
            return None
        for (number, _), parts in self._counts.items():
            _forget(parts, _part(self._rules[number], clock))
        counted = tuple(
            Counted(*key, tuple((part, told, bad) for part, (told, bad) in sorted(parts.items())))
            for key, parts in sorted(self._counts.items())
            if parts
        )
        self.mark = PausesMark(self._version, counted, self.tripped)
        return self.mark

    def restore(self, mark: PausesMark | None) -> None:
        """Takes over what was durable, if it is of the same catalogue."""
        if mark is None or mark.version != self._version:
            return
        self.mark = mark
        for one in mark.counted:
            self._counts[one.rule, one.subject] = {part: [told, bad] for part, told, bad in one.parts}
        self._tripped = {(one.rule, one.subject): one for one in mark.tripped}


def _part(rule: AutomaticPause, clock: int) -> int:
    return clock // max(round(rule.hours * HOUR / PARTS), 1)


def _forget(parts: dict[int, list[int]], newest: int) -> None:
    for part in [part for part in parts if part <= newest - PARTS]:
        del parts[part]
