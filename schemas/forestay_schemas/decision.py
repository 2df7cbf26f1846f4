"""The contract of the `retention-decisions` topic."""

from pydantic import Field

from forestay_schemas.retention_action import Churn, Contract, PolicyStamp, Probability, Reason, Trigger
from forestay_schemas.types import ActionKind, FiniteFloat, Identifier, Timestamp


class Candidate(Contract):
    """An offer the policy could have chosen, after the guardrails; `offer_id` null is 'do nothing'."""

    offer_id: Identifier | None
    kind: ActionKind | None
    expected_value: FiniteFloat
    propensity: Probability


class Suppressed(Contract):
    """An offer a guardrail removed before the policy chose, and by which rule."""

    offer_id: Identifier
    kind: ActionKind
    code: str


class Decision(Contract):
    """One scored decision, acted on or not. With the candidates' propensities it can be judged off-line.

    `features` holds the values the policy used, `feature_hash` names the model's whole input.
    """

    decision_id: Identifier
    user_id: Identifier
    decided_at: Timestamp
    trigger: Trigger
    churn: Churn
    policy: PolicyStamp
    holdout: bool
    candidates: list[Candidate]
    suppressed: list[Suppressed]
    offer_id: Identifier | None
    action_id: Identifier | None
    reasons: list[Reason]
    features: dict[str, FiniteFloat]
    feature_hash: str = Field(pattern=r"^[0-9a-f]{32}$")
