"""The one way into all policies: the catalogue says which weighs."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from forestay.core.decision import policy
from forestay.core.decision.catalogue import Catalogue, Offer, PolicyKind
from forestay.core.decision.situation import Situation
from forestay.core.policy import by_rules, linear_thompson
from forestay.core.policy.signals import signals
from forestay.core.policy.terms import Terms
from forestay_schemas.decision import Candidate
from forestay_schemas.types import Rung


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
    advice = catalogue.policy.value_to_go
    if advice is None:
        return Terms(surcharges)
    told = signals(situation, probability, catalogue)
    added = {offer.id: advice.weight * advice.file.of(offer.id, told) for offer in offers}
    return Terms(surcharges, added, advice.cap)


def rules_decide(catalogue: Catalogue, rung: Rung) -> bool:
    """Says whether the shop's rules decide: they are the policy, or its floor where no model answered."""
    settings = catalogue.policy
    return settings.kind is PolicyKind.RULES or (bool(settings.rules) and rung is Rung.RULE)
