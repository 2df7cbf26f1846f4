"""BG/NBD, the classic of counting a customer base without labels, as a baseline.

Fader, Hardie and Lee, '"Counting your customers" the easy way', Marketing Science 24(2), 2005. While alive a
customer orders at a rate drawn from a gamma(r, alpha) over the customers; after each order they leave with a
probability drawn from a beta(a, b). Days with several orders count once; the first order starts the clock.
"""

from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln, gammaln

from forestay.core.units import DAY
from forestay_training.dataset import Rows
from forestay_training.labels import Orders
from forestay_training.splits import HORIZON_DAYS

Vector = NDArray[np.float64]


class History(NamedTuple):
    """N customers: repeat orders, days from the first order to the last, days from the first order to now."""

    repeats: Vector
    last: Vector
    age: Vector

    @classmethod
    def of(cls, orders: Orders, asked: list[tuple[str, int]]) -> Self:
        """Returns the histories of the (user, moment) pairs; each has an order up to its moment."""
        rows = [_history(orders.before(user, now), now) for user, now in asked]
        return cls(*np.array(rows, dtype=np.float64).T)

    @classmethod
    def of_all(cls, orders: Orders, now: int) -> Self:
        """Returns the histories of all customers with an order up to `now` (milliseconds)."""
        return cls.of(orders, [(user, now) for user in orders.users if orders.before(user, now)])


class BetaGeometric(NamedTuple):
    """The four parameters."""

    r: float
    alpha: float
    a: float
    b: float

    @classmethod
    def fit(cls, history: History) -> Self:
        """Fits by maximum likelihood."""

        def loss(logs: Vector) -> float:
            return -cls(*np.exp(logs)).log_likelihood(history)

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

    def churn(self, history: History) -> Vector:
        """Returns the probability of no order in the next `HORIZON_DAYS` days.

        A customer leaves only right after an order, so one who is alive orders next at a rate distributed as
        gamma(r + repeats, alpha + age).
        """
        r, alpha, a, b = self
        repeats, last, age = history
        odds = a / (b + np.maximum(repeats, 1) - 1) * ((alpha + age) / (alpha + last)) ** (r + repeats)
        alive = 1 / (1 + np.where(repeats > 0, odds, 0.0))
        silent = ((alpha + age) / (alpha + age + HORIZON_DAYS)) ** (r + repeats)
        probabilities: Vector = 1 - alive * (1 - silent)
        return probabilities

    def predictor(self, orders: Orders) -> Callable[[Rows], Vector]:
        """Returns a function from rows to churn probabilities."""
        return lambda rows: self.churn(
            History.of(orders, list(zip(rows.users.tolist(), rows.moments.tolist(), strict=True)))
        )


def _history(moments: list[int], now: int) -> tuple[float, float, float]:
    days = sorted({moment // DAY for moment in moments})
    return len(days) - 1, days[-1] - days[0], now / DAY - days[0]
