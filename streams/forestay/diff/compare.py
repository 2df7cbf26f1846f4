"""Two sides beside each other: whose action changes, what it costs, and where."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import fsum
from typing import Final, NamedTuple

from forestay.diff.difference import (
    Amount,
    Change,
    Count,
    Decisions,
    Difference,
    Example,
    Probabilities,
    Row,
    Side,
    Users,
)
from forestay.diff.facts import Choice, Deed, Facts, Segments, bands

#: Examples shown of one change, and of all.
_OF_ONE: Final = 3
_EXAMPLES: Final = 24
#: Money is told to a hundredth, shares to a millionth.
_CENTS: Final = 2
_DIGITS: Final = 6


class _Pair(NamedTuple):
    """One decision on both sides."""

    name: str
    before: Choice | None
    after: Choice | None

    @property
    def offers(self) -> tuple[str | None, str | None]:
        return (self.before and self.before.offer_id, self.after and self.after.offer_id)

    @property
    def either(self) -> Choice:
        choice = self.before or self.after
        assert choice is not None  # noqa: S101 - it was made on one side at least
        return choice


def compare(before: Facts, after: Facts) -> Difference:
    """Returns what changes from `before` to `after`."""
    changed = [pair for pair in _pairs(before, after) if pair.offers[0] != pair.offers[1]]
    total = {choice.user_id for facts in (before, after) for choice in facts.choices.values()}
    users = {pair.either.user_id for pair in changed}
    first, second = _side(before), _side(after)
    spend = None
    if first.cost or not second.cost:
        spend = round((second.cost - first.cost) / first.cost, _DIGITS) if first.cost else 0.0
    return Difference(
        before=first,
        after=second,
        users=Users(len(total), len(users), _share(len(users), len(total))),
        decisions=_decisions(before, after),
        spend_change=spend,
        kinds=_rows(before, after, lambda _choice, deed: deed.kind),
        offers=_rows(before, after, lambda _choice, deed: deed.offer_id),
        segments={division: _of_division(before, after, division) for division in Segments._fields},
        suppressed=[
            Count(code, before.suppressed[code], after.suppressed[code])
            for code in sorted(before.suppressed | after.suppressed)
        ],
        probabilities=_probabilities(before, after),
        changes=_changes(changed),
        examples=_examples(changed, before, after),
    )


def _pairs(before: Facts, after: Facts) -> Iterator[_Pair]:
    for name, choice in before.choices.items():
        yield _Pair(name, choice, after.choices.get(name))
    for name, choice in after.choices.items():
        if name not in before.choices:
            yield _Pair(name, None, choice)


def _share(part: int, whole: int) -> float:
    return round(part / whole, _DIGITS) if whole else 0.0


def _side(facts: Facts) -> Side:
    return Side(
        decisions=len(facts.choices),
        actions=len(facts.deeds),
        users=len({choice.user_id for choice in facts.choices.values()}),
        users_acted_on=len({choice.user_id for choice in facts.choices.values() if choice.offer_id is not None}),
        cost=_sum(deed.cost for deed in facts.deeds.values()),
    )


def _sum(costs: Iterable[float]) -> float:
    return round(fsum(costs), _CENTS)


def _decisions(before: Facts, after: Facts) -> Decisions:
    both = before.choices.keys() & after.choices.keys()
    same = sum(before.choices[name].offer_id == after.choices[name].offer_id for name in both)
    return Decisions(same, len(both) - same, len(before.choices) - len(both), len(after.choices) - len(both))


# -- amounts ---------------------------------------------------------------------------------------------


def _rows(before: Facts, after: Facts, name_of: Callable[[Choice | None, Deed], str]) -> list[Row]:
    """Returns the amounts of both sides by name, the dearest first."""
    first, second = _amounts(before, name_of), _amounts(after, name_of)
    none = Amount(0, 0.0)
    rows = [Row(name, first.get(name, none), second.get(name, none)) for name in first.keys() | second.keys()]
    return sorted(rows, key=lambda row: (-max(row.before.cost, row.after.cost), -row.before.actions, row.name))


def _amounts(facts: Facts, name_of: Callable[[Choice | None, Deed], str]) -> Mapping[str, Amount]:
    costs: dict[str, list[float]] = defaultdict(list)
    for name, deed in facts.deeds.items():
        costs[name_of(facts.choices.get(name), deed)].append(deed.cost)
    return {name: Amount(len(own), _sum(own)) for name, own in costs.items()}


def _of_division(before: Facts, after: Facts, division: str) -> list[Row]:
    place = Segments._fields.index(division)
    rows = _rows(before, after, lambda choice, _deed: choice.segments[place] if choice else "unknown")
    order = {name: number for number, name in enumerate(bands(division))}
    return sorted(rows, key=lambda row: order.get(row.name, len(order)))


def _probabilities(before: Facts, after: Facts) -> Probabilities:
    pairs = [
        (first, second)
        for name, choice in before.choices.items()
        if (other := after.choices.get(name)) is not None
        and (first := choice.probability) is not None
        and (second := other.probability) is not None
    ]
    return Probabilities(
        changed=sum(first != second for first, second in pairs),
        mean_before=round(fsum(first for first, _ in pairs) / len(pairs), _DIGITS) if pairs else None,
        mean_after=round(fsum(second for _, second in pairs) / len(pairs), _DIGITS) if pairs else None,
        largest_change=round(max((abs(first - second) for first, second in pairs), default=0.0), _DIGITS),
    )


# -- changes ---------------------------------------------------------------------------------------------


def _changes(pairs: Iterable[_Pair]) -> list[Change]:
    counted: Counter[tuple[str | None, str | None]] = Counter()
    users: dict[tuple[str | None, str | None], set[str]] = defaultdict(set)
    for pair in pairs:
        counted[pair.offers] += 1
        users[pair.offers].add(pair.either.user_id)
    changes = [Change(*offers, count, len(users[offers])) for offers, count in counted.items()]
    return sorted(changes, key=lambda change: (-change.decisions, change.before or "", change.after or ""))


def _examples(pairs: Iterable[_Pair], before: Facts, after: Facts) -> list[Example]:
    """Returns, of the most frequent changes, those decisions whose cost changes most."""
    by_change: dict[tuple[str | None, str | None], list[Example]] = defaultdict(list)
    for pair in pairs:
        by_change[pair.offers].append(_example(pair, before.deeds.get(pair.name), after.deeds.get(pair.name)))
    found: list[Example] = []
    for _, examples in sorted(by_change.items(), key=lambda item: (-len(item[1]), str(item[0]))):
        examples.sort(key=lambda one: (-abs(one.cost_after - one.cost_before), one.user_id, one.decided_at))
        found.extend(examples[:_OF_ONE])
    return found[:_EXAMPLES]


def _example(pair: _Pair, before: Deed | None, after: Deed | None) -> Example:
    choice = pair.either
    return Example(
        choice.user_id,
        choice.decided_at,
        choice.segments.trigger,
        *pair.offers,
        before.cost if before else 0.0,
        after.cost if after else 0.0,
        pair.before.probability if pair.before else None,
        pair.after.probability if pair.after else None,
    )
