"""The one way into all policies: the catalogue says which weighs."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from forestay.core.decision import policy
from forestay.core.decision.catalogue import Catalogue, Offer, PolicyKind
from forestay.core.decision.situation import Situation
from forestay.core.policy import by_rules, linear_thompson
from forestay.core.policy.parity import OTHERS
from forestay.core.policy.signals import signals
from forestay.core.policy.terms import Terms
from forestay_schemas.decision import Candidate
from forestay_schemas.types import GroupedBy, Rung


def weigh(  # noqa: PLR0917 - the whole of what a policy may know
    offers: Sequence[Offer],
    situation: Situation,
    probability: float,
    catalogue: Catalogue,
    surcharges: Mapping[str, float] = MappingProxyType({}),
    rung: Rung = Rung.MODEL,
) -> list[Candidate]:
    """Returns every candidate with its value and propensity, 'do nothing' first; propensities sum to 1.

    `surcharges`, by offer, are what its budgets are scarce by: they lessen its value. `rung` tells where
    `probability` comes from.
    """
    if rules_decide(catalogue, rung):
        # Values do not choose there, so nothing but scarcity is told with them.
        return by_rules.weigh(offers, situation, probability, catalogue, Terms(surcharges))
    terms = _terms(offers, situation, probability, catalogue, surcharges)
    posterior = catalogue.policy.posterior
    if catalogue.policy.kind is PolicyKind.LINEAR_THOMPSON and posterior is not None:
        return linear_thompson.weigh(offers, situation, probability, catalogue, posterior, terms=terms)
    return policy.weigh(offers, situation, probability, catalogue, terms)


def _terms(
    offers: Sequence[Offer],
    situation: Situation,
    probability: float,
    catalogue: Catalogue,
    surcharges: Mapping[str, float],
) -> Terms:
    advice, prices = catalogue.policy.value_to_go, catalogue.policy.parity
    long_run: Mapping[str, float] = MappingProxyType({})
    parity: Mapping[str, float] = MappingProxyType({})
    if advice is not None:
        told = signals(situation, probability, catalogue)
        long_run = {offer.id: advice.weight * advice.file.of(offer.id, told) for offer in offers}
    if prices is not None:
        group, basket = parity_group(prices.by, situation, catalogue), situation.feature("average_basket")
        parity = {
            offer.id: prices.of(group, policy.cost(offer, basket), basket) for offer in offers if offer.marketing
        }
    return Terms(surcharges, long_run, 0.0 if advice is None else advice.cap, parity)


def parity_group(by: GroupedBy, situation: Situation, catalogue: Catalogue) -> str:
    """Returns the group of the user that prices of parity go by."""
    told = situation.country if by is GroupedBy.COUNTRY else catalogue.tier(situation.feature("spend_total"))
    return told or OTHERS


def rules_decide(catalogue: Catalogue, rung: Rung) -> bool:
    """Says whether the shop's rules decide: they are the policy, or its floor where no model answered."""
    settings = catalogue.policy
    return settings.kind is PolicyKind.RULES or (bool(settings.rules) and rung is Rung.RULE)
