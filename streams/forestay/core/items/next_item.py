"""The item head: what the user orders next, from what the frozen model has made of them (`docs/actions.md`)."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from forestay.core.decision.answer import Embedding
from forestay.core.policy.projection import Projection
from forestay_schemas.types import Identifier

Vector = NDArray[np.float64]
#: Items a head may tell apart: each is weighed for every list it fills.
MAX_HEAD_ITEMS: Final = 5_000
#: Digits of a score that count: what differs by less is a matter of how a machine sums.
_DIGITS: Final = 9
#: So many items are sorted first: a list shows fewer, and of those a user has met some.
_FEW: Final = 64
_Weights = tuple[Annotated[float, Field(ge=-1e6, le=1e6)], ...]


class NextItem(BaseModel):
    """log p(item | embedding) of M items but for a constant: linear in the K directions of `projection`.

    `weights` has 1 + K numbers an item: the intercept, and one for each direction. `together` is how much the score
    of what is ordered together with recently met items counts beside it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    projection: Projection
    weights: dict[Identifier, _Weights] = Field(min_length=1, max_length=MAX_HEAD_ITEMS)
    together: float = Field(ge=0, le=1e6)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        wanted = 1 + len(self.projection.axes)
        for item, row in self.weights.items():
            if len(row) != wanted:
                message = f"the item {item} has {len(row)} weights, not {wanted}: an intercept and one for each axis"
                raise ValueError(message)
        return self

    def reads(self, embedding: Embedding | None) -> bool:
        """Says whether the embedding is one of the model's version that the head was fitted on."""
        projection = self.projection
        return (
            embedding is not None
            and embedding.version == projection.version
            and len(embedding.numbers) == len(projection.centre)
        )

    def ranked(self, embedding: Embedding | None, together: Mapping[str, float]) -> Iterator[str]:
        """Yields the M items, the most likely first; equal scores go by item id.

        `together` has the scores of items ordered together with what the user met. An embedding that the head does
        not read is taken for that of the average user: ask `reads` first.
        """
        signals = self.projection.of(embedding)
        scores = self._matrix[:, 0] + (self._matrix[:, 1:] * signals).sum(axis=1)
        for item, score in together.items():
            place = self._places.get(item)
            if place is not None:
                scores[place] += self.together * score
        yield from self._best_first(np.round(scores, _DIGITS))

    def _best_first(self, scores: Vector) -> Iterator[str]:
        """Sorts the best few, and the others only for who asks for more than those."""
        least = -np.inf if len(scores) <= _FEW else np.partition(scores, -_FEW)[-_FEW]
        for places in (np.flatnonzero(scores >= least), np.flatnonzero(scores < least)):
            order = np.argsort(-scores[places], kind="stable")
            for place in places[order].tolist():
                yield self._names[place]

    @cached_property
    def _names(self) -> list[str]:
        """Returns the items by id, so that a stable sort leaves equals so."""
        return sorted(self.weights)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {item: place for place, item in enumerate(self._names)}

    @cached_property
    def _matrix(self) -> Vector:
        return np.array([self.weights[item] for item in self._names])
