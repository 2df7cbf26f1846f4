"""The A/A check: the same users dealt at random again and again, where nothing can be going on."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from scipy.stats import binomtest

from forestay.core.errors import ForestayError
from forestay.core.experiments.assignment import shares
from forestay.core.experiments.settings import Experiment
from forestay_training.experiments.effects import effects
from forestay_training.experiments.exposures import Exposures
from forestay_training.experiments.looks import LEAST_USERS
from forestay_training.experiments.metrics import BY_NAME, measured

#: The same log is dealt the same way.
_SEED: Final = 7


def a_a(exposures: Exposures, experiment: Experiment, deals: int, tell: Callable[[int, int], None]) -> dict[str, Any]:
    """Returns how many of `deals` random deals find a difference in the primary metric at the plan's alpha.

    It should be a share of alpha; more says that the metric is not what the test takes it for: a few users with most
    of the money, or rows that are not one a user.

    Raises:
        ForestayError: too few users have matured.
    """
    known = measured(exposures, BY_NAME[experiment.plan.primary], exposures.latest_outcome)
    if len(known.arms) < LEAST_USERS * len(experiment.arms):
        raise ForestayError(f"only {len(known.arms)} users have matured: that is too few to deal again")
    alpha = experiment.plan.alpha
    chance = np.random.default_rng(_SEED)
    found = compared = 0
    for deal in range(deals):
        arms = chance.choice(len(experiment.arms), size=len(known.arms), p=shares(experiment))
        for effect in effects(known._replace(arms=arms), experiment, alpha).values():
            compared += 1
            found += effect.p_value is not None and effect.p_value < alpha
        tell(deal + 1, deals)
    interval = binomtest(found, compared).proportion_ci(method="wilson")
    return {
        "dealt": compared,
        "found": found,
        "alpha": alpha,
        "share": found / compared,
        "interval": (float(interval.low), float(interval.high)),
    }
