"""The estimators of a policy's value, each as sums over decisions, so that a bootstrap only weighs them.

An estimate is mean(direct) + sum(weighted) / sum(norm), where w is the weight of the policy over the log's, r the
reward, q the reward model's answer for the chosen action, and DM its answer for the policy:

    ips     sum(w r) / N                            Horvitz and Thompson (1952)
    snips   sum(w r) / sum(w)                       Swaminathan and Joachims (2015)
    dm      mean(DM)
    dr      mean(DM) + sum(w (r - q)) / N           Dudik, Langford and Li (2011)
    sndr    mean(DM) + sum(w (r - q)) / sum(w)      Kallus and Uehara (2019)
    switch  dr, without the rows of w > tau         Wang, Agarwal and Dudik (2017)
    dros    dr with w shrunk to lambda w / (w^2 + lambda)   Su, Dimakopoulou, Krishnamurthy and Dudik (2020)
"""

from typing import Final, NamedTuple

import numpy as np

from forestay_training.offpolicy.log import Log, Matrix, Vector, Whole
from forestay_training.offpolicy.slope import slope

#: From the plainest to the most tuned.
NAMES: Final = ("ips", "snips", "dm", "dr", "sndr", "switch", "dros")
#: Candidates for tau and for lambda, bias falling: those of the published tables (st-tech/zr-obp, examples).
GRID: Final = (10.0, 50.0, 100.0, 500.0, 1_000.0, 5_000.0, 10_000.0, np.inf)


class Terms(NamedTuple):
    """An estimator's terms, (N,) each; `knob` is the tau or lambda chosen, None where there is none."""

    direct: Vector
    weighted: Vector
    norm: Vector
    knob: float | None = None

    @property
    def value(self) -> float:
        """Returns the estimate; nan where no decision of the policy was logged."""
        total = self.norm.sum()
        rest = self.weighted.sum() / total if total > 0 else np.nan
        return float(self.direct.mean() + rest)


def terms(log: Log, target: Matrix, answers: Matrix) -> dict[str, Terms]:
    """Returns every estimator's terms for the policy `target` (N, A), with the reward model's `answers` (N, A)."""
    weights = log.weights(target)
    none, ones = np.zeros_like(weights), np.ones_like(weights)
    direct = (target * answers).sum(axis=1)
    missed = log.reward - log.of_chosen(answers)
    return {
        "ips": Terms(none, weights * log.reward, ones),
        "snips": Terms(none, weights * log.reward, weights),
        "dm": Terms(direct, none, ones),
        "dr": Terms(direct, weights * missed, ones),
        "sndr": Terms(direct, weights * missed, weights),
        "switch": _tuned(direct, missed, [np.where(weights <= tau, weights, 0.0) for tau in GRID], log.user),
        "dros": _tuned(direct, missed, [_shrunk(weights, strength) for strength in GRID], log.user),
    }


def _tuned(direct: Vector, missed: Vector, weights: list[Vector], user: Whole) -> Terms:
    best = slope([direct + some * missed for some in weights], user)
    return Terms(direct, weights[best] * missed, np.ones_like(direct), GRID[best])


def _shrunk(weights: Vector, strength: float) -> Vector:
    # Infinity over infinity would be nan: without a limit nothing is shrunk.
    return weights if np.isinf(strength) else strength * weights / (weights**2 + strength)
