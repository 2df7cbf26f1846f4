"""What a metric is like today, from a log: what planning an experiment needs to know."""

from typing import NamedTuple

import numpy as np

from forestay.core.errors import ForestayError
from forestay.core.units import DAY
from forestay_training.experiments.estimates import predicted
from forestay_training.experiments.exposures import Exposures
from forestay_training.experiments.looks import LEAST_USERS
from forestay_training.experiments.metrics import Metric, measured


class Baseline(NamedTuple):
    """A metric's mean and standard deviation (None for a share of users), and who would take part.

    `variance_cut` is the share of the variance that score and history foretell.
    """

    mean: float
    deviation: float | None
    variance_cut: float
    users_a_day: float | None
    horizon_days: float


def baseline(exposures: Exposures, metric: Metric) -> Baseline:
    """Returns the metric of the users of a log whose horizon is over; users a day are those first exposed a day.

    Raises:
        ForestayError: too few of them.
    """
    known = measured(exposures, metric, exposures.latest_outcome)
    if len(known.value) < LEAST_USERS:
        raise ForestayError(f"{metric.name} is known of {len(known.value)} users: plan with {LEAST_USERS} or more")
    left = known.value - predicted(known.value, known.covariates)
    variance = float(known.value.var())
    days = float(exposures.exposed_at[-1] - exposures.exposed_at[0]) / DAY
    return Baseline(
        mean=float(known.value.mean()),
        deviation=None if set(np.unique(known.value)) <= {0.0, 1.0} else variance**0.5,
        variance_cut=1 - float(left.var()) / variance if variance > 0 else 0.0,
        users_a_day=len(exposures.exposed_at) / days if days > 0 else None,
        horizon_days=metric.horizons * exposures.horizon / DAY,
    )
