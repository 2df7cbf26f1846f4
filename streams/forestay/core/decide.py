"""One decision: guardrails, policy, and the two records they leave."""

from forestay.core.catalogue import Catalogue, Offer
from forestay.core.guardrails import in_holdout, screen
from forestay.core.hashing import identifier
from forestay.core.policy import cost, draw, weigh
from forestay.core.reasons import why
from forestay.core.situation import Situation
from forestay.core.units import HOUR, to_datetime
from forestay.core.user_state import MAX_CONTACTS, Contact, UserState
from forestay_schemas.decision import Decision
from forestay_schemas.retention_action import Churn, PolicyStamp, RetentionAction


def decide(
    situation: Situation, state: UserState, churn: Churn, catalogue: Catalogue, digest: str
) -> tuple[Decision, RetentionAction | None]:
    """Returns the decision and, if it is to act, the action; changes nothing.

    `digest` is `catalogue.digest()`, computed once: it is the policy's version.
    """
    allowed, suppressed = screen(situation, state, churn.probability, catalogue)
    candidates = weigh(allowed, situation, churn.probability, catalogue)
    index = draw(candidates, situation.decision_id, catalogue.policy.salt)
    chosen = candidates[index]
    holdout = in_holdout(situation.user_id, catalogue)
    decision = Decision(
        decision_id=situation.decision_id,
        user_id=situation.user_id,
        decided_at=to_datetime(situation.now),
        trigger=situation.trigger,
        churn=churn,
        policy=PolicyStamp(name=catalogue.policy.name, version=digest, propensity=chosen.propensity),
        holdout=holdout,
        candidates=candidates,
        suppressed=suppressed,
        offer_id=chosen.offer_id,
        action_id=None if chosen.offer_id is None else identifier("action", situation.decision_id),
        reasons=why(situation, churn, chosen, holdout),
        features=situation.policy_features(),
        feature_hash=situation.input_hash(),
    )
    if index == 0:
        return decision, None
    return decision, _action(decision, allowed[index - 1], situation)


def _action(decision: Decision, offer: Offer, situation: Situation) -> RetentionAction:
    return RetentionAction(
        action_id=decision.action_id or "",
        user_id=decision.user_id,
        decided_at=decision.decided_at,
        expires_at=to_datetime(situation.now + round(offer.expires_after_hours * HOUR)),
        kind=offer.kind,
        offer_id=offer.id,
        channel=offer.channel,
        payload=offer.payload,
        cost=cost(offer, situation),
        reasons=decision.reasons,
        trigger=decision.trigger,
        churn=decision.churn,
        policy=decision.policy,
        experiment=None,
        decision_id=decision.decision_id,
    )


def remember(state: UserState, decision: Decision, decided_at: int) -> None:
    """Applies a decision, just made or found in the log, to the user's state; `decided_at` in milliseconds."""
    if decision.offer_id is not None:
        state.contacts.append(Contact(decided_at, decision.offer_id))
        if len(state.contacts) > MAX_CONTACTS:
            del state.contacts[0]
