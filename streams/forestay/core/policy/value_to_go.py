"""What an offer changes beyond the horizon of rewards: linear heads of the value to go, fitted off line.

The number is advice: it is drawn towards 0 by its own doubt, and then bounded by a share of the immediate value
(`terms.py`). An offer without a head, as too little is known of it, has none.
"""

from math import copysign, isnan
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from forestay.core.decision.guardrail_settings import Part, Share
from forestay.core.policy.posterior import SIGNALS, Head, Vector
from forestay_schemas.types import Identifier

#: The share of an offer's immediate value that advice about the long run may move it by, unless the shop says so.
DEFAULT_CAP: Final = 0.5


class ValueToGo(BaseModel):
    """Heads of offers: what each adds to the value that comes after the horizon, above doing nothing.

    The value is discounted by `discount` a week to the moment of the decision, in the unit of rewards of `function`,
    whose horizon is `horizon_days`. `doubt` is how many standard deviations it is drawn towards 0 by.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    signals: tuple[str, ...]
    function: str
    horizon_days: float = Field(gt=0, le=3650)
    discount: float = Field(gt=0, lt=1)
    doubt: float = Field(ge=0, le=100)
    decisions: int = Field(ge=0)
    heads: dict[Identifier, Head]

    @field_validator("signals")
    @classmethod
    def _of_this_version(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if names != SIGNALS:
            message = "it was fitted to other signals than this version has: fit it anew, `forestay policy fit-value`"
            raise ValueError(message)
        return names

    @model_validator(mode="after")
    def _of_these_signals(self) -> Self:
        for offer_id, head in self.heads.items():
            if len(head.mean) != len(self.signals):
                message = f"the head of {offer_id} has {len(head.mean)} weights, not {len(self.signals)} weights"
                raise ValueError(message)
        return self

    def of(self, offer_id: str, signals: Vector) -> float:
        """Returns what the offer adds for a user of these signals (D,): 0 where doubt is larger than it."""
        head = self.heads.get(offer_id)
        if head is None:
            return 0.0
        mean = float(signals @ head.gaussian.mean)
        deviation = max(float(signals @ head.gaussian.covariance @ signals), 0.0) ** 0.5
        if isnan(mean):
            # A feature is not on the record: what is no number comes to no value, and no record takes it.
            return mean
        return copysign(max(abs(mean) - self.doubt * deviation, 0.0), mean)


class LongRun(Part):
    """How far a policy listens to the value to go: `weight` times it, and `cap` of the immediate value at most."""

    #: In the catalogue the name of a file, whose content comes to stand here: the digest names what was learned too.
    file: ValueToGo
    weight: Share = 1.0
    cap: float = Field(default=DEFAULT_CAP, ge=0, le=100, description="share of an offer's immediate value")
