"""Signs of abuse, from rolling features: who shows one is offered nothing worth money until somebody has looked.

Each is a threshold that the shop sets, not a verdict; a decision says which were passed and by what.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from forestay.core.decision.guardrail_settings import ReviewRisk
from forestay.core.decision.situation import Situation


class Signal(NamedTuple):
    """A threshold that was passed: its name in the catalogue, what was found, and what is bearable."""

    name: str
    found: float
    limit: float


def signals(situation: Situation, rules: ReviewRisk) -> list[Signal]:
    """Returns the signs of abuse of a user, in the order of the catalogue's documentation."""
    if situation.feature("orders_total") < rules.min_orders:
        return []
    found: list[Signal] = []
    for name, measure in _MEASURES.items():
        limit: float | None = getattr(rules, name)
        if limit is not None and (value := round(measure(situation), 6)) > limit:
            found.append(Signal(name, value, limit))
    return found


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _refunds_per_order(situation: Situation) -> float:
    return _share(situation.feature("refunds_total"), situation.feature("orders_total"))


def _refunded_share(situation: Situation) -> float:
    return _share(situation.feature("refund_value_total"), situation.feature("spend_total"))


def _promotions_per_order(situation: Situation) -> float:
    return _share(situation.feature("select_promotion_count_30d"), situation.feature("purchase_count_30d"))


def _orders_a_day(situation: Situation) -> float:
    return situation.feature("purchase_count_1d")


def _baskets_a_day(situation: Situation) -> float:
    return _share(situation.feature("spend_1d"), situation.feature("average_basket"))


_MEASURES: Final[dict[str, Callable[[Situation], float]]] = {
    "refunds_per_order": _refunds_per_order,
    "refunded_share": _refunded_share,
    "promotions_per_order": _promotions_per_order,
    "orders_a_day": _orders_a_day,
    "baskets_a_day": _baskets_a_day,
}
