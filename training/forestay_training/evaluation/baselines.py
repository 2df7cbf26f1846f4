"""What a churn model has to beat, fitted on the same rows: recency, logistic regression, boosted trees, BG/NBD."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import lightgbm
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from forestay.core.feature_set import FEATURE_NAMES
from forestay.core.units import DAY
from forestay_training.calibrate import calibrated_log_loss
from forestay_training.evaluation.bgnbd import BetaGeometric, History
from forestay_training.evaluation.rows import Rows, checks, user_folds
from forestay_training.evaluation.survey import Survey
from forestay_training.scaling import FeatureScaler, signed_log

Probabilities = NDArray[np.float64]
Predictor = Callable[[Rows], Probabilities]
Columns = NDArray[np.int64] | slice

_RECENCY: Final = FEATURE_NAMES.index("hours_since_purchase")
_STRENGTHS: Final = (0.003, 0.03, 0.3)
_ROUNDS: Final = 500
#: Every so many rounds the trees so far are a setting of their own: one fit judges ten.
_STAGE: Final = 50
#: All columns, of which trees leave out by themselves what tells nothing.
ALL: Final = slice(None)


class Trees(NamedTuple):
    """A setting of LightGBM."""

    leaves: int
    rows_of_leaf: int
    share_of_features: float
    rounds: int = _ROUNDS

    @property
    def setting(self) -> str:
        """Returns the setting in words."""
        return (
            f"{self.leaves} leaves of {self.rows_of_leaf} rows or more, {self.share_of_features:.0%} of the features"
            f" a tree, {self.rounds} rounds"
        )

    def fit(self, rows: Rows, columns: Columns = ALL) -> Predictor:
        """Fits boosted trees to the `columns` of the features; the same on every run."""
        model = self._fitted(rows, columns)
        return lambda others: np.asarray(model.predict(others.features[:, columns]), dtype=np.float64)

    def stages(self, rows: Rows, others: Rows) -> Iterator[tuple["Trees", Probabilities]]:
        """Yields this setting at each stage of its rounds, with its answers on `others`."""
        model = self._fitted(rows, ALL)
        for rounds in range(_STAGE, self.rounds + 1, _STAGE):
            answers = model.predict(others.features, num_iteration=rounds)
            yield self._replace(rounds=rounds), np.asarray(answers, dtype=np.float64)

    def out_of_fold(self, rows: Rows) -> Probabilities:
        """Returns a probability for each row from trees that have not seen its user."""
        probabilities = np.empty(len(rows))
        for outside in user_folds(rows.users):
            if outside.any():
                probabilities[outside] = self.fit(rows.where(~outside))(rows.where(outside))
        return probabilities

    def _fitted(self, rows: Rows, columns: Columns) -> Any:
        settings = {
            "objective": "binary", "num_leaves": self.leaves, "min_data_in_leaf": self.rows_of_leaf,
            "feature_fraction": self.share_of_features, "learning_rate": 0.03, "bagging_fraction": 0.7,
            "bagging_freq": 1, "lambda_l2": 10.0, "num_threads": 1, "seed": 0, "deterministic": True,
            "force_row_wise": True, "verbosity": -1,
        }  # fmt: skip
        with warnings.catch_warnings():
            # Rows of a few hundred users leave features without a split: it says so of each.
            warnings.simplefilter("ignore", UserWarning)
            data = lightgbm.Dataset(rows.features[:, columns], rows.churned)
            return lightgbm.train(settings, data, num_boost_round=self.rounds)


#: The search: each with up to ten numbers of rounds. Chosen by calibrated log-loss on rows apart.
TREES: Final = (Trees(4, 100, 0.5), Trees(7, 100, 0.5), Trees(15, 100, 0.3), Trees(15, 400, 0.5), Trees(31, 200, 0.3))


class Fit(NamedTuple):
    """A fitted baseline, its setting in words, and the calibrated log-loss its choice was made by, if one was."""

    predict: Predictor
    setting: str = ""
    chosen_by: float | None = None


def recency(train: Rows) -> Fit:
    """Hours since the last order, alone."""
    model = LogisticRegression(C=1e6).fit(signed_log(train.features[:, [_RECENCY]]), train.churned)
    return Fit(lambda rows: _second(model, signed_log(rows.features[:, [_RECENCY]])))


def beta_geometric(train: Rows, survey: Survey) -> Fit:
    """BG/NBD, fitted on the order dates of all customers up to the newest cutoff; it takes no labels."""
    now = int(train.moments.max())
    model = BetaGeometric.fit(History.of((orders, now) for orders in survey.histories(now)))

    def predict(rows: Rows) -> Probabilities:
        asked = zip(rows.users.tolist(), rows.moments.tolist(), strict=True)
        return model.churn(History.of((survey.before(user, at), at) for user, at in asked), rows.horizon / DAY)

    return Fit(predict, ", ".join(f"{name} {value:.3g}" for name, value in model._asdict().items()))


def logistic(train: Rows) -> Fit:
    """Logistic regression on all features, scaled as the network scales them."""
    losses = [_mean_loss(train, partial(_fit_logistic, strength=strength)) for strength in _STRENGTHS]
    best = int(np.argmin(losses))
    return Fit(_fit_logistic(train, _STRENGTHS[best]), f"C={_STRENGTHS[best]}", losses[best])


def tuned_trees(train: Rows) -> tuple[Trees, float]:
    """Returns the setting of LightGBM with the lowest calibrated log-loss on rows it was not fitted on."""
    losses: dict[Trees, list[float]] = {}
    for fitted_on, judged in checks(train):
        for candidate in TREES:
            for trees, answers in candidate.stages(fitted_on, judged):
                losses.setdefault(trees, []).append(calibrated_log_loss(judged.churned, answers))
    best = min(losses, key=lambda trees: float(np.mean(losses[trees])))
    return best, float(np.mean(losses[best]))


def _mean_loss(train: Rows, fit: Callable[[Rows], Predictor]) -> float:
    pairs: Sequence[tuple[Rows, Rows]] = checks(train)
    return float(np.mean([calibrated_log_loss(judged.churned, fit(fitted)(judged)) for fitted, judged in pairs]))


def _fit_logistic(rows: Rows, strength: float) -> Predictor:
    scaler = FeatureScaler.fit(rows.features)
    model = LogisticRegression(C=strength, max_iter=3_000).fit(scaler.transform(rows.features), rows.churned)
    return lambda others: _second(model, scaler.transform(others.features))


def _second(model: LogisticRegression, table: NDArray[np.float32]) -> Probabilities:
    return np.asarray(model.predict_proba(table), dtype=np.float64)[:, 1]
