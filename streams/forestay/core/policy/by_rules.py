"""The policy of rules: the highest priority that applies and whose offer is permitted, whatever its value.

A share `exploration` is drawn evenly among what any applying rule names, and nothing. The first rule that names no
offer ends the list: what lower ones say does not count.
"""

from collections.abc import Iterator, Sequence

from forestay.core.decision.catalogue import Catalogue, Offer
from forestay.core.decision.policy import net_values, spread
from forestay.core.decision.situation import Situation
from forestay.core.policy.rule import Rule
from forestay.core.policy.terms import Terms
from forestay_schemas.decision import Candidate


def weigh(
    offers: Sequence[Offer],
    situation: Situation,
    probability: float,
    catalogue: Catalogue,
    terms: Terms,
) -> list[Candidate]:
    """Returns every candidate with its value by the shop's estimate and its propensity, 'do nothing' first."""
    places = {offer.id: place for place, offer in enumerate(offers, start=1)}
    named = [
        places[offer_id]
        for rule in applying(situation, probability, catalogue)
        for offer_id in rule.offers
        if offer_id in places
    ]
    values = net_values(offers, situation, probability, catalogue, terms)
    in_play = sorted({0, *named})
    return spread(offers, values, in_play, named[0] if named else 0, catalogue.policy.explored(len(in_play)))


def applying(situation: Situation, probability: float, catalogue: Catalogue) -> Iterator[Rule]:
    """Yields the rules that apply, the highest priority first, of equals the earlier, until one names no offer."""
    for rule in sorted(catalogue.policy.rules, key=lambda rule: -rule.priority):
        if _applies(rule, situation, probability, catalogue):
            yield rule
            if not rule.offers:
                return


def speaking(offer_id: str | None, situation: Situation, probability: float, catalogue: Catalogue) -> str | None:
    """Returns the id of the rule that asks for this offer, or for nothing; None if none does."""
    for rule in applying(situation, probability, catalogue):
        if offer_id in rule.offers or (offer_id is None and not rule.offers):
            return rule.id
    return None


def _applies(rule: Rule, situation: Situation, probability: float, catalogue: Catalogue) -> bool:
    when = rule.when
    if situation.trigger.kind not in when.triggers:
        return False
    if when.probability is not None and not when.probability.holds(probability):
        return False
    if when.tiers is not None and catalogue.tier(situation.feature("spend_total")) not in when.tiers:
        return False
    return all(bound.holds(situation.feature(name)) for name, bound in when.features.items())
