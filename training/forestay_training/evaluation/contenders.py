"""The models of an evaluation: each fitted by one protocol, calibrated on users it was not fitted on."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from forestay_training.calibrate import Platt, logit
from forestay_training.evaluation import baselines
from forestay_training.evaluation.baselines import Fit, Predictor, Trees
from forestay_training.evaluation.rows import Division, Rows
from forestay_training.evaluation.survey import Survey

Probabilities = NDArray[np.float64]
Note = Callable[[str], None]


class Contender(NamedTuple):
    """One finished model: its setting, and its calibrated answers on the rows that calibrate and on the test rows.

    `predict` gives calibrated answers on any rows.
    """

    setting: str
    chosen_by: float | None
    calibration: Platt | None
    test: Probabilities
    predict: Predictor


def finish(fit: Fit, division: Division) -> Contender:
    """Calibrates a fitted model and asks it about the test rows."""
    calibration = platt(division.calibration, fit.predict)

    def predict(rows: Rows) -> Probabilities:
        answers = fit.predict(rows)
        return answers if calibration is None else calibration.apply(answers)

    return Contender(fit.setting, fit.chosen_by, calibration, predict(division.test), predict)


def platt(rows: Rows, predict: Predictor) -> Platt | None:
    """Returns Platt's calibration on `rows`, None where they are too few to move what is there."""
    return Platt.fit(rows.churned, predict(rows)) if rows.enough else None


def fit_baselines(division: Division, survey: Survey, wanted: frozenset[str], note: Note) -> dict[str, Contender]:
    """Fits those of the baselines that are `wanted`, but LightGBM."""
    train = division.train
    families: dict[str, Callable[[], Fit]] = {
        "recency": lambda: baselines.recency(train),
        "bg_nbd": lambda: baselines.beta_geometric(train, survey),
        "logistic": lambda: baselines.logistic(train),
    }
    found = {}
    for name, fit in families.items():
        if name in wanted:
            note(f"fitting {name}")
            found[name] = finish(fit(), division)
    return found


def fit_trees(division: Division, note: Note) -> tuple[Contender, Trees]:
    """Tunes LightGBM, fits it on all training rows, and returns its setting too."""
    note(f"tuning lightgbm, {len(baselines.TREES)} settings")
    trees, loss = baselines.tuned_trees(division.train)
    predict: Predictor = trees.fit(division.train)
    note(f"lightgbm: {trees.setting}")
    return finish(Fit(predict, trees.setting, loss), division), trees


def blend(first: Contender, second: Contender, division: Division) -> Contender:
    """Returns the mean of two models' logits, calibrated again: it is less sure than either."""

    def predict(rows: Rows) -> Probabilities:
        return _mean(first.predict(rows), second.predict(rows))

    return finish(Fit(predict, "mean of the logits of lightgbm and fused"), division)


def _mean(one: Probabilities, other: Probabilities) -> Probabilities:
    averaged: Probabilities = 1 / (1 + np.exp(-(logit(one) + logit(other)) / 2))
    return averaged
