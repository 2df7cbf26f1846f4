"""What is added to an offer's immediate value before it is weighed: the long run, less what is scarce and parity.

Guardrails and hard limits of budgets have cut what they cut before: no term brings an offer back.
"""

from collections.abc import Mapping
from math import isnan
from types import MappingProxyType
from typing import Final, NamedTuple

#: Digits of a value on the record.
VALUE_DIGITS: Final = 6
_NONE: Final[Mapping[str, float]] = MappingProxyType({})


class Valued(NamedTuple):
    """What an offer is weighed by, what of it is advice on the long run, and what was taken off it for parity."""

    value: float
    value_to_go: float = 0.0
    parity_price: float = 0.0


class Terms(NamedTuple):
    """By offer: what its budgets are scarce by, what it adds in the long run, as yet unbounded, and parity's price.

    `cap` is the share of its immediate value by which the long run may move an offer.
    """

    surcharges: Mapping[str, float] = _NONE
    long_run: Mapping[str, float] = _NONE
    cap: float = 0.0
    parity: Mapping[str, float] = _NONE

    def of(self, offer_id: str, immediate: float) -> Valued:
        """Returns what the offer is weighed by, rounded to 1e-6; `immediate` is what it earns above its cost."""
        value = immediate - self.surcharges.get(offer_id, 0.0)
        added = self._bounded(offer_id, immediate)
        price = round(self.parity.get(offer_id, 0.0), VALUE_DIGITS)
        if added or price:
            value += added - price
        return Valued(round(value, VALUE_DIGITS), added, price)

    def _bounded(self, offer_id: str, immediate: float) -> float:
        added = self.long_run.get(offer_id, 0.0)
        limit = self.cap * abs(immediate)
        return added if isnan(added) else round(min(max(added, -limit), limit), VALUE_DIGITS)


#: Nothing is added.
NO_TERMS: Final = Terms()
