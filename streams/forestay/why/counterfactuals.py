"""What would have had to be different for another choice: one thing changed at a time, decided again each time."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Final, NamedTuple

from forestay.why.reevaluation import Change, Choice, Reevaluation
from forestay.why.search import Number, nearest_changes

#: Features on a record that a policy or a rule reads: their digits, their unit, and a usual size of them.
FEATURES: Final = {
    "spend_180d": (2, "spend of the last 180 days", 10.0),
    "average_basket": (2, "average basket", 10.0),
    "spend_total": (2, "spend ever", 10.0),
    "orders_total": (0, "number of orders", 1.0),
    "tenure_hours": (0, "hours since the first event", 24.0),
}
_PROBABILITY: Final = 6


class Counterfactual(NamedTuple):
    """A change of one thing and the choice it leads to.

    `thing` is `probability`, `draw`, `feature` or `rule`; `name` says which feature or rule. `was` and `needed` are
    numbers, of a rule None. `share` is |needed - was| relative to `was`, None where that is 0 or no number.
    """

    thing: str
    name: str
    was: float | None
    needed: float | None
    choice: Choice

    @property
    def share(self) -> float | None:
        """Returns how large the change is."""
        if self.was is None or self.needed is None or self.was == 0:
            return None
        return abs(self.needed - self.was) / abs(self.was)


def counterfactuals(again: Reevaluation) -> list[Counterfactual]:
    """Returns every change found, those of numbers first, the smallest of each kind before others.

    `again` must reproduce its record.
    """
    numbers = [*_probabilities(again), *_features(again)]
    numbers.sort(key=lambda one: float("inf") if one.share is None else one.share)
    return [*numbers, *_draws(again), *_rules(again)]


def _probabilities(again: Reevaluation) -> Iterator[Counterfactual]:
    number = Number(again.decision.churn.probability, _PROBABILITY, most=1.0)
    yield from _numbers(again, "probability", "probability", number, lambda value: Change(probability=value))


def _features(again: Reevaluation) -> Iterator[Counterfactual]:
    for name, (digits, _words, scale) in FEATURES.items():
        if name in again.decision.features:
            number = Number(again.decision.features[name], digits, scale=scale)
            yield from _numbers(again, "feature", name, number, _feature(name))


def _feature(name: str) -> Callable[[float], Change]:
    return lambda value: Change(features={name: value})


def _numbers(
    again: Reevaluation, thing: str, name: str, number: Number, change: Callable[[float], Change]
) -> Iterator[Counterfactual]:
    offer_id = again.decision.offer_id

    @cache
    def choose(value: float) -> Choice:
        return again.choose(change(value))

    for needed in nearest_changes(number, lambda value: choose(value).offer_id != offer_id):
        yield Counterfactual(thing, name, number.was, needed, choose(needed))


def _draws(again: Reevaluation) -> Iterator[Counterfactual]:
    """Yields the nearest draw that chooses something else, the shares of all candidates being as they were."""
    reached = 0.0
    found: list[tuple[float, float, Choice]] = []
    for one in again.candidates():
        begin, reached = reached, reached + one.propensity
        if one.propensity > 0 and one.offer_id != again.decision.offer_id:
            # The end of a share is the next one's: half of what lies before it is still inside.
            nearest = begin if begin > again.point else max(begin, reached - one.propensity * 1e-6)
            found.append((abs(nearest - again.point), nearest, Choice(one.offer_id, one.propensity)))
    if found:
        _distance, needed, choice = min(found, key=lambda one: one[0])
        yield Counterfactual("draw", "draw", again.point, needed, choice)


def _rules(again: Reevaluation) -> Iterator[Counterfactual]:
    """Yields the rules without which something else would have been chosen."""
    for code in dict.fromkeys(one.code for one in again.decision.suppressed):
        choice = again.choose(Change(lifted=frozenset({code})))
        if choice.offer_id != again.decision.offer_id:
            yield Counterfactual("rule", code, None, None, choice)
