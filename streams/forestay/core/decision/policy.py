"""The policy: of the offers the guardrails leave, the one whose expected gain most exceeds its cost.

Expected value of an offer = churn probability x effect x value at stake - cost; of doing nothing, 0. Only
offers worth more than nothing are in play (design D13). With probability `exploration` one of those in play
(nothing among them) is drawn evenly instead of the best, so every logged propensity is exact.
"""

from collections.abc import Sequence

from forestay.core.decision.catalogue import Catalogue, Offer
from forestay.core.decision.situation import Situation
from forestay.core.hashing import unit_interval
from forestay.core.policy.terms import NO_TERMS, Terms, Valued
from forestay_schemas.decision import Candidate


def expected_value(offer: Offer, situation: Situation, probability: float, catalogue: Catalogue) -> float:
    """Returns what the offer is expected to earn above its cost, in the shop's currency, rounded to 1e-6."""
    settings = catalogue.policy
    stake = situation.value_at_stake(settings.margin, settings.value_days)
    return round(probability * offer.effect * stake - cost(offer, situation.feature("average_basket")), 6)


def cost(offer: Offer, basket: float) -> float:
    """Returns what the offer costs for a user with this average basket, in the shop's currency, to a hundredth."""
    return round(offer.cost.fixed + offer.cost.basket_share * basket, 2)


def weigh(
    offers: Sequence[Offer],
    situation: Situation,
    probability: float,
    catalogue: Catalogue,
    terms: Terms = NO_TERMS,
) -> list[Candidate]:
    """Returns every candidate with its expected value and propensity, 'do nothing' first; propensities sum to 1."""
    values = net_values(offers, situation, probability, catalogue, terms)
    in_play = [index for index, one in enumerate(values) if one.value > 0 or index == 0]
    # Ties go to the earlier candidate, so the order of the catalogue is the stated priority.
    best = max(in_play, key=lambda index: (values[index].value, -index))
    return spread(offers, values, in_play, best, catalogue.policy.explored(len(in_play)))


def net_values(
    offers: Sequence[Offer],
    situation: Situation,
    probability: float,
    catalogue: Catalogue,
    terms: Terms,
) -> list[Valued]:
    """Returns what each candidate is weighed by; first doing nothing, 0."""
    return [
        Valued(0.0),
        *(terms.of(offer.id, expected_value(offer, situation, probability, catalogue)) for offer in offers),
    ]


def spread(
    offers: Sequence[Offer], values: Sequence[Valued], in_play: Sequence[int], best: int, exploration: float
) -> list[Candidate]:
    """Returns the candidates: `best` is chosen, but in a share `exploration` evenly any of `in_play` (indices)."""
    even = exploration / len(in_play)
    propensities = [0.0] * len(values)
    for index in in_play:
        propensities[index] = even
    propensities[best] = 1.0 - even * (len(in_play) - 1)
    return candidates(offers, values, propensities)


def candidates(offers: Sequence[Offer], values: Sequence[Valued], propensities: Sequence[float]) -> list[Candidate]:
    """Returns the candidates as the record has them; values and propensities begin with those of doing nothing."""
    names = [(None, None), *((offer.id, offer.kind) for offer in offers)]
    return [
        Candidate(
            offer_id=offer_id,
            kind=kind,
            expected_value=one.value,
            propensity=propensity,
            value_to_go=one.value_to_go,
            parity_price=one.parity_price,
        )
        for (offer_id, kind), one, propensity in zip(names, values, propensities, strict=True)
    ]


def draw(candidates: Sequence[Candidate], decision_id: str, salt: str) -> int:
    """Returns the index of the candidate chosen by the hash of `salt` and `decision_id`."""
    return pick(candidates, unit_interval(salt, decision_id))


def pick(candidates: Sequence[Candidate], point: float) -> int:
    """Returns the index of the candidate in whose share of [0, 1), laid end to end in their order, `point` lies."""
    reached = 0.0
    for index, candidate in enumerate(candidates):
        reached += candidate.propensity
        if point < reached:
            return index
    # Rounding may leave the sum a hair below 1: the last candidate in play takes it.
    return max(index for index, candidate in enumerate(candidates) if candidate.propensity > 0)
