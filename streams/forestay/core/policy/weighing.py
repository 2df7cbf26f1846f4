"""The one way into all policies: the catalogue says which weighs."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from forestay.core.decision import policy
from forestay.core.decision.catalogue import Catalogue, Offer, PolicyKind
from forestay.core.decision.situation import Situation
from forestay.core.policy import linear_thompson
from forestay_schemas.decision import Candidate


def weigh(
    offers: Sequence[Offer],
    situation: Situation,
    probability: float,
    catalogue: Catalogue,
    surcharges: Mapping[str, float] = MappingProxyType({}),
) -> list[Candidate]:
    """Returns every candidate with its value and propensity, 'do nothing' first; propensities sum to 1.

    `surcharges`, by offer, are what its budgets are scarce by: they lessen its value.
    """
    posterior = catalogue.policy.posterior
    if catalogue.policy.kind is PolicyKind.EXPECTED_VALUE or posterior is None:
        return policy.weigh(offers, situation, probability, catalogue, surcharges)
    return linear_thompson.weigh(offers, situation, probability, catalogue, posterior, surcharges=surcharges)
