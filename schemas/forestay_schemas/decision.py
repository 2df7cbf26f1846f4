"""The contract of the `retention-decisions` topic."""

from pydantic import Field

from forestay_schemas.retention_action import Churn, Contract, PolicyStamp, Probability, Reason, Trigger
from forestay_schemas.types import ActionKind, FiniteFloat, GroupedBy, Identifier, Label, Timestamp

#: Numbers of an embedding, at most.
MAX_EMBEDDING = 256


class Candidate(Contract):
    """An offer the policy could have chosen, after the guardrails; `offer_id` null is 'do nothing'.

    `value_to_go` is what of the expected value is advice on the time after the horizon of rewards; `parity_price` has
    been taken off it for the user's group.
    """

    offer_id: Identifier | None
    kind: ActionKind | None
    expected_value: FiniteFloat
    propensity: Probability
    #: Left out where there is none.
    value_to_go: FiniteFloat = Field(default=0.0, exclude_if=lambda added: not added)
    parity_price: FiniteFloat = Field(default=0.0, exclude_if=lambda price: not price)


class Suppressed(Contract):
    """An offer a guardrail removed before the policy chose, and by which rule."""

    offer_id: Identifier
    kind: ActionKind
    code: str


class ParityGroup(Contract):
    """The group by which candidates bear a price of parity, and what told it."""

    by: GroupedBy
    group: Label


class Trial(Contract):
    """An experiment the decision was made under: the user's arm, and the offer under every arm, null for none.

    Arms under which the offers are all the same did not matter to this decision.
    """

    experiment: Identifier
    arm: Identifier
    would: dict[Identifier, Identifier | None]


class BudgetDraw(Contract):
    """What the action takes of a budget: hundredths of the currency, or points, of one period and arm.

    `price` is what a unit was counted as when it was weighed, 1 or more. `ends` is when the period is over. What is
    taken is held until `held_until`, then it comes back unless the action was redeemed; null: it is spent at once.
    """

    budget: Identifier
    period: Label
    arm: Identifier | None
    amount: int = Field(ge=0)
    price: FiniteFloat = Field(ge=1)
    ends: Timestamp
    held_until: Timestamp | None


class Decision(Contract):
    """One scored decision, acted on or not. With the candidates' propensities it can be judged off-line.

    `features` holds the values the policy used, `feature_hash` names the model's whole input. `kind` and `channel`
    are those of the offer chosen, and `marketing` says whether it counts in caps; null and false without an offer.
    With `held_until` the action waits for the end of quiet hours; a decision of the kind `release` then tells, in
    `releases`, which decision's action goes out, or why it does not. `timezone` is the zone in which quiet hours were
    judged.
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
    #: Left out where there are none: a shop without experiments has the records it had.
    experiments: tuple[Trial, ...] = Field(default=(), exclude_if=lambda trials: not trials)
    kind: ActionKind | None = None
    channel: Label | None = None
    marketing: bool = False
    budgets: tuple[BudgetDraw, ...] = ()
    #: What a recommendation shows, the best first; left out where nothing is filled in.
    items: tuple[Identifier, ...] = Field(default=(), exclude_if=lambda items: not items)
    #: What filled the list `next`: itself, or `popular` where there was no embedding to go by; left out of others.
    items_by: Label | None = Field(default=None, exclude_if=lambda listed: listed is None)
    #: What the model's version made of the user; left out unless the catalogue asks for it.
    embedding: tuple[FiniteFloat, ...] = Field(default=(), max_length=MAX_EMBEDDING, exclude_if=lambda some: not some)
    #: Left out where the policy has no prices of parity.
    parity: ParityGroup | None = Field(default=None, exclude_if=lambda group: group is None)
    held_until: Timestamp | None = None
    releases: Identifier | None = None
    timezone: Label | None = None
