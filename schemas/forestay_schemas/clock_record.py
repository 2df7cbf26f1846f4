"""The contract of the `forestay-clock` topic."""

from pydantic import BaseModel, ConfigDict

from forestay_schemas.types import Timestamp


class ClockRecord(BaseModel):
    """Says that event time in this partition has reached `ts`, though no user has done anything."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ts: Timestamp
