"""Prices of parity: what an offer to a user of some group must be worth more, or may be worth less.

They are the Lagrange multipliers of a band in which the groups' rates shall lie, and are computed off line
(`forestay fair --price`). Groups are told by what the decision knows of the user, never guessed.
"""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from forestay.core.decision.guardrail_settings import Share
from forestay.core.policy.parity_measure import Measure
from forestay_schemas.types import GroupedBy, Label

#: Users who have reached no tier, or whose country no event has told.
OTHERS: Final = "(others)"
#: More groups than these are no groups but users.
MAX_GROUPS: Final = 100


class GroupPrice(BaseModel):
    """Of selection, what an offer must be worth more; of discount, for each unit of its cost beyond `rate` x basket.

    Below 0 it may be worth less: the group got too little.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    price: float = Field(ge=-1e9, le=1e9)
    rate: float = Field(default=0.0, ge=0, le=1e9)


class ParityPrices(BaseModel):
    """Prices by group; a group without one bears none. `least` is the least ratio of two groups' rates."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    by: GroupedBy
    measure: Measure
    least: Share
    decisions: int = Field(ge=0)
    groups: dict[Label, GroupPrice] = Field(max_length=MAX_GROUPS)

    def of(self, group: str, cost: float, basket: float) -> float:
        """Returns what is taken off the value of an offer of this `cost` to a user of the group; below 0 it adds."""
        found = self.groups.get(group)
        if found is None:
            return 0.0
        return found.price * (cost - found.rate * basket if self.measure is Measure.DISCOUNT else 1.0)
