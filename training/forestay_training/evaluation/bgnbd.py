"""BG/NBD, the classic of counting a customer base without labels, as a baseline.

Fader, Hardie and Lee, '"Counting your customers" the easy way', Marketing Science 24(2), 2005. While alive a
customer orders at a rate drawn from a gamma(r, alpha) over the customers; after each order they leave with a
probability drawn from a beta(a, b). Days with several orders count once; the first order starts the clock.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln, gammaln

from forestay.core.units import DAY

Vector = NDArray[np.float64]
#: Customers the four parameters are fitted on, at most: more make them no better.
_CUSTOMERS: Final = 50_000


class History(NamedTuple):
    """N customers: repeat orders, days from the first order to the last, days from the first order to now."""

    repeats: Vector
    last: Vector
    age: Vector

    @classmethod
    def of(cls, asked: Iterable[tuple[Sequence[int], int]]) -> Self:
        """Returns the histories of pairs: a customer's orders up to a moment, at least one, and the moment."""
        rows = [_history(orders, now) for orders, now in asked]
        return cls(*np.array(rows, dtype=np.float64).reshape(-1, 3).T)


class BetaGeometric(NamedTuple):
    """The four parameters."""

    r: float
    alpha: float
    a: float
    b: float

    @classmethod
    def fit(cls, history: History) -> Self:
        """Fits by maximum likelihood."""
        step = -(-len(history.repeats) // _CUSTOMERS)
        some = History(*(column[::step] for column in history))

        def loss(logs: Vector) -> float:
            return -cls(*np.exp(logs)).log_likelihood(some)

        # Beyond e^±8 the likelihood is flat.
        return cls(*np.exp(minimize(loss, np.zeros(4), method="L-BFGS-B", bounds=[(-8, 8)] * 4).x))

    def log_likelihood(self, history: History) -> float:
        """Returns the mean log-likelihood a customer (their equation 6)."""
        r, alpha, a, b = self
        repeats, last, age = history
        counts = gammaln(r + repeats) - gammaln(r) + r * np.log(alpha)
        stayed = betaln(a, b + repeats) - betaln(a, b) - (r + repeats) * np.log(alpha + age)
        left = betaln(a + 1, b + repeats - 1) - betaln(a, b) - (r + repeats) * np.log(alpha + last)
        return float(np.mean(counts + np.logaddexp(stayed, np.where(repeats > 0, left, -np.inf))))

    def churn(self, history: History, days: float) -> Vector:
        """Returns the probability of no order in the next `days`.

        A customer leaves only right after an order, so one who is alive orders next at a rate distributed as
        gamma(r + repeats, alpha + age).
        """
        r, alpha, a, b = self
        repeats, last, age = history
        # In logarithms: a long silence after many orders overflows otherwise.
        odds = np.log(a / (b + np.maximum(repeats, 1) - 1)) + (r + repeats) * np.log((alpha + age) / (alpha + last))
        alive = np.where(repeats > 0, 1 / (1 + np.exp(np.minimum(odds, 700.0))), 1.0)
        silent = ((alpha + age) / (alpha + age + days)) ** (r + repeats)
        probabilities: Vector = 1 - alive * (1 - silent)
        return probabilities


def _history(orders: Sequence[int], now: int) -> tuple[float, float, float]:
    days = sorted({moment // DAY for moment in orders})
    return len(days) - 1, days[-1] - days[0], now / DAY - days[0]
