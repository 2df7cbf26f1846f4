"""Prices by group that bring a policy into a band, from the decisions of a log, and what they cost.

A price is a Lagrange multiplier: at it, the most valuable choice of each single decision is the most valuable of all
that have the group's rate. Of selection it is per offer made. Of discount the rate is cost over basket of what is
offered, Sum cost / Sum basket: to keep it at r is to keep Sum (cost - r x basket) at 0, so the price is per unit of
cost beyond r x basket, and r is found in rounds (Dinkelbach, 1967). Tables of prices get finer by the round.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forestay.core.decision.catalogue import Catalogue, PolicyKind
from forestay.core.decision.policy import cost
from forestay.core.errors import ForestayError
from forestay.core.hashing import unit_interval
from forestay.core.policy.parity import GroupPrice, ParityPrices
from forestay.core.policy.parity_measure import Measure
from forestay_schemas.types import GroupedBy
from forestay_training.fairness.frontier import Frontier, between, least_cost
from forestay_training.offpolicy.catalogue_policy import candidates_of
from forestay_training.offpolicy.log import Vector
from forestay_training.offpolicy.records import Decided

#: Decisions that prices are sought on, as many of each group; of more, those of some users, drawn by hash.
_MOST: Final = 10_000
#: Prices of the first round, and of each later one, between the neighbours of what was chosen.
_COARSE: Final = 33
_FINE: Final = 17
_ROUNDS: Final = 3
#: Prices of a unit of cost, of either sign.
_UNIT_PRICES: Final = np.geomspace(0.01, 100, 12)


class Wanted(NamedTuple):
    """What is to be alike, by what groups are told, the least ratio of two rates, and users a group must have."""

    by: GroupedBy
    measure: Measure
    least: float
    users: int


class Met(NamedTuple):
    """What a policy makes of N decisions: of the rate numerator and denominator, and the value without prices."""

    over: Vector
    under: Vector
    value: Vector

    def rate(self, rows: NDArray[np.intp] | slice = slice(None)) -> float:
        """Returns the rate of some decisions, nan where its denominator is 0."""
        under = float(self.under[rows].sum())
        return float(self.over[rows].sum()) / under if under > 0 else float("nan")


def priced(
    decisions: Sequence[Decided],
    groups: Sequence[str],
    catalogue: Catalogue,
    wanted: Wanted,
    done: Callable[[int], None] = lambda _round: None,
) -> ParityPrices:
    """Returns the prices; groups of too few users have none. `groups` (N,) are of the decisions.

    Raises:
        ForestayError: rules are the policy, fewer than two groups are large enough, or no prices bring them together.
    """
    if catalogue.policy.kind is PolicyKind.RULES:
        raise ForestayError("the policy goes by rules and not by values: prices would change nothing")
    judged = large_groups(decisions, groups, wanted.users)
    if len(judged) < 2:  # noqa: PLR2004
        raise ForestayError(
            f"{len(judged)} of {len(set(groups))} groups have {wanted.users} users or more: it takes two to be alike"
        )
    of_group = _by_group(decisions, groups, judged)
    seekers = {name: _Seeker(name, of_group[name], catalogue, wanted, _MOST // len(judged)) for name in judged}
    places: dict[str, int] | None = None
    for number in range(_ROUNDS):
        done(number)
        for name, one in seekers.items():
            one.look(None if places is None else places[name])
        places = least_cost({name: one.frontier for name, one in seekers.items()}, wanted.least)
        if places is None:
            raise ForestayError(
                f"no prices bring all groups into a band of {wanted.least:g}: exploration alone makes some too"
                " different, or a lower --least is needed"
            )
    return ParityPrices(
        by=wanted.by,
        measure=wanted.measure,
        least=wanted.least,
        decisions=len(decisions),
        groups={name: one.price(places[name]) for name, one in seekers.items()} if places else {},
    )


def large_groups(decisions: Sequence[Decided], groups: Sequence[str], users: int) -> list[str]:
    """Returns the groups that have so many users, by name."""
    members: dict[str, set[str]] = {}
    for decision, group in zip(decisions, groups, strict=True):
        members.setdefault(group, set()).add(decision.user_id)
    return sorted(name for name, found in members.items() if len(found) >= users)


def met(decisions: Sequence[Decided], catalogue: Catalogue, measure: Measure) -> Met:
    """Returns what the catalogue's policy makes of the decisions.

    Raises:
        ForestayError: it reads what is not on a record.
    """
    rows = np.array([_of_one(decision, catalogue, measure) for decision in decisions]).reshape(-1, 3)
    return Met(rows[:, 0], rows[:, 1], rows[:, 2])


def with_prices(catalogue: Catalogue, prices: ParityPrices | None) -> Catalogue:
    """Returns the catalogue with these prices in the place of any it has."""
    policy = catalogue.policy.model_copy(update={"parity": prices})
    return catalogue.model_copy(update={"policy": policy})


def _of_one(decision: Decided, catalogue: Catalogue, measure: Measure) -> tuple[float, float, float]:
    over = under = value = 0.0
    basket = decision.features.get("average_basket", 0.0)
    for one in candidates_of(decision, catalogue):
        value += one.propensity * (one.expected_value + one.parity_price)
        offer = catalogue.offer(one.offer_id)
        if offer is not None and offer.marketing:
            over += one.propensity * (1.0 if measure is Measure.SELECTION else cost(offer, basket))
            under += one.propensity * basket
    return over, 1.0 if measure is Measure.SELECTION else under, value


def _by_group(
    decisions: Sequence[Decided], groups: Sequence[str], judged: Sequence[str]
) -> Mapping[str, list[Decided]]:
    found: dict[str, list[Decided]] = {name: [] for name in judged}
    for decision, group in zip(decisions, groups, strict=True):
        if group in found:
            found[group].append(decision)
    return found


class _Seeker:
    """One group's table, looked up at finer prices in each round."""

    def __init__(
        self, name: str, decisions: Sequence[Decided], catalogue: Catalogue, wanted: Wanted, most: int
    ) -> None:
        share = most / len(decisions)
        some = [one for one in decisions if share >= 1 or unit_interval("parity", one.user_id) < share]
        self._decisions = some or decisions
        #: What a decision that is looked at stands for: groups are weighed against each other as large as they are.
        self._weight = len(decisions) / len(self._decisions)
        self._name, self._catalogue, self._wanted = name, catalogue, wanted
        self._rate = 0.0
        self._coarse: list[float] = []
        self._known: dict[float, tuple[float, float]] = {}
        self.frontier = Frontier(np.zeros(0), np.zeros(0), np.zeros(0))

    def look(self, place: int | None) -> None:
        """Fills the table: in the first round with coarse prices, then with finer ones about that at `place`."""
        if place is None:
            free = met(self._decisions, with_prices(self._catalogue, None), self._wanted.measure).rate()
            self._rate = 0.0 if free != free else free  # noqa: PLR0124 - nan: nothing is offered
            self._coarse = self._first()
            self._fill(self._coarse)
            return
        prices, rates = self.frontier.prices, self.frontier.rates
        if prices[place] == 0:
            return
        self._rate = float(rates[place])
        low, high = prices[max(place - 1, 0)], prices[min(place + 1, len(prices) - 1)]
        self._fill([*self._coarse, *np.linspace(low, high, _FINE).tolist()])

    def price(self, place: int) -> GroupPrice:
        """Returns the price at a place of the table."""
        return GroupPrice(price=float(self.frontier.prices[place]), rate=self._told_rate)

    @property
    def _told_rate(self) -> float:
        return self._rate if self._wanted.measure is Measure.DISCOUNT else 0.0

    def _first(self) -> list[float]:
        if self._wanted.measure is Measure.DISCOUNT:
            return sorted({0.0, *_UNIT_PRICES.tolist(), *(-_UNIT_PRICES).tolist()})
        return between([self._margin(decision) for decision in self._decisions], _COARSE)

    def _margin(self, decision: Decided) -> float:
        """Returns by how much the best marketing offer of a decision beats all else."""
        marketing, others = [0.0], [0.0]
        for one in candidates_of(decision, with_prices(self._catalogue, None)):
            offer = self._catalogue.offer(one.offer_id)
            if offer is not None:
                (marketing if offer.marketing else others).append(one.expected_value)
        return max(marketing[1:], default=0.0) - max(others)

    def _fill(self, prices: Sequence[float]) -> None:
        if self._wanted.measure is Measure.DISCOUNT:
            # The rate that prices are of is another one.
            self._known.clear()
        known, rows = self._known, []
        for price in sorted(set(prices)):
            if price not in known:
                known[price] = self._point(price)
            rows.append((price, *known[price]))
        table = np.array(rows)
        self.frontier = Frontier(table[:, 0], table[:, 1], table[:, 2])

    def _point(self, price: float) -> tuple[float, float]:
        wanted = self._wanted
        prices = ParityPrices(
            by=wanted.by,
            measure=wanted.measure,
            least=wanted.least,
            decisions=0,
            groups={self._name: GroupPrice(price=price, rate=self._told_rate)},
        )
        found = met(self._decisions, with_prices(self._catalogue, prices), wanted.measure)
        return found.rate(), self._weight * float(found.value.sum())
