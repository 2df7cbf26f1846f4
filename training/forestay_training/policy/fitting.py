"""The posterior of linear heads, in closed form, from decisions on record and what came of them.

First what doing nothing brings is fitted to decisions that did nothing (ridge regression on the signals). What an
offer brought above that, and above the shop's own estimate, is then regressed on the signals, offer by offer: a
Bayesian linear regression with a Gaussian prior and known noise (Bishop, Pattern Recognition and Machine Learning,
3.49 to 3.51). That the first step is uncertain too is left out: it rests on all decisions that did nothing.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from forestay.core.decision.catalogue import Catalogue, Offer
from forestay.core.decision.policy import expected_value
from forestay.core.errors import ForestayError
from forestay.core.policy.posterior import SIGNALS, Head, Posterior
from forestay.core.policy.projection import Projection
from forestay.core.policy.signals import signals
from forestay_training.offpolicy.catalogue_policy import situation_of
from forestay_training.offpolicy.log import Matrix, Vector
from forestay_training.offpolicy.own_log import OwnLog
from forestay_training.offpolicy.records import Decided

#: Decisions that did nothing, below which what that brings cannot be told from noise.
LEAST_NOTHING: Final = 100
#: The ridge of what doing nothing brings, in decisions: it keeps signals that never vary from being weighed.
_RIDGE: Final = 1.0


class Fitted(NamedTuple):
    """The posterior, the noise of a reward (its standard deviation), and how many decisions each step rests on."""

    posterior: Posterior
    noise: float
    nothing: int
    gone: int


def fit(own: OwnLog, catalogue: Catalogue, prior_decisions: float, projection: Projection | None = None) -> Fitted:
    """Returns what the log tells of the catalogue's offers; decisions with offers it has not are counted as `gone`.

    The shop's estimate counts as `prior_decisions` decisions: each weight's prior variance is the noise's over it.
    With a `projection` heads look at the model's embedding too.

    Raises:
        ForestayError: too few decisions did nothing, rewards do not vary, or a feature is not on the records.
    """
    seen = np.array([signals_of(one, catalogue, projection) for one in own.decisions])
    if not np.isfinite(seen).all():
        raise ForestayError("a feature that the policy reads is not on all records: they are of another version")
    rewards = own.log.reward
    chosen = np.array([one.offer_id or "" for one in own.decisions])
    idle = chosen == ""
    if idle.sum() < LEAST_NOTHING:
        raise ForestayError(
            f"{idle.sum():,} decisions with a choice did nothing; it takes {LEAST_NOTHING} to tell what that brings:"
            " explore more, or give more of the log"
        )
    weights = np.linalg.solve(_gram(seen[idle], _RIDGE), seen[idle].T @ rewards[idle])
    above = rewards - seen @ weights
    noise = float(np.sqrt(np.mean(above[idle] ** 2)))
    if noise == 0:
        raise ForestayError(
            "no reward of a decision that did nothing differs from what is expected: nothing to learn"
        )
    heads = {}
    for offer in catalogue.offers:
        rows = np.flatnonzero(chosen == offer.id)
        if len(rows):
            missed = above[rows] - _estimates([own.decisions[row] for row in rows.tolist()], offer, catalogue)
            heads[offer.id] = _head(seen[rows], missed, noise, prior_decisions)
    used = sum(head.decisions for head in heads.values())
    posterior = Posterior(
        signals=SIGNALS + (() if projection is None else projection.names),
        function=own.function,
        decisions=int(idle.sum()) + used,
        prior_deviation=noise / prior_decisions**0.5,
        heads=heads,
        projection=projection,
    )
    return Fitted(posterior, noise, int(idle.sum()), len(chosen) - int(idle.sum()) - used)


def _head(seen: Matrix, missed: Vector, noise: float, prior_decisions: float) -> Head:
    inverse = np.linalg.inv(_gram(seen, prior_decisions))
    inverse = (inverse + inverse.T) / 2
    mean = inverse @ (seen.T @ missed)
    return Head(
        decisions=len(seen),
        mean=tuple(mean.tolist()),
        covariance=tuple(tuple(row) for row in (noise**2 * inverse).tolist()),
    )


def _gram(seen: Matrix, ridge: float) -> Matrix:
    return np.asarray(seen.T @ seen + ridge * np.eye(seen.shape[1]))


def _estimates(decisions: Sequence[Decided], offer: Offer, catalogue: Catalogue) -> Vector:
    """Returns what the shop's own estimate expected of the offer (N,)."""
    return np.array([expected_value(offer, situation_of(one), one.churn.probability, catalogue) for one in decisions])


def signals_of(decision: Decided, catalogue: Catalogue, projection: Projection | None = None) -> Vector:
    """Returns the signals (D,) of a decision on record."""
    return signals(situation_of(decision), decision.churn.probability, catalogue, projection)
