"""The directions of the model's embedding that a policy looks at: principal components, fitted off line."""

from functools import cached_property
from typing import Annotated, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from forestay.core.decision.answer import Embedding
from forestay_schemas.decision import MAX_EMBEDDING
from forestay_schemas.types import Identifier

Vector = NDArray[np.float64]
#: Directions, at most.
MAX_AXES: Final = 16
_Row = tuple[Annotated[float, Field(ge=-1e12, le=1e12)], ...]


class Projection(BaseModel):
    """From an embedding of N numbers to K signals: axes (K, N) times what it differs by from the centre (N,).

    It holds for one version of the model alone: what a number of another version means, nobody knows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: Identifier
    centre: _Row = Field(min_length=1, max_length=MAX_EMBEDDING)
    axes: tuple[_Row, ...] = Field(min_length=1, max_length=MAX_AXES)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if {len(axis) for axis in self.axes} != {len(self.centre)}:
            message = f"every axis of a projection has as many numbers as its centre: {len(self.centre)}"
            raise ValueError(message)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Returns what its signals are called."""
        return tuple(f"embedding_{number}" for number in range(1, len(self.axes) + 1))

    def of(self, embedding: Embedding | None) -> Vector:
        """Returns the signals (K,) of a user; without an embedding of this version those of the average user, 0."""
        centre, axes = self._arrays
        if embedding is None or embedding.version != self.version or len(embedding.numbers) != len(centre):
            return np.zeros(len(axes))
        return np.asarray(axes @ (np.array(embedding.numbers) - centre))

    @cached_property
    def _arrays(self) -> tuple[Vector, Vector]:
        return np.array(self.centre), np.array(self.axes)
