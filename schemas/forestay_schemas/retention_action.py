"""The contract of the `retention-actions` topic."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from forestay_schemas.types import ActionKind, FiniteFloat, Identifier, Label, Rung, Timestamp, TriggerKind

Probability = Annotated[FiniteFloat, Field(ge=0, le=1)]


class Contract(BaseModel):
    """What all output contracts share: frozen, no unknown fields, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Trigger(Contract):
    """What made the user worth a score: an event, a silence or a pattern, at these source coordinates.

    A silence and a pattern have no event; their coordinates are those of the record whose event time made
    them due. A pattern has the name of its trigger.
    """

    kind: TriggerKind
    name: Label | None = None
    event_id: Identifier | None
    topic: str
    partition: int
    offset: int


class Factor(Contract):
    """What a group of features adds to the logarithm of the odds of leaving: above 0 speaks for it, below against."""

    group: Label
    log_odds: FiniteFloat


class Curve(Contract):
    """Of 10,000 such users, how many have not returned so many hours after the score: one share for each edge."""

    hours: tuple[int, ...]
    shares: tuple[int, ...]


class Churn(Contract):
    """The probability that the user does not order within the horizon, and where it came from.

    The factors of a model that tells them sum to log(p / (1 - p)), but for rounding; one named `base` is everybody's.
    """

    probability: Probability
    horizon_days: int
    model: str
    version: str
    rung: Rung
    factors: tuple[Factor, ...] = ()
    survival: Curve | None = None


class PolicyStamp(Contract):
    """Which policy chose, and with what probability it chose this."""

    name: str
    version: str
    propensity: Probability


class Reason(Contract):
    """Why: a code for machines and a sentence for people."""

    code: str
    text: str


class ExperimentArm(Contract):
    """The experiment and the arm the user is in."""

    name: str
    arm: str


class RetentionAction(Contract):
    """One thing to do for one user, at once. The same `action_id` is the same action: do it once."""

    action_id: Identifier
    user_id: Identifier
    decided_at: Timestamp
    expires_at: Timestamp
    kind: ActionKind
    offer_id: Identifier
    channel: Label
    payload: dict[str, JsonValue]
    cost: FiniteFloat
    reasons: list[Reason]
    trigger: Trigger
    churn: Churn
    policy: PolicyStamp
    experiment: ExperimentArm | None
    decision_id: Identifier
