"""What each group of features is worth: how much worse a model gets when the group tells of somebody else.

Permutation importance (Breiman, 2001) by group, since features of one group stand in for each other. Values are
exchanged among rows of one cutoff, so that no season moves with them, on users nothing was fitted on.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forestay.core.decision.model_input import ModelInput
from forestay.core.feature_set import FEATURE_NAMES
from forestay.history.point_in_time import Tell
from forestay_training.evaluation.baselines import Fit, Predictor, Trees
from forestay_training.evaluation.bootstrap import Comparison
from forestay_training.evaluation.contenders import Contender, finish
from forestay_training.evaluation.metrics import measure
from forestay_training.evaluation.rows import Division, Rows
from forestay_training.groups import STEPS, group_of

_ASKED: Final = ("lightgbm", "fused")
_SEED: Final = 0
_REPEATS: Final = 5
_DIGITS: Final = 5


class Worth(NamedTuple):
    """Of a group: how much the log-loss rises and the AUC falls without it, means over the repeats."""

    group: str
    features: int
    log_loss: float
    auc: float


def importance(
    predict: Predictor, rows: Rows, groups: Mapping[str, Sequence[int]], done: Callable[[int], None]
) -> list[Worth]:
    """Returns the worth of each group of feature columns, and of the steps, the most worth first."""
    generator = np.random.default_rng(_SEED)
    before = measure(rows.churned, predict(rows))
    found = []
    for number, (name, columns) in enumerate({**groups, STEPS: ()}.items(), start=1):
        changes = []
        for _ in range(_REPEATS):
            after = measure(rows.churned, predict(_exchanged(rows, columns, _shuffle(rows.moments, generator))))
            changes.append((after["log_loss"] - before["log_loss"], before["auc"] - after["auc"]))
        loss, area = np.mean(changes, axis=0)
        found.append(Worth(name, len(columns), round(float(loss), _DIGITS), round(float(area), _DIGITS)))
        done(number)
    return sorted(found, key=lambda worth: -worth.log_loss)


def feature_groups(rows: Rows) -> dict[str, list[int]]:
    """Returns by group the numbers of those features that vary in `rows`."""
    varying = np.flatnonzero(np.ptp(rows.features, axis=0) > 0).tolist()
    found: dict[str, list[int]] = {}
    for number in varying:
        found.setdefault(group_of(FEATURE_NAMES[number]), []).append(number)
    return found


def report(
    division: Division, contenders: Mapping[str, Contender], trees: Trees | None, draws: int, tell: Tell
) -> dict[str, Any]:
    """Returns the worth of all groups to LightGBM and the fused model, and what a selection by it does."""
    rows = division.calibration if division.calibration.enough else division.test
    groups = feature_groups(division.test if not len(division.train) else division.train)
    found = {}
    for name in (name for name in _ASKED if name in contenders):
        done = _counting(tell, f"features without which {name} gets worse", len(groups) + 1)
        found[name] = importance(contenders[name].predict, rows, groups, done)
    selected = None
    # A choice by the rows it is then judged on would be none.
    if trees is not None and "lightgbm" in found and division.calibration.enough:
        selected = selection(division, trees, contenders["lightgbm"], found["lightgbm"], groups, draws=draws)
    return {
        "rows": len(rows),
        "groups": {name: [worth._asdict() for worth in worths] for name, worths in found.items()},
        "selection": selected,
    }


def selection(
    division: Division, trees: Trees, whole: Contender, worths: Sequence[Worth],
    groups: Mapping[str, Sequence[int]], *, draws: int,
) -> dict[str, Any]:  # fmt: skip
    """Returns what becomes of LightGBM without the groups that were worth nothing: on the test rows, as intervals.

    The choice is made on the rows that calibrate, by `worths`.
    """
    dropped = sorted(worth.group for worth in worths if worth.log_loss <= 0 and worth.group != STEPS)
    kept = np.array(sorted({column for name in groups if name not in dropped for column in groups[name]}))
    if not dropped or not len(kept):
        return {"dropped": [], "features": len(kept)}
    chosen = finish(Fit(trees.fit(division.train, kept)), division)
    test = division.test
    compared = Comparison(test.users, test.churned, {"selected": chosen.test, "all": whole.test}, draws)
    change = compared.difference("selected", "all")
    return {
        "dropped": dropped,
        "features": len(kept),
        "difference": {
            name: {"value": change[name].value, "interval": list(change[name][1:])} for name in ("auc", "log_loss")
        },
    }


def _counting(tell: Tell, stage: str, total: int) -> Callable[[int], None]:
    return lambda done: tell(stage, done, total)


def _shuffle(moments: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Returns row numbers, exchanged among rows of one moment."""
    places = np.arange(len(moments))
    for moment in np.unique(moments):
        at = np.flatnonzero(moments == moment)
        places[at] = generator.permutation(at)
    return places


def _exchanged(rows: Rows, columns: Sequence[int], places: NDArray[np.int64]) -> Rows:
    tokens, numbers, features = rows.inputs
    if len(columns):
        changed = features.copy()
        changed[:, list(columns)] = features[places][:, list(columns)]
        return rows.given(ModelInput(tokens, numbers, changed))
    return rows.given(ModelInput(tokens[places], numbers[places], features))
