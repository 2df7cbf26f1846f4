"""What reward to expect of each action in each situation, from users other than the one asked about.

Cross-fitted: the users are dealt into folds, and a fold is answered by a model of the others (Chernozhukov et al.,
2018; for this use Narita, Yasui and Yata, 2020). So DR needs nothing of the model but that it is one.
"""

import warnings
from collections.abc import Callable
from typing import Any, Final, Literal

import numpy as np
from sklearn.base import is_classifier
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from forestay.core.errors import ForestayError
from forestay_training.offpolicy.log import Log, Matrix, Vector, Whole
from forestay_training.scaling import signed_log

Kind = Literal["linear", "trees"]
#: What makes an unfitted model of scikit-learn's interface.
Maker = Callable[[], Any]
FOLDS: Final = 5
_ROUNDS: Final = 100


def cross_fitted(log: Log, make: Maker, fold: Whole) -> Matrix:
    """Returns the expected reward (N, A) of every action; `fold` (N,) says which rows are answered together.

    Raises:
        ForestayError: all rows are of one fold, so that no others can answer it.
    """
    if (fold == fold[0]).all():
        raise ForestayError(
            f"all {len(fold):,} decisions with an outcome are of one user: nothing can be said of others by them"
        )
    answers = np.zeros((len(log.reward), len(log.actions)))
    for number in range(int(fold.max()) + 1):
        asked = fold == number
        if asked.any():
            answers[asked] = _answer(_fit(log, make, ~asked), log.context[asked], len(log.actions))
    return answers


def folds_by_user(user: Whole, seed: int, folds: int = FOLDS) -> Whole:
    """Returns each row's fold: users are dealt out evenly, and all rows of a user lie in one."""
    dealt = np.random.default_rng(seed).permutation(int(user.max()) + 1) % folds
    return np.asarray(dealt[user], dtype=np.int64)


def maker(kind: Kind, *, binary: bool) -> Maker:
    """Returns what makes the model: of probabilities where every reward is 0 or 1, of means elsewhere."""
    if kind == "linear":
        return lambda: make_pipeline(
            FunctionTransformer(signed_log),
            StandardScaler(),
            LogisticRegression(max_iter=3_000) if binary else Ridge(),
        )
    return lambda: _trees(binary=binary)


def _trees(*, binary: bool) -> Any:
    # A second to load, and only for who asks for trees.
    from lightgbm import LGBMClassifier, LGBMRegressor  # noqa: PLC0415 - see above

    settings: dict[str, Any] = {
        "n_estimators": _ROUNDS, "learning_rate": 0.05, "num_leaves": 15, "min_child_samples": 50, "n_jobs": 1,
        "random_state": 0, "deterministic": True, "force_row_wise": True, "verbosity": -1,
    }  # fmt: skip
    return (LGBMClassifier if binary else LGBMRegressor)(**settings)


def _fit(log: Log, make: Maker, rows: Any) -> Any:
    table = _table(log.context[rows], log.chosen[rows], len(log.actions))
    reward = log.reward[rows]
    model = make()
    if is_classifier(model) and len(np.unique(reward)) == 1:
        # One class alone cannot be fitted; its answer is known.
        model = DummyClassifier(strategy="prior")
    return model.fit(table, reward)


def _answer(model: Any, context: Matrix, actions: int) -> Matrix:
    columns = [_expected(model, _table(context, np.full(len(context), action), actions)) for action in range(actions)]
    return np.stack(columns, axis=1)


def _expected(model: Any, table: Matrix) -> Vector:
    with warnings.catch_warnings():
        # LightGBM names the columns it was given without names, and is then warned of it.
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        if not is_classifier(model):
            return np.asarray(model.predict(table), dtype=np.float64)
        probabilities = model.predict_proba(table)
    return np.asarray(probabilities @ model.classes_, dtype=np.float64)


def _table(context: Matrix, action: Whole, actions: int) -> Matrix:
    """Returns context and action side by side: (n, D + A)."""
    return np.concatenate([context, np.eye(actions)[action]], axis=1)
