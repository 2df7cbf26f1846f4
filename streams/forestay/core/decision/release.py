"""An action that waited for the end of quiet hours: kept with its user, and judged anew when they end."""

from datetime import timedelta
from typing import Any

from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.eligibility import NOTHING_TO_SHOW
from forestay.core.decision.guardrails import Screen
from forestay.core.decision.policy import expected_value
from forestay.core.decision.reasons import why_released
from forestay.core.decision.situation import Situation
from forestay.core.state.contact import Contact
from forestay.core.state.held import Held
from forestay.core.units import HOUR, to_datetime, to_milliseconds
from forestay_schemas.decision import Candidate, Decision, Suppressed
from forestay_schemas.retention_action import Churn, PolicyStamp

#: The code of an offer that has left the catalogue while its action waited.
_GONE = "no_longer_offered"


def held_of(decision: Decision, until: int) -> Held:
    """Returns what a user keeps of a decision whose action waits `until` (milliseconds): what the action is made of.

    The rest is in the log, and may be large: what it left out, what it took, what other arms would have done.
    """
    first = tuple(one.model_copy(update={"would": {}}) for one in decision.experiments[:1])
    left_out: dict[str, Any] = {
        "candidates": [],
        "suppressed": [],
        "budgets": (),
        "embedding": (),
        "experiments": first,
        "held_until": None,
    }
    bare = decision.model_copy(update=left_out)
    return Held(until, decision.decision_id, bare.model_dump_json().encode())


def chosen_then(held: Held) -> Decision:
    """Returns the decision whose action waits, without its candidates."""
    return Decision.model_validate_json(held.decision)


def release(  # noqa: PLR0917 - as `decide`, and what waited
    situation: Situation, held: Held, contacts: list[Contact], churn: Churn, catalogue: Catalogue, digest: str
) -> Decision:
    """Returns the decision on an action that has waited: it goes out, or waits again, or is dropped for a reason.

    Every guardrail is asked anew, as of now, but for the trigger, which was what it was. Its id is the action's own.
    """
    chosen = chosen_then(held)
    screen = Screen(situation, contacts, churn.probability, catalogue)
    offer = catalogue.offer(chosen.offer_id)
    candidate = Candidate(offer_id=None, kind=None, expected_value=0.0, propensity=1.0)
    suppressed: list[Suppressed] = []
    until: int | None = None
    if offer is None:
        code: str | None = _GONE
    else:
        lasts = timedelta(milliseconds=round(offer.expires_after_hours * HOUR))
        code = screen.code(offer, to_milliseconds(chosen.decided_at + lasts))
        if code is None and chosen.items and catalogue.switches.items_out_of_stock.issuperset(chosen.items):
            # Whatever else there is now: what was chosen is what goes out.
            code = NOTHING_TO_SHOW
        until = screen.held_until(offer)
    if code is None and offer is not None:
        value = expected_value(offer, situation, churn.probability, catalogue)
        candidate = Candidate(offer_id=offer.id, kind=offer.kind, expected_value=value, propensity=1.0)
    elif chosen.offer_id is not None and chosen.kind is not None and code is not None:
        suppressed = [Suppressed(offer_id=chosen.offer_id, kind=chosen.kind, code=code)]
    goes = code is None and offer is not None
    return Decision(
        decision_id=situation.decision_id,
        user_id=situation.user_id,
        decided_at=to_datetime(situation.now),
        trigger=situation.trigger,
        churn=churn,
        policy=PolicyStamp(name=catalogue.policy.name, version=digest, propensity=1.0),
        holdout=screen.holdout,
        candidates=[candidate],
        suppressed=suppressed,
        offer_id=candidate.offer_id,
        action_id=chosen.action_id if goes else None,
        reasons=why_released(churn, code, waits=goes and until is not None),
        features=situation.policy_features(),
        feature_hash=situation.input_hash(),
        kind=candidate.kind,
        channel=offer.channel if goes and offer is not None else None,
        marketing=goes and offer is not None and offer.marketing,
        held_until=to_datetime(until) if goes and until is not None else None,
        releases=held.decision_id,
        timezone=None if screen.quiet is None else screen.quiet.zone,
    )
