"""What a model says about one user, and which model it is."""

from typing import Final, NamedTuple

from forestay.core.survival import Survival
from forestay_schemas.retention_action import Factor


class ModelIdentity(NamedTuple):
    """Which model answers, for which horizon: what decisions are stamped with."""

    name: str
    version: str
    horizon_days: int


#: Digits of an embedding: what a policy reads is what is on the record, and some 5 bytes a number are enough.
EMBEDDING_DIGITS: Final = 2


class Embedding(NamedTuple):
    """What a version of a model has made of a user: numbers that mean nothing in another version."""

    version: str
    #: To `EMBEDDING_DIGITS`.
    numbers: tuple[float, ...]


class Answer(NamedTuple):
    """A model's answer on one situation.

    `probability` is None where there is none, and the ladder's next rung stands in. `factors` are the contributions
    to its log-odds by group of features, `survival` the curve behind it; none where the model does not tell them.
    `embedding` is there where the policy asks for it and the model has one.
    """

    probability: float | None
    model: ModelIdentity
    factors: tuple[Factor, ...] = ()
    survival: Survival | None = None
    embedding: Embedding | None = None
