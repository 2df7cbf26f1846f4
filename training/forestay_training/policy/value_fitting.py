"""Fitted Q iteration on steps of a log: what an offer changes after its horizon, as linear heads of signals.

Q(user, offer) is linear in the signals: what doing nothing is worth, and for each offer a head of what it adds (ridge
regression, as in `fitting.py`). Each round regresses reward + discounted value of the next decision, where the best
of the offers permitted there is made (Ernst, Geurts and Wehenkel, 2005). Users are in two halves: each half chooses
by its own weights and takes the value from the other's (double Q-learning, van Hasselt, 2010), so what is best by
chance is not taken for good. An offer is chosen there only if it is better than nothing by `doubt` deviations.
"""

from typing import Final, NamedTuple

import numpy as np

from forestay.core.decision.catalogue import Catalogue
from forestay.core.errors import ForestayError
from forestay.core.hashing import unit_interval
from forestay.core.policy.posterior import SIGNALS, Head
from forestay.core.policy.value_to_go import ValueToGo
from forestay_training.offpolicy.log import Flags, Matrix, Vector
from forestay_training.policy.fitting import LEAST_NOTHING
from forestay_training.policy.transitions import Transitions

#: Steps of an offer in each half, below which nothing is said of it.
LEAST_MADE: Final = 50
#: The ridge of what doing nothing is worth, in decisions.
_RIDGE: Final = 1.0
_ROUNDS: Final = 500
#: The values are settled when a round moves them by no more than this share of themselves.
_SETTLED: Final = 1e-6
#: After all rounds this share will do: single decisions may go back and forth between offers of equal value.
_NEARLY: Final = 0.01
#: The share of values that may lie at the bound: more, and the weights run away.
_MAY_BE_CUT: Final = 0.01


class Way(NamedTuple):
    """`discount` is by week; the head of an offer is drawn to 0 as by `prior_decisions` that found no effect."""

    discount: float
    prior_decisions: float
    doubt: float


class FittedValue(NamedTuple):
    """The heads, the rounds it took, and the mean value to go of the users at their next decision or none."""

    value: ValueToGo
    rounds: int
    mean: float


class _Weights(NamedTuple):
    """What nothing is worth (D,), what K offers add (K, D), their inverse Gram matrices (K, D, D), and the noise."""

    base: Vector
    heads: Matrix
    inverses: Matrix
    noise: float


def fit_value(steps: Transitions, function: str, catalogue: Catalogue, way: Way) -> FittedValue:
    """Returns the value to go of the catalogue's offers.

    Raises:
        ForestayError: too few decisions did nothing, no offer was made often enough, or the values do not settle.
    """
    half = np.array([unit_interval("value-to-go", user) < 0.5 for user in steps.users])  # noqa: PLR2004
    halves = (half, ~half)
    known = [
        number
        for number in range(len(catalogue.offers))
        if min(int((steps.chosen[one] == number).sum()) for one in halves) >= LEAST_MADE
    ]
    _check(steps, halves, known)
    carried = np.where(steps.left, 0.0, way.discount**steps.weeks)
    value, rounds = _iterated(steps, carried, halves, known, way)
    final = _regressed(steps, half | ~half, known, carried * value, way.prior_decisions)
    heads = {
        catalogue.offers[number].id: Head(
            decisions=int((steps.chosen == number).sum()),
            mean=tuple(final.heads[place].tolist()),
            covariance=tuple(tuple(row) for row in (final.noise**2 * final.inverses[place]).tolist()),
        )
        for place, number in enumerate(known)
    }
    learned = ValueToGo(
        signals=SIGNALS,
        function=function,
        horizon_days=steps.horizon_days,
        discount=way.discount,
        doubt=way.doubt,
        decisions=len(steps.reward),
        heads=heads,
    )
    return FittedValue(learned, rounds, float((carried * value).mean()))


def _iterated(
    steps: Transitions, carried: Vector, halves: tuple[Flags, Flags], known: list[int], way: Way
) -> tuple[Vector, int]:
    """Returns the value of each next decision (N,), and the rounds it took to settle."""
    bound = float(np.abs(steps.reward).max()) / (1 - way.discount ** (steps.horizon_days / 7))
    value = np.zeros(len(steps.reward))
    for number in range(1, _ROUNDS + 1):
        target = steps.reward + carried * value
        one, other = (_regressed(steps, rows, known, target, way.prior_decisions) for rows in halves)
        found = np.where(halves[0], _best(steps, one, other, known, way), _best(steps, other, one, known, way))
        new = np.clip(found, -bound, bound)
        moved, value = float(np.linalg.norm(new - value)), new
        size = float(np.linalg.norm(value))
        if moved <= (_SETTLED if number < _ROUNDS else _NEARLY) * size:
            if bound > 0 and float((np.abs(value) >= bound).mean()) > _MAY_BE_CUT:
                break
            return value, number
    raise ForestayError(
        "the values do not settle: on this log nothing can be said of the long run; more of the log, a lower"
        " --discount or more --prior-decisions may help"
    )


def _check(steps: Transitions, halves: tuple[Flags, Flags], known: list[int]) -> None:
    idle = min(int((steps.chosen[one] == -1).sum()) for one in halves)
    if idle < LEAST_NOTHING:
        raise ForestayError(
            f"of decisions that are followed {idle:,} did nothing in the smaller half of the users; it takes"
            f" {LEAST_NOTHING} to tell what that is worth: explore more, or give more of the log"
        )
    if not known:
        raise ForestayError(
            f"no offer was made by {LEAST_MADE} followed decisions in each half of the users: explore more, or give"
            " more of the log"
        )


def _regressed(steps: Transitions, rows: Flags, known: list[int], target: Vector, prior_decisions: float) -> _Weights:
    idle = rows & (steps.chosen == -1)
    seen = steps.seen[idle]
    base = np.linalg.solve(_gram(seen, _RIDGE), seen.T @ target[idle])
    noise = float(np.sqrt(np.mean((target[idle] - seen @ base) ** 2)))
    heads, inverses = [], []
    for number in known:
        made = rows & (steps.chosen == number)
        seen = steps.seen[made]
        inverse = np.linalg.inv(_gram(seen, prior_decisions))
        inverses.append((inverse + inverse.T) / 2)
        heads.append(inverses[-1] @ (seen.T @ (target[made] - seen @ base)))
    return _Weights(base, np.array(heads), np.array(inverses), noise)


def _best(steps: Transitions, choosing: _Weights, valuing: _Weights, known: list[int], way: Way) -> Vector:
    """Returns the value of each next decision (N,): chosen by the one half's weights, worth what the other's say."""
    seen = steps.following
    deviations = choosing.noise * np.sqrt(np.einsum("nd,kde,ne->nk", seen, choosing.inverses, seen, optimize=True))
    least = seen @ choosing.heads.T - way.doubt * deviations
    least = np.where(steps.permitted[:, known], least, -np.inf)
    best = least.argmax(axis=1)
    rows = np.arange(len(seen))
    added = np.where(least[rows, best] > 0, (seen @ valuing.heads.T)[rows, best], 0.0)
    return np.asarray(seen @ valuing.base + added)


def _gram(seen: Matrix, ridge: float) -> Matrix:
    return np.asarray(seen.T @ seen + ridge * np.eye(seen.shape[1]))
