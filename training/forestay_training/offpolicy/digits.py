"""The estimators' errors where the truth is known: handwritten digits as a bandit, beside the published table.

The protocol is that of Open Bandit Pipeline's examples/multiclass (README, table of 30 runs): a third of the digits
teaches two classifiers; on the rest one, softened, writes the log, another is to be valued, and the truth is its
probability of naming the digit. Run it with

    python -m forestay_training.offpolicy.digits
"""

import sys
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TextIO

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, train_test_split

from forestay_training.offpolicy.estimators import NAMES, terms
from forestay_training.offpolicy.log import Log, Matrix
from forestay_training.offpolicy.reward_model import cross_fitted

RUNS: Final = 30
#: Mean and standard deviation of the relative error over 30 runs, as published.
PUBLISHED: Final = {
    "dm": (0.436541, 0.017629), "ips": (0.030288, 0.024506), "snips": (0.022764, 0.017917),
    "dr": (0.016156, 0.012679), "sndr": (0.022082, 0.016865), "switch": (0.034657, 0.018575),
    "dros": (0.015868, 0.012537),
}  # fmt: skip
_JUDGED: Final = 0.7
#: How much of a policy is its classifier's word; the rest is even.
_LOGGING: Final = 0.4
_CANDIDATE: Final = 0.9
_FOLDS: Final = 3
_SEED: Final = 12_345


class Bandit(NamedTuple):
    """A log, the policy to be valued (N, A), and its true value."""

    log: Log
    target: Matrix
    truth: float


def bandit(seed: int) -> Bandit:
    """Returns run `seed` of the protocol."""
    digits, names = load_digits(return_X_y=True)
    taught, asked, taught_names, asked_names = train_test_split(digits, names, test_size=_JUDGED, random_state=seed)
    writer = LogisticRegression(C=100, max_iter=10_000, random_state=_SEED).fit(taught, taught_names)
    logging = _softened(writer.predict(asked), _LOGGING)
    # One draw a row, as the published protocol draws: its random numbers are the same.
    generator = np.random.RandomState(seed)
    chosen = np.array([generator.choice(10, p=row, replace=False) for row in logging])
    forest = RandomForestClassifier(n_estimators=30, max_depth=5, min_samples_leaf=10, random_state=_SEED)
    target = _softened(forest.fit(taught, taught_names).predict(asked), _CANDIDATE)
    rows = np.arange(len(asked))
    log = Log(
        actions=tuple(map(str, range(10))),
        chosen=chosen,
        propensity=logging[rows, chosen],
        reward=(chosen == asked_names).astype(np.float64),
        user=rows,
        context=asked,
        offered=np.ones(logging.shape, dtype=np.bool_),
        tried=np.ones(logging.shape, dtype=np.bool_),
        logging=logging,
    )
    return Bandit(log, target, float(target[rows, asked_names].mean()))


def errors(made: Bandit) -> dict[str, float]:
    """Returns each estimator's relative error |estimate - truth| / truth."""
    fold = np.zeros(len(made.log.chosen), dtype=np.int64)
    split = KFold(_FOLDS, shuffle=True, random_state=_SEED).split(made.log.context)
    for number, (_others, rows) in enumerate(split):
        fold[rows] = number
    answers = cross_fitted(made.log, _boosted, fold)
    found = terms(made.log, made.target, answers)
    return {name: abs(found[name].value - made.truth) / made.truth for name in NAMES}


def table(runs: int = RUNS, done: Callable[[int], None] = lambda _runs: None) -> dict[str, tuple[float, float]]:
    """Returns mean and standard deviation of each estimator's relative error over `runs`."""
    every: list[dict[str, float]] = []
    for seed in range(runs):
        every.append(errors(bandit(seed)))
        done(seed + 1)
    columns = {name: np.array([one[name] for one in every]) for name in NAMES}
    return {name: (float(column.mean()), float(column.std(ddof=1))) for name, column in columns.items()}


def _softened(named: Any, share: float) -> Matrix:
    """Returns the classifier's word (N,) with probability `share`, else any of the ten: (N, 10)."""
    return (1 - share) / 10 + share * np.eye(10)[named]


def _boosted() -> GradientBoostingClassifier:
    return GradientBoostingClassifier(
        n_estimators=30, learning_rate=0.01, max_depth=5, min_samples_leaf=10, random_state=_SEED
    )


def main() -> None:
    """Prints ours beside the published."""
    found = table(done=lambda runs: _write(sys.stderr, f"run {runs} of {RUNS}"))
    _write(sys.stdout, f"{'':8}{'ours':>20}{'published':>22}{'distance in sd':>18}")
    for name, (mean, spread) in found.items():
        there, its_spread = PUBLISHED[name]
        apart = (mean - there) / its_spread
        _write(sys.stdout, f"{name:8}{mean:11.4f} +- {spread:.4f}{there:13.4f} +- {its_spread:.4f}{apart:+14.2f}")


def _write(stream: TextIO, line: str) -> None:
    stream.write(f"{line}\n")


if __name__ == "__main__":
    main()
