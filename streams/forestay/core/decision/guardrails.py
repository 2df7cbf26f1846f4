"""Guardrails: rules that remove offers before the policy may choose (design D11)."""

from collections.abc import Iterator, Sequence

from forestay.core.decision.catalogue import Catalogue, Offer
from forestay.core.decision.situation import Situation
from forestay.core.hashing import unit_interval
from forestay.core.state.contact import MAX_CONTACTS, Contact
from forestay.core.units import DAY, HOUR
from forestay_schemas.decision import Suppressed


def in_holdout(user_id: str, catalogue: Catalogue) -> bool:
    """Says whether the user is never to be acted upon: a hash anyone can recompute from id and salt."""
    return unit_interval(catalogue.guardrails.salt, user_id) < catalogue.guardrails.holdout


def screen(
    situation: Situation, contacts: Sequence[Contact], probability: float, catalogue: Catalogue
) -> tuple[list[Offer], list[Suppressed]]:
    """Returns the offers that may be made now, and the others each with the first rule that removed it."""
    general = next(_general(situation, contacts, catalogue), None)
    allowed: list[Offer] = []
    suppressed: list[Suppressed] = []
    for offer in catalogue.offers:
        code = general or next(_specific(situation, contacts, probability, offer), None)
        if code is None:
            allowed.append(offer)
        else:
            suppressed.append(Suppressed(offer_id=offer.id, kind=offer.kind, code=code))
    return allowed, suppressed


def _general(situation: Situation, contacts: Sequence[Contact], catalogue: Catalogue) -> Iterator[str]:
    """Yields the codes of the rules that forbid every offer."""
    rules = catalogue.guardrails
    if in_holdout(situation.user_id, catalogue):
        yield "holdout"
    if contacts and situation.now - contacts[-1].ts < rules.cooldown_days * DAY:
        yield "cooldown"
    if rules.cap_contacts is not None:
        since = situation.now - rules.cap_days * DAY
        if sum(contact.ts > since for contact in contacts) >= rules.cap_contacts:
            yield "frequency_cap"


def _specific(situation: Situation, contacts: Sequence[Contact], probability: float, offer: Offer) -> Iterator[str]:
    """Yields the codes of the rules that forbid this offer."""
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
    earliest = situation.now - offer.cooldown_days * DAY
    if any(contact.offer_id == offer.id and contact.ts > earliest for contact in contacts):
        yield "offer_cooldown"
    # A full memory cannot vouch for what lies before its oldest contact.
    if len(contacts) == MAX_CONTACTS and contacts[0].ts > earliest:
        yield "offer_cooldown"
