"""The networks of an evaluation: GRU and Transformer on the steps alone, and the one that ships, taught by trees."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Final

from forestay_training.evaluation.baselines import Fit, Probabilities, Trees
from forestay_training.evaluation.contenders import Contender, finish
from forestay_training.evaluation.rows import Division
from forestay_training.fitting import Recipe, fit, predict
from forestay_training.network import Shape

Note = Callable[[str], None]

#: Rows of a batch: with more the small sets of an evaluation are too few steps (validation of all three data sets).
_BATCH: Final = 128
#: What each is: the two that read the steps alone learn from labels alone, as those they stand for do.
RECIPES: Final = {
    "gru": Recipe(shape=Shape(encoder="gru", features=False), batch=_BATCH),
    "transformer": Recipe(shape=Shape(features=False), batch=_BATCH),
    "fused": Recipe(batch=_BATCH),
}


def fit_networks(
    division: Division, trees: Trees, wanted: Collection[str], seed: int, note: Note
) -> dict[str, Contender]:
    """Fits those of the networks that are `wanted`; `fused` is taught by `trees`.

    The epoch taken is that of the lowest calibrated log-loss on the rows that calibrate: users nothing is fitted on.
    """
    found = {}
    for name, recipe in RECIPES.items():
        if name in wanted:
            teacher = trees.out_of_fold(division.train) if name == "fused" else None
            found[name] = finish(_fit(division, recipe, seed, teacher, partial(_told, note, name)), division)
    return found


def _fit(division: Division, recipe: Recipe, seed: int, teacher: Probabilities | None, note: Note) -> Fit:
    train = division.train
    judged = division.calibration.set if division.calibration.enough else None
    fitted = fit(train.set, judged, train.horizon, recipe, seed, note=note, teacher=teacher)
    setting = f"{fitted.epochs} epochs, seed {seed}"
    return Fit(lambda rows: predict(fitted.network, rows.inputs), setting, min(fitted.history, default=None))


def _told(note: Note, name: str, text: str) -> None:
    note(f"{name}: {text}")
