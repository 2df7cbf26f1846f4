"""What is measured of a user, and when it is ripe to be."""

from typing import Final, NamedTuple

import numpy as np

from forestay_training.experiments.arrays import Floats, Integers, Mask
from forestay_training.experiments.estimates import winsorised
from forestay_training.experiments.exposures import Exposures


class Metric(NamedTuple):
    """A mean over users, or a ratio of two; `horizons` after the exposure it is known.

    What depends on an action's own outcome is known two horizons after: the last action within the first horizon is
    itself awaited for one. `rises` is 1 if more is better, -1 if less is.
    """

    name: str
    title: str
    horizons: int
    rises: int
    #: Money has users who spend a thousandfold: all above the quantile of 99.9 % are set to it.
    winsorised: bool = False


#: One of these is the primary metric, by the experiment's plan; the others are secondary.
METRICS: Final = (
    Metric("ordered", "users who ordered", 1, 1),
    Metric("returned", "users who came back", 1, 1),
    Metric("net_margin", "margin less cost, a user", 2, 1, winsorised=True),
    Metric("orders", "orders a user", 1, 1),
    Metric("revenue", "revenue a user", 1, 1, winsorised=True),
    Metric("basket", "revenue an order", 1, 1),
)
GUARDRAILS: Final = (
    Metric("complaints", "complaints a user", 2, -1),
    Metric("contacts", "contacts a user", 1, -1),
    Metric("cost", "cost of actions, a user", 2, -1),
)
BY_NAME: Final = {metric.name: metric for metric in (*METRICS, *GUARDRAILS)}


class Measured(NamedTuple):
    """A metric of the users for whom it is known: one entry a user in each array, `base` for a ratio.

    `missing` counts, by arm, users for whom it should be known and is not.
    """

    arms: Integers
    exposed_at: Integers
    value: Floats
    base: Floats | None
    covariates: Floats
    missing: tuple[int, ...]


def measured(exposures: Exposures, metric: Metric, as_of: int) -> Measured:
    """Returns the metric of all users exposed long enough before `as_of` (ms), by the calendar alone.

    A user who came back early has an early outcome, one who did not has it when the horizon ends: to take who has
    one would take returners first.
    """
    ripe = ripe_at(exposures, metric, as_of)
    value, base = _columns(exposures, metric)
    known = ripe & np.isfinite(value)
    gone = exposures.arms[ripe & ~known]
    taken = value[known]
    return Measured(
        arms=exposures.arms[known],
        exposed_at=exposures.exposed_at[known],
        value=winsorised(taken) if metric.winsorised else taken,
        base=None if base is None else base[known],
        covariates=exposures.covariates[known],
        missing=tuple(int(np.sum(gone == arm)) for arm in range(exposures.arm_count)),
    )


def ripe_at(exposures: Exposures, metric: Metric, as_of: int) -> Mask:
    """Returns which users were exposed long enough before `as_of` (ms)."""
    return exposures.exposed_at + metric.horizons * exposures.horizon <= as_of


def _columns(exposures: Exposures, metric: Metric) -> tuple[Floats, Floats | None]:
    columns = exposures.columns
    if metric.name == "net_margin":
        return columns["margin"] - columns["cost"], None
    if metric.name == "ordered":
        return np.minimum(columns["orders"], 1.0), None
    if metric.name == "basket":
        return columns["revenue"], columns["orders"]
    return columns[metric.name], None
