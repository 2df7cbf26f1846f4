"""What prices of parity change, group by group, and what they cost the shop, with intervals by user."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from forestay.core.decision.catalogue import Catalogue
from forestay.core.policy.parity import ParityPrices
from forestay_training.fairness.judging import divided, resampled, spanned
from forestay_training.fairness.pricing import met, with_prices
from forestay_training.fairness.treatment import Earned, earned
from forestay_training.offpolicy.log import Matrix, Vector
from forestay_training.offpolicy.records import Decided, Records


class Drawing(NamedTuple):
    """How the bootstrap by user draws, and by which reward outcomes count."""

    draws: int
    seed: int
    reward_function: str | None


class Case(NamedTuple):
    """A log, its decisions with the groups of their users, all (N,), and the catalogue that is priced."""

    records: Records
    decisions: Sequence[Decided]
    groups: Sequence[str]
    catalogue: Catalogue


def cost_of(case: Case, prices: ParityPrices, drawing: Drawing) -> dict[str, Any]:
    """Returns rates before and after, and the value lost, ready for JSON; the prices are held fixed.

    `cost_a_decision` is by the policy's own values; `cost_by_outcomes` is doubly robust, from decisions with a choice
    and an outcome, None without any.

    Raises:
        ForestayError: outcomes are of several functions, or a policy reads what is not on a record.
    """
    decisions, names = case.decisions, np.array(case.groups)
    before, after = (met(decisions, with_prices(case.catalogue, given), prices.measure) for given in (None, prices))
    told = {}
    for name in sorted(set(case.groups)):
        rows = np.flatnonzero(names == name)
        price = prices.groups.get(name)
        told[name] = {
            "decisions": len(rows),
            "users": len({decisions[row].user_id for row in rows.tolist()}),
            "before": _number(before.rate(rows)),
            "after": _number(after.rate(rows)),
            "price": None if price is None else price.price,
            "beyond": None if price is None else price.rate,
        }
    rates = [one["after"] for one in told.values() if one["price"] is not None and one["after"] is not None]
    lost = before.value - after.value
    users = [decision.user_id for decision in decisions]
    return {
        "groups": told,
        "in_band": not rates or min(rates) >= prices.least * max(rates) - 1e-9,
        "cost_a_decision": _ratio(lost, np.ones(len(lost)), users, drawing),
        "cost_share": _ratio(lost, before.value, users, drawing),
        "cost_by_outcomes": _by_outcomes(case, users, prices, drawing),
    }


def _number(value: float) -> float | None:
    return value if value == value else None  # noqa: PLR0124 - nan is no number of JSON


def _by_outcomes(case: Case, users: Sequence[str], prices: ParityPrices, drawing: Drawing) -> dict[str, Any] | None:
    def gained(given: ParityPrices | None) -> Earned:
        candidate = with_prices(case.catalogue, given)
        return earned(case.records, case.decisions, candidate, drawing.reward_function, drawing.seed)

    before, after = gained(None), gained(prices)
    if not before.known.any():
        return None
    lost = np.where(before.known, before.gain - after.gain, 0.0)
    return _ratio(lost, before.known.astype(np.float64), users, drawing)


def _ratio(over: Vector, under: Vector, users: Sequence[str], drawing: Drawing) -> dict[str, Any]:
    """Returns the sum of the one over that of the other, with its interval over users drawn anew."""
    user = np.unique(users, return_inverse=True)[1]
    sums: Matrix = np.stack([np.bincount(user, one) for one in (over, under)], axis=1)
    drawn = resampled(sums, drawing.draws, drawing.seed)
    whole = sums.sum(axis=0, keepdims=True)
    return spanned(divided(whole[:, 0], whole[:, 1]), divided(drawn[:, 0], drawn[:, 1]), 1)
