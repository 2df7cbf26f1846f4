"""The effect of an arm on a metric: Welch's test, sharpened by what was known before (tea-tasting does the sums).

CUPED (Deng, Xu, Kohavi and Walker, WSDM 2013) takes out of a metric what a covariate from before the exposure
foretells of it. With several covariates their least-squares prediction of the metric, blind to the arms, is the one
covariate (CUPAC). A ratio of means gets its variance by the delta method (Deng, Knoblich and Lu, KDD 2018).
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import norm
from tea_tasting.aggr import Aggregates
from tea_tasting.metrics import RatioOfMeans

from forestay_training.experiments.arrays import Floats, Integers

_VALUE, _BASE, _COVARIATE = "value", "base", "covariate"


class Sample(NamedTuple):
    """A metric of the users of one arm: values, what they are divided by if it is a ratio, and a covariate."""

    value: Floats
    base: Floats | None = None
    covariate: Floats | None = None


class Estimate(NamedTuple):
    """An arm beside the control. Intervals and p-value are None where nothing varies, `relative` where a mean is 0.

    `variance_cut` is the share of the effect's variance that the covariate takes away.
    """

    control: float
    treatment: float
    effect: float
    interval: tuple[float, float] | None
    relative: float | None
    relative_interval: tuple[float, float] | None
    p_value: float | None
    standard_error: float
    variance_cut: float


def estimate(control: Sample, treatment: Sample, alpha: float) -> Estimate:
    """Returns the effect with intervals of 1 - alpha, each arm of two users or more."""
    ratio, covariate = control.base is not None, control.covariate is not None
    metric = _metric(alpha, ratio=ratio, covariate=covariate)
    ours, theirs = _aggregates(control), _aggregates(treatment)
    if not _varies(control) and not _varies(treatment):
        means = _mean(control), _mean(treatment)
        return Estimate(*means, means[1] - means[0], None, None, None, None, 0.0, 0.0)
    # A mean of 0 has no logarithm, which the library takes for the relative interval: it is left out below.
    with np.errstate(invalid="ignore", divide="ignore"):
        found = metric.analyze_aggregates(ours, theirs)
    error = _error(metric, ours, theirs)
    relates = min(found.control, found.treatment) > 0
    plain = error if not covariate else _error(_metric(alpha, ratio=ratio, covariate=False), ours, theirs)
    return Estimate(
        control=found.control,
        treatment=found.treatment,
        effect=found.effect_size,
        interval=(found.effect_size_ci_lower, found.effect_size_ci_upper),
        relative=found.rel_effect_size if relates else None,
        relative_interval=(found.rel_effect_size_ci_lower, found.rel_effect_size_ci_upper) if relates else None,
        p_value=found.pvalue,
        standard_error=error,
        variance_cut=1 - (error / plain) ** 2,
    )


def predicted(metric: Floats, covariates: Floats) -> Floats:
    """Returns the least-squares prediction of a metric from covariates, one row a user, blind to the arms.

    The covariates are winsorised, each for itself, lest a few users bend the fit.
    """
    columns = (winsorised(column) for column in np.transpose(covariates))
    design = np.column_stack([np.ones(len(metric)), *columns])
    fitted, *_ = np.linalg.lstsq(design, metric, rcond=None)
    return np.asarray(design @ fitted, dtype=np.float64)


def winsorised(metric: Floats, share: float = 0.999) -> Floats:
    """Returns the metric with everything above its quantile at `share`, over all arms, set to it."""
    return np.minimum(metric, np.quantile(metric, share)) if len(metric) else metric


def samples(arms: Integers, metric: Floats, base: Floats | None, covariate: Floats | None, arm: int) -> Sample:
    """Returns what is known of the users of one arm."""
    mine = arms == arm
    return Sample(metric[mine], None if base is None else base[mine], None if covariate is None else covariate[mine])


def _varies(sample: Sample) -> bool:
    return any(column is not None and np.ptp(column) > 0 for column in (sample.value, sample.base))


def _mean(sample: Sample) -> float:
    return float(sample.value.mean() / (1.0 if sample.base is None else sample.base.mean() or np.nan))


def _metric(alpha: float, *, ratio: bool, covariate: bool) -> RatioOfMeans:
    return RatioOfMeans(
        numer=_VALUE,
        denom=_BASE if ratio else None,
        numer_covariate=_COVARIATE if covariate else None,
        confidence_level=1 - alpha,
        alternative="two-sided",
        equal_var=False,
        use_t=True,
    )


def _aggregates(sample: Sample) -> Aggregates:
    named = {_VALUE: sample.value, _BASE: sample.base, _COVARIATE: sample.covariate}
    columns = {name: column for name, column in named.items() if column is not None}
    matrix = np.atleast_2d(np.cov(np.vstack(list(columns.values()))))
    names = list(columns)
    return Aggregates(
        count_=len(sample.value),
        mean_={name: float(column.mean()) for name, column in columns.items()},
        var_={name: float(matrix[row, row]) for row, name in enumerate(names)},
        cov_={
            (first, second): float(matrix[row, column])
            for row, first in enumerate(names)
            for column, second in enumerate(names)
            if row < column
        },
    )


def _error(metric: RatioOfMeans, control: Aggregates, treatment: Aggregates) -> float:
    """Returns the standard error of the effect: the half-width of an interval of the normal distribution, undone."""
    by_normal = RatioOfMeans(
        metric.numer, metric.denom, metric.numer_covariate, confidence_level=0.5, equal_var=False, use_t=False
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        found = by_normal.analyze_aggregates(control, treatment)
    return float((found.effect_size_ci_upper - found.effect_size) / norm.ppf(0.75))
