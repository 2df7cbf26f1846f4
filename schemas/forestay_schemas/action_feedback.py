"""The contract of the `action-feedback` topic."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from forestay_schemas.types import Identifier, Timestamp


class FeedbackKind(StrEnum):
    """What became of an action. The order is part of the state record: append only."""

    DELIVERED = "delivered"
    OPENED = "opened"
    CLICKED = "clicked"
    REDEEMED = "redeemed"
    DISMISSED = "dismissed"
    COMPLAINED = "complained"
    FAILED = "failed"


class ActionFeedback(BaseModel):
    """What became of an action, as whoever carried it out tells; the same kind twice counts once.

    Unknown fields are passed over.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    action_id: Identifier
    user_id: Identifier
    ts: Timestamp
    kind: FeedbackKind
