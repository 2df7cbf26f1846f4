"""Whether the intervals keep their word: logs of made-up users whose policies' values are known.

All of it is synthetic. Users differ in what an action does to them; a user has one to five decisions, which share a
part of their reward that is the user's own, so that intervals which took decisions for independent would be too
narrow. The logging policy is soft, its probabilities are logged. Run the figure of docs/ope.md with

    python -m forestay_training.offpolicy.simulated
"""

import sys
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from forestay_training.offpolicy.estimators import NAMES, terms
from forestay_training.offpolicy.intervals import bootstrap
from forestay_training.offpolicy.log import Log, Matrix
from forestay_training.offpolicy.reward_model import cross_fitted, folds_by_user, maker

LOGS: Final = 500
_USERS: Final = 600
_DECISIONS: Final = 5
_FEATURES: Final = 3
_ACTIONS: Final = 4
#: What an action does, by feature: the same in every log.
_EFFECTS: Final = np.random.default_rng(11).normal(0, 0.6, size=(_FEATURES, _ACTIONS))
#: Users by whom the true value is found: its error is a hundredth of an interval's width.
_FOR_TRUTH: Final = 200_000


class Made(NamedTuple):
    """A log and the policy to be valued (N, A)."""

    log: Log
    target: Matrix


def true_value() -> float:
    """Returns what the valued policy earns a decision."""
    features = np.random.default_rng(12).normal(size=(_FOR_TRUTH, _FEATURES))
    return float((_policy(features, 2.0) * _expected(features)).sum(axis=1).mean())


def made(seed: int, users: int = _USERS) -> Made:
    """Returns a log of `users` users."""
    generator = np.random.default_rng([seed, 13])
    decisions = generator.integers(1, _DECISIONS + 1, size=users)
    user = np.repeat(np.arange(users), decisions)
    # What a user is like does not change between decisions; situations add to it.
    features = generator.normal(size=(users, _FEATURES))[user] * 0.6
    features += generator.normal(size=features.shape) * 0.8
    logging, target = _policy(features, 0.7), _policy(features, 2.0)
    chosen = (logging.cumsum(axis=1) < generator.random((len(user), 1))).sum(axis=1)
    own = generator.normal(0, 0.7, size=users)[user]
    rows = np.arange(len(user))
    reward = _expected(features)[rows, chosen] + own + generator.normal(0, 0.5, size=len(user))
    log = Log(
        actions=tuple(map(str, range(_ACTIONS))),
        chosen=chosen,
        propensity=logging[rows, chosen],
        reward=reward,
        user=user,
        context=features,
        offered=np.ones(logging.shape, dtype=np.bool_),
        tried=np.ones(logging.shape, dtype=np.bool_),
        logging=logging,
    )
    return Made(log, target)


def coverage(
    logs: int, draws: int, users: int = _USERS, done: Callable[[int], None] = lambda _logs: None
) -> dict[str, float]:
    """Returns of each estimator the share of `logs` whose 95 % interval holds the true value."""
    truth, held = true_value(), dict.fromkeys(NAMES, 0)
    for seed in range(logs):
        log, target = made(seed, users)
        answers = cross_fitted(log, maker("linear", binary=False), folds_by_user(log.user, seed))
        drawn = bootstrap(log, terms(log, target, answers), draws, seed)
        for name in NAMES:
            one = drawn.interval(name)
            held[name] += one.low <= truth <= one.high
        done(seed + 1)
    return {name: count / logs for name, count in held.items()}


def _expected(features: Matrix) -> Matrix:
    """Returns the expected reward of every action: (N, A). No linear model of context and action has this form."""
    return np.asarray(1 + np.tanh(features @ _EFFECTS) + 0.2 * np.arange(_ACTIONS))


def _policy(features: Matrix, sharpness: float) -> Matrix:
    """Returns a softmax of the true effects: (N, A)."""
    scores = np.exp(sharpness * features @ _EFFECTS)
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


def main() -> None:
    """Prints each estimator's coverage."""
    found = coverage(LOGS, 400, done=_write_progress)
    for name, share in found.items():
        sys.stdout.write(f"{name:8}{share:8.1%}\n")


def _write_progress(logs: int) -> None:
    if logs % 50 == 0:
        sys.stderr.write(f"log {logs} of {LOGS}\n")


if __name__ == "__main__":
    main()
