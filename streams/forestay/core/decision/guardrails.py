"""Guardrails: rules that remove offers before the policy may choose (design D11, `docs/guardrails.md`)."""

from collections.abc import Iterator, Sequence

from forestay.core.decision.catalogue import Catalogue, Offer
from forestay.core.decision.contact_rules import ContactRules
from forestay.core.decision.situation import Situation
from forestay.core.hashing import unit_interval
from forestay.core.state.contact import Contact
from forestay.core.units import HOUR
from forestay_schemas.decision import Suppressed


def in_holdout(user_id: str, catalogue: Catalogue) -> bool:
    """Says whether the user is never to be marketed to: a hash anyone can recompute from id and salt."""
    return unit_interval(catalogue.guardrails.salt, user_id) < catalogue.guardrails.holdout


def screen(
    situation: Situation, contacts: Sequence[Contact], probability: float, catalogue: Catalogue
) -> tuple[list[Offer], list[Suppressed]]:
    """Returns the offers that may be made now, and the others each with the first rule that removed it."""
    rules = ContactRules(contacts, situation.now, catalogue)
    holdout = in_holdout(situation.user_id, catalogue)
    allowed: list[Offer] = []
    suppressed: list[Suppressed] = []
    for offer in catalogue.offers:
        code = next(_broken(situation, offer, probability, rules, holdout=holdout), None)
        if code is None:
            allowed.append(offer)
        else:
            suppressed.append(Suppressed(offer_id=offer.id, kind=offer.kind, code=code))
    return allowed, suppressed


def _broken(
    situation: Situation, offer: Offer, probability: float, rules: ContactRules, *, holdout: bool
) -> Iterator[str]:
    """Yields the codes of the rules that forbid the offer, in their order."""
    if offer.marketing:
        if holdout:
            yield "holdout"
        yield from rules.codes(offer)
    yield from _not_eligible(situation, offer, probability)
    if rules.is_cooling(offer):
        yield "offer_cooldown"


def _not_eligible(situation: Situation, offer: Offer, probability: float) -> Iterator[str]:
    # A silence may be found long after it was due, when the clock of a quiet partition moves on.
    if situation.clock - situation.now >= offer.expires_after_hours * HOUR:
        yield "too_late"
    rules = offer.eligibility
    if situation.trigger.kind not in rules.triggers:
        yield "not_for_this_trigger"
    if probability < rules.min_probability:
        yield "risk_too_low"
    if situation.feature("orders_total") < rules.min_orders:
        yield "too_few_orders"
    if situation.feature("spend_total") < rules.min_spend:
        yield "too_little_spend"
    if rules.countries is not None and situation.country not in rules.countries:
        yield "other_country"
