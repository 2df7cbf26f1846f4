"""Intervals from a bootstrap over users: a user's decisions rise and fall together, so users are drawn.

All estimates are made on the same draws: their differences have intervals too. The reward model is not fitted anew
in each draw; it was fitted on other users than it judges.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np

from forestay_training.offpolicy.estimators import Terms
from forestay_training.offpolicy.log import Log, Matrix, Vector

#: Numbers drawn at once: 16 MB.
_CHUNK: Final = 2_000_000
_ENDS: Final = (2.5, 97.5)


class Interval(NamedTuple):
    """A value with the ends of its 95 % interval and its standard error; nan where there is none."""

    value: float
    low: float
    high: float
    error: float


class Drawn(NamedTuple):
    """Estimates as they are, and on each draw of users (draws,)."""

    values: Mapping[str, float]
    draws: Mapping[str, Vector]

    def interval(self, name: str, less: str | None = None) -> Interval:
        """Returns the interval of an estimate, or of what it lies above another."""
        taken = 0.0 if less is None else self.values[less]
        drawn = self.draws[name] - (0.0 if less is None else self.draws[less])
        return interval_of(self.values[name] - taken, drawn)


def interval_of(value: float, drawn: Vector) -> Interval:
    """Returns the interval of `value` whose draws are `drawn` (draws,)."""
    if not np.isfinite(value) or not np.isfinite(drawn).all():
        return Interval(value, np.nan, np.nan, np.nan)
    low, high = np.percentile(drawn, _ENDS)
    return Interval(value, float(low), float(high), float(drawn.std(ddof=1)))


def bootstrap(
    log: Log,
    terms: Mapping[str, Terms],
    draws: int,
    seed: int,
    done: Callable[[int], None] = lambda _draws: None,
) -> Drawn:
    """Draws users with replacement; beside the estimates, `logged` is the mean reward of the log itself."""
    every = {**terms, "logged": Terms(np.zeros_like(log.reward), log.reward, np.ones_like(log.reward))}
    sums = _sums(log, every)
    whole = _ratios(np.ones((1, log.users)) @ sums, len(every))[:, 0]
    drawn: list[Matrix] = []
    generator = np.random.default_rng(seed)
    at_once = max(1, _CHUNK // log.users)
    for start in range(0, draws, at_once):
        counts = _counts(generator, min(at_once, draws - start), log.users)
        drawn.append(_ratios(counts @ sums, len(every)))
        done(min(start + at_once, draws))
    table = np.concatenate(drawn, axis=1)
    return Drawn(dict(zip(every, whole.tolist(), strict=True)), dict(zip(every, table, strict=True)))


def _sums(log: Log, every: Mapping[str, Terms]) -> Matrix:
    """Returns per user the number of decisions, then three sums for each of K estimators: (users, 1 + 3 K)."""
    columns = [np.ones_like(log.reward), *(column for one in every.values() for column in one[:3])]
    return np.stack([np.bincount(log.user, column, log.users) for column in columns], axis=1)


def _counts(generator: np.random.Generator, draws: int, users: int) -> Matrix:
    """Returns how often each user was drawn: (draws, users)."""
    picked = generator.integers(users, size=(draws, users)) + users * np.arange(draws)[:, None]
    return np.bincount(picked.ravel(), minlength=draws * users).reshape(draws, users).astype(np.float64)


def _ratios(totals: Matrix, estimators: int) -> Matrix:
    """Takes (draws, 1 + 3 K), returns the estimates (K, draws); nan where the weights sum to nothing."""
    count = totals[:, 0]
    direct, weighted, norm = totals[:, 1:].reshape(-1, estimators, 3).transpose(2, 1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = np.where(norm > 0, weighted / norm, np.nan)
    return np.asarray(direct / count + rest)
