"""What the Transformer has to beat, fitted on the same rows: recency, logistic regression, boosted trees, BG/NBD."""

import warnings
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import lightgbm
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from forestay.core.feature_set import FEATURE_NAMES
from forestay_training.bgnbd import BetaGeometric, History
from forestay_training.dataset import Rows
from forestay_training.labels import Orders
from forestay_training.scaling import FeatureScaler, signed_log

Probabilities = NDArray[np.float64]
Predictor = Callable[[Rows], Probabilities]

_RECENCY: Final = FEATURE_NAMES.index("hours_since_purchase")
_FOLDS: Final = 5


class Candidate(NamedTuple):
    """One setting of one baseline."""

    setting: str
    fit: Callable[[Rows], Predictor]


class Trees(NamedTuple):
    """A setting of LightGBM."""

    leaves: int
    rounds: int

    @property
    def setting(self) -> str:
        """Returns the setting in words."""
        return f"{self.leaves} leaves, {self.rounds} rounds"

    def fit(self, rows: Rows) -> Predictor:
        """Fits boosted trees to the features; the same on every run."""
        model = lightgbm.LGBMClassifier(
            num_leaves=self.leaves, n_estimators=self.rounds, learning_rate=0.03, min_child_samples=100,
            subsample=0.7, subsample_freq=1, colsample_bytree=0.5, reg_lambda=10.0,
            n_jobs=1, random_state=0, deterministic=True, force_row_wise=True, verbose=-1,
        )  # fmt: skip
        model.fit(rows.inputs.features, rows.churned)
        return lambda others: _second_column(model, others.inputs.features)

    def out_of_fold(self, rows: Rows) -> Probabilities:
        """Returns a probability for each row from trees that have not seen its user: the Transformer's teacher."""
        probabilities = np.empty(len(rows))
        folds = GroupKFold(_FOLDS, shuffle=True, random_state=0)
        for inside, outside in folds.split(rows.moments, groups=rows.users):
            chosen = np.zeros(len(rows), dtype=np.bool_)
            chosen[inside] = True
            probabilities[outside] = self.fit(rows.where(chosen))(rows.where(~chosen))
        return probabilities


#: What tuning chooses among, on the validation moments.
TREES: Final = tuple(Trees(leaves, rounds) for leaves in (7, 15) for rounds in (150, 300, 450))


def recency() -> Sequence[Candidate]:
    """Hours since the last order, alone."""
    return [Candidate("", _fit_recency)]


def logistic() -> Sequence[Candidate]:
    """Logistic regression on all features, scaled as the network scales them."""
    return [Candidate(f"C={strength}", _logistic(strength)) for strength in (0.003, 0.03, 0.3)]


def trees() -> Sequence[Candidate]:
    """LightGBM on all features."""
    return [Candidate(some.setting, some.fit) for some in TREES]


def beta_geometric(orders: Orders) -> Sequence[Candidate]:
    """BG/NBD: four parameters, order dates only, no labels."""

    def fit(rows: Rows) -> Predictor:
        return BetaGeometric.fit(History.of_all(orders, int(rows.moments.max()))).predictor(orders)

    return [Candidate("", fit)]


def _fit_recency(rows: Rows) -> Predictor:
    def column(some: Rows) -> NDArray[np.float32]:
        return signed_log(some.inputs.features[:, [_RECENCY]])

    model = LogisticRegression(C=1e6).fit(column(rows), rows.churned)
    return lambda others: _second_column(model, column(others))


def _logistic(strength: float) -> Callable[[Rows], Predictor]:
    def fit(rows: Rows) -> Predictor:
        scaler = FeatureScaler.fit(rows.inputs.features)
        model = LogisticRegression(C=strength, max_iter=3_000)
        model.fit(scaler.transform(rows.inputs.features), rows.churned)
        return lambda others: _second_column(model, scaler.transform(others.inputs.features))

    return fit


def _second_column(model: lightgbm.LGBMClassifier | LogisticRegression, table: NDArray[np.float32]) -> Probabilities:
    with warnings.catch_warnings():
        # LightGBM names the columns of a nameless table, then complains that the next one has no names.
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        return np.asarray(model.predict_proba(table), dtype=np.float64)[:, 1]
