"""The reward function: what an outcome is worth. A changed one gets a new name; old outcomes keep their raw parts."""

from typing import Final

from forestay.core.decision.situation import decision_id
from forestay.core.rewards.pending import PendingReward
from forestay.core.units import DAY, to_datetime
from forestay_schemas.action_feedback import FeedbackKind
from forestay_schemas.outcome import DecisionOutcome, Fragments

#: Margin of all orders within the horizon, less refunds, less what the offer cost.
FUNCTION: Final = "net-margin/1"
#: Feedback kinds by their place in the contract, which is their bit in the state.
KINDS: Final = tuple(FeedbackKind)
_FAILED: Final = KINDS.index(FeedbackKind.FAILED)
_MINOR: Final = 100


def outcome(user_id: str, pending: PendingReward, horizon: int, margin: float, *, complete: bool) -> DecisionOutcome:
    """Returns what came of a decision; `horizon` in milliseconds, `margin` as a share of revenue."""
    owner = pending.owner or user_id
    fragments = _fragments(pending, margin)
    return DecisionOutcome(
        decision_id=decision_id(owner, pending.decided_at),
        user_id=owner,
        offer_id=pending.offer_id or None,
        decided_at=to_datetime(pending.decided_at),
        matured_at=to_datetime(pending.decided_at + horizon),
        horizon_days=horizon / DAY,
        function=FUNCTION,
        reward=reward(fragments),
        fragments=fragments,
        complete=complete,
    )


def reward(fragments: Fragments) -> float:
    """Returns what the fragments are worth, in the shop's currency, to a hundredth."""
    return round(fragments.margin - fragments.cost, 2)


def _fragments(pending: PendingReward, margin: float) -> Fragments:
    kept = pending.revenue - pending.refunded
    return Fragments(
        returned=pending.returned(),
        orders=pending.orders,
        revenue=pending.revenue / _MINOR,
        refunded=pending.refunded / _MINOR,
        margin=round(float(kept) * margin) / _MINOR,
        cost=0.0 if pending.told(_FAILED) else pending.cost / _MINOR,
        feedback={kind: 1 for place, kind in enumerate(KINDS) if pending.told(place)},
    )
