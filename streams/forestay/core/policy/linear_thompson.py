"""The policy that learns: the shop's estimate of each offer, corrected by a linear head, drawn as uncertainty has it.

What an offer earns above doing nothing = its expected value by the shop's estimate (`decision/policy.py`) + weights x
signals. The weights are Gaussian (`posterior.py`), so the earning is; each candidate is chosen as often as it would
be the best (Thompson, 1933), in a share `exploration` evenly among all. A new offer begins at the shop's estimate.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from forestay.core.decision.catalogue import Catalogue, Offer
from forestay.core.decision.policy import candidates, expected_value
from forestay.core.decision.situation import Situation
from forestay.core.policy.posterior import Posterior
from forestay.core.policy.signals import signals
from forestay.core.policy.terms import Terms, Valued
from forestay.core.policy.thompson import best_probabilities
from forestay_schemas.decision import Candidate

#: Digits of a propensity: what is beyond may differ from one processor to another, and replay must not.
_DIGITS: Final = 9


def weigh(
    offers: Sequence[Offer],
    situation: Situation,
    probability: float,
    catalogue: Catalogue,
    posterior: Posterior,
    *,
    terms: Terms,
) -> list[Candidate]:
    """Returns every candidate with what it is expected to earn and its propensity, 'do nothing' first."""
    told = signals(situation, probability, catalogue, posterior.projection)
    values, deviations = [Valued(0.0)], []
    for offer in offers:
        head = posterior.head(offer.id)
        value = expected_value(offer, situation, probability, catalogue) + float(told @ head.mean)
        values.append(terms.of(offer.id, value))
        deviations.append(max(float(told @ head.covariance @ told), 0.0) ** 0.5)
    means = [one.value for one in values[1:]]
    return candidates(offers, values, _propensities(means, deviations, catalogue.policy.explored(len(values))))


def _propensities(means: list[float], deviations: list[float], exploration: float) -> list[float]:
    """Returns the propensities, rounded; the largest takes what the others leave, so that they sum to 1."""
    if not means:
        return [1.0]
    best = best_probabilities(np.array(means), np.array(deviations))
    mixed = [round(one, _DIGITS) for one in ((1 - exploration) * best + exploration / len(best)).tolist()]
    largest = max(range(len(mixed)), key=lambda index: (mixed[index], -index))
    mixed[largest] = 1.0 - sum(one for index, one in enumerate(mixed) if index != largest)
    return mixed
