"""The whole experiment: choose on the validation moments, fit again on all, look at the test moments once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forestay_training import baselines
from forestay_training.baselines import Candidate, Predictor, Trees
from forestay_training.calibrate import Platt, calibrated_log_loss
from forestay_training.dataset import Origin, Rows
from forestay_training.labels import Orders
from forestay_training.network import ChurnTransformer
from forestay_training.splits import FIT_UNTIL, LAST, PUBLISHED, TEST, VALIDATE_FROM, held_out
from forestay_training.train import Note, Recipe, fit, predict

Probabilities = NDArray[np.float64]

#: The baselines that are also fitted as the published ones are: all customers, four cutoffs, no calibration.
AS_PUBLISHED: Final = {
    "logistic regression": "logistic regression, published train set",
    "LightGBM": "LightGBM, published train set",
}
NO_CALIBRATION: Final = Platt(1.0, 0.0)


@dataclass(frozen=True)
class Split:
    """The rows of each purpose.

    `fit` (earlier moments) and `train` (all moments) hold the customers that may be fitted on; `validation` holds
    the newest training moments of all customers, `calibration` those of the others. `published` is the train set
    other people's figures are made with, `live` the second test: what the worker would have asked.
    """

    fit: Rows
    validation: Rows
    train: Rows
    calibration: Rows
    published: Rows
    test: Rows
    live: Rows

    @classmethod
    def of(cls, rows: Rows) -> "Split":
        """Cuts `rows` by their moments and users (see `splits`)."""
        moments, calendar = rows.moments, rows.origins == Origin.CALENDAR
        stranger = np.array([held_out(user) for user in rows.users.tolist()], dtype=np.bool_)
        newest = (moments >= VALIDATE_FROM) & (moments <= LAST)
        return cls(
            fit=rows.where((moments <= FIT_UNTIL) & ~stranger),
            validation=rows.where(newest),
            train=rows.where((moments <= LAST) & ~stranger),
            calibration=rows.where(newest & stranger),
            published=rows.where(calendar & np.isin(moments, PUBLISHED)),
            test=rows.where(calendar & (moments == TEST)),
            live=rows.where(~calendar & (moments >= TEST)),
        )


class Judged(NamedTuple):
    """One model, finished: what was chosen, how it validated, and its calibrated answers on both tests."""

    setting: str
    validation_log_loss: float
    calibration: Platt
    test: Probabilities
    live: Probabilities


class Run(NamedTuple):
    """One seed's network."""

    seed: int
    epochs: int
    network: ChurnTransformer
    judged: Judged


def run_baselines(split: Split, orders: Orders, note: Note) -> dict[str, Judged]:
    """Fits and judges every baseline, by the protocol the network follows."""
    families: dict[str, Sequence[Candidate]] = {
        "recency only": baselines.recency(),
        "BG/NBD": baselines.beta_geometric(orders),
        "logistic regression": baselines.logistic(),
        "LightGBM": baselines.trees(),
    }
    judged = {}
    for name, candidates in families.items():
        losses = [_validation_loss(candidate, split) for candidate in candidates]
        best = candidates[int(np.argmin(losses))]
        judged[name] = _judged(best.setting, min(losses), best.fit(split.train), split)
        note(f"{name} {best.setting}".rstrip() + f": validation log-loss {min(losses):.4f}")
        if name in AS_PUBLISHED:
            predictor = best.fit(split.published)
            answers = predictor(split.test), predictor(split.live)
            judged[AS_PUBLISHED[name]] = Judged(best.setting, min(losses), NO_CALIBRATION, *answers)
    return judged


def run_network(split: Split, teacher: Trees, recipe: Recipe, seed: int, note: Note) -> Run:
    """Fits the network twice: on the earlier moments to choose the number of epochs, then on all of them."""
    early = fit(split.fit, teacher.out_of_fold(split.fit), recipe, seed, note, check=split.validation)
    loss = calibrated_log_loss(split.validation.churned, predict(early.network, split.validation.inputs))
    note(f"seed {seed}: {early.epochs} epochs; now on all training moments")
    final = fit(split.train, teacher.out_of_fold(split.train), recipe, seed, note, stop_after=early.epochs)
    judged = _judged(f"{early.epochs} epochs", loss, lambda rows: predict(final.network, rows.inputs), split)
    return Run(seed, early.epochs, final.network, judged)


def chosen_trees(judged: Judged) -> Trees:
    """Returns the setting of LightGBM that validated best: the teacher's."""
    return next(trees for trees in baselines.TREES if trees.setting == judged.setting)


def _validation_loss(candidate: Candidate, split: Split) -> float:
    return calibrated_log_loss(split.validation.churned, candidate.fit(split.fit)(split.validation))


def _judged(setting: str, loss: float, predictor: Predictor, split: Split) -> Judged:
    calibration = Platt.fit(split.calibration.churned, predictor(split.calibration))
    answers = (calibration.apply(predictor(rows)) for rows in (split.test, split.live))
    return Judged(setting, loss, calibration, *answers)
