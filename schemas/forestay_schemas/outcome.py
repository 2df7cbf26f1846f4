"""The contract of the `retention-outcomes` topic."""

from pydantic import Field

from forestay_schemas.action_feedback import FeedbackKind
from forestay_schemas.retention_action import Contract
from forestay_schemas.types import FiniteFloat, Identifier, Timestamp


class Fragments(Contract):
    """What came within the horizon, raw: another reward function can be computed from it later.

    Money is in the shop's currency. `returned` is any event of the user; orders and `revenue` are all of the user's,
    whatever led to them; `margin` is the shop's share of revenue less refunds; `cost` is that of the offer, 0 if it
    failed to be delivered; `feedback` counts the kinds told of the action.
    """

    returned: bool
    orders: int
    revenue: FiniteFloat
    refunded: FiniteFloat
    margin: FiniteFloat
    cost: FiniteFloat
    feedback: dict[FeedbackKind, int]


class DecisionOutcome(Contract):
    """What came of a decision within its horizon, also when nothing did; of several with one `decision_id`, any.

    `complete` is false where it was closed before its horizon ended, since the user was forgotten.
    """

    decision_id: Identifier
    user_id: Identifier
    offer_id: Identifier | None
    decided_at: Timestamp
    matured_at: Timestamp
    horizon_days: float = Field(gt=0)
    function: str
    reward: FiniteFloat
    fragments: Fragments
    complete: bool = True
