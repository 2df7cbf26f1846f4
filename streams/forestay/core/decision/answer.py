"""What a model says about one user, and which model it is."""

from typing import NamedTuple

from forestay.core.survival import Survival
from forestay_schemas.retention_action import Factor


class ModelIdentity(NamedTuple):
    """Which model answers, for which horizon: what decisions are stamped with."""

    name: str
    version: str
    horizon_days: int


class Answer(NamedTuple):
    """A model's answer on one situation.

    `probability` is None where there is none, and the ladder's next rung stands in. `factors` are the contributions
    to its log-odds by group of features, `survival` the curve behind it; none where the model does not tell them.
    """

    probability: float | None
    model: ModelIdentity
    factors: tuple[Factor, ...] = ()
    survival: Survival | None = None
