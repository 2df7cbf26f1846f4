"""What has been learned of each offer's effect: a Gaussian over the weights of a linear head."""

from functools import cached_property
from typing import Annotated, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from forestay.core.hashing import identifier
from forestay.core.policy.projection import Projection
from forestay_schemas.types import Identifier

#: What a head looks at, in order; `signals.py` computes it. Another order or meaning needs other names.
SIGNALS: Final = (
    "bias",
    "risk",
    "risk_squared",
    "value_at_stake",
    "risk_x_value",
    "orders_total",
    "spend_total",
    "average_basket",
    "spend_180d",
    "tenure_hours",
    "hours_since_last_event",
    "session_gap_mean_hours",
    "sessions_total",
    "silence_to_gap",
    "trigger_silence",
    "trigger_pattern",
)
Vector = NDArray[np.float64]
_ROUNDING: Final = 1e-9
_Number = Annotated[float, Field(ge=-1e12, le=1e12)]
_Row = tuple[_Number, ...]


class Gaussian(NamedTuple):
    """Mean (D,) and covariance (D, D) of a head's weights."""

    mean: Vector
    covariance: Vector


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Head(_Part):
    """One offer's weights, learned from so many decisions that made it."""

    decisions: int = Field(ge=0)
    mean: _Row
    covariance: tuple[_Row, ...]

    @model_validator(mode="after")
    def _sound(self) -> Self:
        size = len(self.mean)
        if [len(row) for row in self.covariance] != [size] * size:
            message = f"a head of {size} weights has a covariance of {size} rows and columns"
            raise ValueError(message)
        matrix = np.array(self.covariance)
        spectrum = np.linalg.eigvalsh(matrix)
        if not np.allclose(matrix, matrix.T) or spectrum[0] < -_ROUNDING * abs(spectrum[-1]):
            message = "a covariance must be symmetric, and no variance below 0"
            raise ValueError(message)
        return self

    @cached_property
    def gaussian(self) -> Gaussian:
        """Returns the head as arrays, made once."""
        return Gaussian(np.array(self.mean), np.array(self.covariance))


class Posterior(_Part):
    """Heads of offers, by offer; one without a head has that of nothing learned: mean 0, `prior_deviation` a weight.

    `function` is the reward function whose rewards it was fitted to, `signals` what the weights are of: `SIGNALS`,
    and those of the `projection` of the model's embedding, where there is one.
    """

    signals: tuple[str, ...]
    function: str
    decisions: int = Field(ge=0)
    prior_deviation: float = Field(gt=0, le=1e9)
    heads: dict[Identifier, Head]
    projection: Projection | None = Field(default=None, exclude_if=lambda projection: projection is None)

    @model_validator(mode="after")
    def _of_this_version(self) -> Self:
        expected = SIGNALS + (() if self.projection is None else self.projection.names)
        if self.signals != expected:
            message = "it was fitted to other signals than this version has: fit it anew, `forestay policy fit`"
            raise ValueError(message)
        for offer_id, head in self.heads.items():
            if len(head.mean) != len(expected):
                message = f"the head of {offer_id} has {len(head.mean)} weights, not {len(expected)} weights"
                raise ValueError(message)
        return self

    def head(self, offer_id: str) -> Gaussian:
        """Returns what is known of an offer's weights."""
        head = self.heads.get(offer_id)
        return self._prior if head is None else head.gaussian

    def digest(self) -> str:
        """Returns 12 hexadecimal digits that change with anything learned."""
        return identifier("posterior-1", self.model_dump_json())[:12]

    @cached_property
    def _prior(self) -> Gaussian:
        size = len(self.signals)
        return Gaussian(np.zeros(size), np.eye(size) * self.prior_deviation**2)
