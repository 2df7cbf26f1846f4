"""What goes with what: lists learned from orders and titles, shipped with the catalogue (`docs/actions.md`)."""

from enum import StrEnum
from functools import cached_property
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from forestay.core.hashing import hash64
from forestay.core.items.next_item import NextItem
from forestay_schemas.types import Identifier

MAX_ITEMS: Final = 100_000
MAX_NEIGHBOURS: Final = 50
#: As a user's state tells items apart (`families/distinct.py`).
ITEM_BITS: Final = 2**32 - 1


class ListKind(StrEnum):
    """Lists that are filled in here; other names are the receiver's."""

    TOGETHER = "together"
    SIMILAR = "similar"
    POPULAR = "popular"
    NEXT = "next"


Neighbour = tuple[Identifier, Annotated[float, Field(gt=0, le=1)]]
_Neighbours = Annotated[tuple[Neighbour, ...], Field(max_length=MAX_NEIGHBOURS)]
_Ranked = Annotated[tuple[Identifier, ...], Field(max_length=MAX_ITEMS)]


class Items(BaseModel):
    """Items by popularity, overall and by country; and of an item those ordered with it, and those titled like it.

    Neighbours stand nearest first, with scores in (0, 1]: `forestay items fit` tells how they are made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal["items-1"] = "items-1"
    orders: int = Field(ge=0, description="orders it was learned from")
    popular: _Ranked
    countries: dict[str, _Ranked] = Field(default_factory=dict, max_length=300)
    together: dict[Identifier, _Neighbours] = Field(default_factory=dict, max_length=MAX_ITEMS)
    similar: dict[Identifier, _Neighbours] = Field(default_factory=dict, max_length=MAX_ITEMS)
    #: Left out of what was fitted without a model.
    next_item: NextItem | None = Field(default=None, exclude_if=lambda head: head is None)

    @cached_property
    def by_hash(self) -> dict[int, str]:
        """Returns each item by what a user's state keeps of it; of two alike the more popular."""
        known = dict.fromkeys((*self.popular, *self.together, *self.similar))
        return {hash64(item) & ITEM_BITS: item for item in reversed(known)}
