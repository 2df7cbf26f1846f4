"""Whom an offer is for, and when there is any of it: the rules a shop writes beside the offer itself."""

from collections.abc import Iterator
from typing import Final

from forestay.core.decision.catalogue import Catalogue, Offer
from forestay.core.decision.policy import cost
from forestay.core.decision.review_risk import signals
from forestay.core.decision.situation import Situation
from forestay.core.items.offered import anything_offered, is_filled
from forestay.core.units import to_milliseconds
from forestay_schemas.types import ActionKind, TriggerKind

#: The code of a recommendation that has no item left to show.
NOTHING_TO_SHOW: Final = "nothing_to_recommend"
#: What a user under suspicion is not offered: each is worth money to who abuses it.
_WORTH_MONEY = {ActionKind.PROMOTION, ActionKind.LOYALTY}


def not_eligible(offer: Offer, situation: Situation, probability: float, catalogue: Catalogue) -> Iterator[str]:
    """Yields the codes of the offer's own rules that the user does not meet."""
    yield from _not_there(offer, situation.clock, catalogue)
    rules = offer.eligibility
    # What was chosen for a trigger and waited is not chosen anew: a release is no trigger of its own.
    if situation.trigger.kind is not TriggerKind.RELEASE and situation.trigger.kind not in rules.triggers:
        yield "not_for_this_trigger"
    if probability < rules.min_probability:
        yield "risk_too_low"
    if situation.feature("orders_total") < rules.min_orders:
        yield "too_few_orders"
    spend = situation.feature("spend_total")
    if spend < rules.min_spend:
        yield "too_little_spend"
    if rules.tiers is not None and catalogue.tier(spend) not in rules.tiers:
        yield "other_tier"
    if rules.countries is not None and situation.country not in rules.countries:
        yield "other_country"
    if rules.margin_floor is not None and _margin(offer, situation, catalogue) < rules.margin_floor:
        yield "margin_too_low"
    if _nothing_to_show(offer, situation, catalogue):
        yield NOTHING_TO_SHOW
    yield from _suspected(offer, situation, catalogue)


def _not_there(offer: Offer, now: int, catalogue: Catalogue) -> Iterator[str]:
    available = offer.available
    if available is not None:
        if available.begin is not None and now < to_milliseconds(available.begin):
            yield "not_yet_available"
        if available.until is not None and now >= to_milliseconds(available.until):
            yield "no_longer_available"
    if offer.id in catalogue.switches.out_of_stock:
        yield "out_of_stock"


def _nothing_to_show(offer: Offer, situation: Situation, catalogue: Catalogue) -> bool:
    """Says whether the offer is a list that is filled in here, and nothing fits the user."""
    return is_filled(offer) and not anything_offered(offer, situation, catalogue)


def _margin(offer: Offer, situation: Situation, catalogue: Catalogue) -> float:
    """Returns what the offer leaves of an average basket's margin, as a share of the basket; 0 without baskets."""
    basket = situation.feature("average_basket")
    return (catalogue.policy.margin * basket - cost(offer, basket)) / basket if basket > 0 else 0.0


def _suspected(offer: Offer, situation: Situation, catalogue: Catalogue) -> Iterator[str]:
    if catalogue.review_risk is None:
        return
    suspected = bool(signals(situation, catalogue.review_risk))
    if suspected and offer.kind in _WORTH_MONEY:
        yield "review_risk"
    if not suspected and offer.kind is ActionKind.REVIEW_RISK:
        yield "nothing_to_review"
