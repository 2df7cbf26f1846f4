"""Boosted trees as every learner uses them: small, slow to learn, since effects are far smaller than outcomes."""

from typing import Any, Final

import lightgbm
import numpy as np

from forestay_training.uplift.campaign import Mask, Matrix, Vector

#: One set for all campaigns, tuned on none of them. Every tree has every feature: one without the arm could not tell
#: an S-learner whom it moves. One thread and fixed order: the same bytes again.
_SETTINGS: Final[dict[str, Any]] = {
    "objective": "l2",
    "learning_rate": 0.05,
    "num_leaves": 8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
_ROUNDS: Final = 100
#: Of the rows a leaf holds at least this share: a mean effect over fewer is noise.
_LEAF_SHARE: Final = 0.01
_LEAST_LEAF: Final = 20


class Trees:
    """A regression fitted to (N, F) features; squared error, so that it foretells means, of money too."""

    def __init__(self, features: Matrix, target: Vector, categorical: Mask, seed: int) -> None:
        """Fits at once; `target` is (N,), `categorical` (F,)."""
        leaf = max(_LEAST_LEAF, int(_LEAF_SHARE * len(target)))
        # A constant target, as where no one of a fold bought, has nothing to split on.
        self._constant = float(target[0]) if np.ptp(target) == 0 else None
        if self._constant is not None:
            return
        data = lightgbm.Dataset(features, target, categorical_feature=np.flatnonzero(categorical).tolist())
        self._fitted = lightgbm.train(_SETTINGS | {"seed": seed, "min_data_in_leaf": leaf}, data, _ROUNDS)

    def expect(self, features: Matrix) -> Vector:
        """Returns the expected target (N,)."""
        if self._constant is not None:
            return np.full(len(features), self._constant)
        return np.asarray(self._fitted.predict(features, num_threads=1), dtype=np.float64)
