"""The effect of each arm on one metric."""

from forestay.core.experiments.settings import Experiment
from forestay_training.experiments.always_valid import half_width
from forestay_training.experiments.estimates import Estimate, estimate, predicted, samples
from forestay_training.experiments.metrics import Measured


def effects(known: Measured, experiment: Experiment, alpha: float, *, sharpen: bool = True) -> dict[str, Estimate]:
    """Returns the effect of each arm but the control, with intervals of 1 - alpha; `sharpen`: by the covariates."""
    # A ratio's numerator and denominator would each need a prediction: its variance is left as it is.
    covariate = predicted(known.value, known.covariates) if sharpen and known.base is None else None
    control, *others = (
        samples(known.arms, known.value, known.base, covariate, number) for number in range(len(experiment.arms))
    )
    return {arm.id: estimate(control, other, alpha) for arm, other in zip(experiment.arms[1:], others, strict=True)}


def always_valid(found: Estimate, users: int, experiment: Experiment) -> tuple[float, float]:
    """Returns the interval of an effect that may be looked at at any time, from `users` of both arms."""
    plan = experiment.plan
    half = half_width(found.standard_error, users, plan.alpha, plan.users) if found.standard_error > 0 else 0.0
    return found.effect - half, found.effect + half
