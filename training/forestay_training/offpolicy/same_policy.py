"""The A/A check: a log, asked what its own policy is worth, must say what it earned.

The propensities must be the frequencies: each action was chosen about as often as the log says it would be. And the
reward model's part of DR must vanish: what it answers for the choices made differs from what it answers for the
choices that might have been made by no more than their draw explains. IPS says exactly what was earned, as every
weight is 1; DM is as good as its model, and no proof against the log.
"""

from math import sqrt
from typing import Final, NamedTuple

import numpy as np

from forestay_training.offpolicy.estimators import terms
from forestay_training.offpolicy.intervals import Interval, bootstrap
from forestay_training.offpolicy.log import Log, Matrix

#: Errors beyond which chance is no explanation: two-sided p < 0.001, of one test.
_BEYOND: Final = 3.29
_ALPHA: Final = 0.001
#: Fewer than so many expected choices, or so many of others, are too few for a normal approximation.
_ENOUGH: Final = 5


class SamePolicy(NamedTuple):
    """What each estimator says above the log's own mean, and how far choices are from their probabilities.

    `model_z` is DR's distance from the mean, in errors that follow from the propensities alone; `propensity_z` that
    of the action chosen least as its probability says. Both are None where too little was left to chance.
    """

    above: dict[str, Interval]
    model_z: float | None
    propensity_z: float | None
    propensity_action: str | None
    propensities_hold: bool

    @property
    def failed(self) -> list[str]:
        """Returns the estimators that are off by more than chance explains."""
        dm = self.above["dm"]
        wrong = ["dm"] if abs(dm.value) > _BEYOND * dm.error else []
        return wrong + (["dr"] if self.model_z is not None and abs(self.model_z) > _BEYOND else [])

    @property
    def passed(self) -> bool:
        """Says whether the log bears itself out."""
        return self.propensities_hold and "dr" not in self.failed


def same_policy(log: Log, answers: Matrix, draws: int, seed: int) -> SamePolicy | None:
    """Returns the check; None where the log does not tell the probabilities of what was not chosen."""
    if log.logging is None:
        return None
    drawn = bootstrap(log, terms(log, log.logging, answers), draws, seed)
    above = {name: drawn.interval(name, "logged") for name in drawn.values if name != "logged"}
    return SamePolicy(above, _model(log, log.logging, answers), *_propensities(log, log.logging))


def _model(log: Log, logging: Matrix, answers: Matrix) -> float | None:
    """Tests DR against the mean, with the error of the draws: what is rare and never came shows in no bootstrap."""
    mean = (logging * answers).sum(axis=1, keepdims=True)
    variance = float((logging * (answers - mean) ** 2).sum())
    moves = (logging * (1 - logging)).max(axis=1).sum()
    if variance <= 0 or moves < _ENOUGH:
        return None
    return float((mean[:, 0] - log.of_chosen(answers)).sum()) / sqrt(variance)


def _propensities(log: Log, logging: Matrix) -> tuple[float | None, str | None, bool]:
    """Tests choices against probabilities: given all before it, each choice is drawn with its own probability."""
    expected = logging.sum(axis=0)
    variance = (logging * (1 - logging)).sum(axis=0)
    frequent = np.flatnonzero(variance >= _ENOUGH)
    if not len(frequent):
        return None, None, True
    observed = np.bincount(log.chosen, minlength=len(log.actions))
    scores = (observed - expected)[frequent] / np.sqrt(variance[frequent])
    worst = int(np.argmax(np.abs(scores)))
    # Bonferroni's correction, by the bound P(|z| > t) <= 2 exp(-t^2 / 2) of the normal tail.
    limit = sqrt(2 * np.log(2 * len(frequent) / _ALPHA))
    return float(scores[worst]), log.actions[frequent[worst]], bool(abs(scores[worst]) <= limit)
