"""The made-up users: when they order, when they leave for good, what brings them back, and what is to be expected.

Time goes by days. A user orders at most once a day, always at their own time of day, in the morning; decisions fall
into the afternoon. Draws are by seed, user and day alone: under every policy the same user has the same luck.
"""

from typing import Final, NamedTuple

import numpy as np
from scipy.special import ndtri

from forestay.core.units import DAY, HOUR
from forestay_training.simulation.effects import Effects
from forestay_training.simulation.rhythm import Rhythm, Vector

#: Horizon of the churn probability that stands in for the model's, in days.
CHURN_DAYS: Final = 60
#: A day in 2026, in UTC: nothing depends on which.
FIRST_DAY: Final = 20_454
_MORNING: Final = 12 * HOUR
_LEAST: Final = 1e-9


class Ordered(NamedTuple):
    """An order: the user's number, the moment in milliseconds, its value in the shop's currency."""

    user: int
    ts: int
    value: float


class Users(NamedTuple):
    """What does not change of users (N,): chance of an order a day while they stay, chance to leave after an order.

    `basket` is what an order is worth to the shop on average, `logs` its logarithm's mean; `large` says whether it is
    above the median; `first` is the day of the first order and `offset` the time of day (milliseconds).
    """

    ordering: Vector
    leaving: Vector
    logs: Vector
    basket: Vector
    large: Vector
    first: Vector
    offset: Vector


class World:
    """Users on one day after the other."""

    def __init__(self, rhythm: Rhythm, effects: Effects, users: int, days: int, seed: int) -> None:
        """Starts on the morning of the first day, when nobody has ordered; users come over all of the days."""
        self.users = draw_users(rhythm, users, days, seed)
        self.day = -1
        self._within = rhythm.baskets.within
        self._seed = seed
        self._margin = effects.margin
        self._horizon = effects.horizon_days
        self._truth = {
            offer.id: np.where(self.users.large > 0, offer.truth.large_baskets, offer.truth.small_baskets)
            for offer in effects.offers
        }
        self._stays = np.zeros(users, dtype=bool)
        self._orders = np.zeros(users, dtype=np.int64)
        self._returns_on = np.full(users, -1)
        # What is known of them: weights of having stayed and of having left, given all that could be seen.
        self._stayed = np.zeros(users)
        self._left = np.zeros(users)
        self._lucky = np.zeros(users)

    def next_day(self) -> list[Ordered]:
        """Goes on to the next day and returns its orders, in order of time."""
        self.day += 1
        users, chance = self.users, np.random.default_rng([self._seed, 2, self.day])
        order, leave, size, self._lucky = (chance.random(len(self._stays)) for _ in range(4))
        ordering = (self._stays & (order < users.ordering)) | (users.first == self.day)
        ordering |= self._returns_on == self.day
        self._learn(ordering)
        self._orders += ordering
        self._stays = np.where(ordering, (self._orders < 2) | (leave >= users.leaving), self._stays)  # noqa: PLR2004
        values = np.round(np.exp(users.logs + self._within * _normal(size)), 2)
        begin = (FIRST_DAY + self.day) * DAY
        rows = [
            Ordered(user, begin + int(users.offset[user]), max(float(values[user]), 0.01))
            for user in np.flatnonzero(ordering).tolist()
        ]
        return sorted(rows, key=lambda row: (row.ts, row.user))

    def offer(self, user: int, offer_id: str) -> None:
        """Makes a user an offer, on the afternoon of this day: whom it moves orders tomorrow."""
        if self._lucky[user] < self._truth[offer_id][user]:
            self._returns_on[user] = self.day + 1

    def churn(self, user: int) -> float:
        """Returns the probability of no order within `CHURN_DAYS`, given what could be seen."""
        gone = self._gone(user)
        return float(gone + (1 - gone) * (1 - self.users.ordering[user]) ** CHURN_DAYS)

    def nothing(self, user: int) -> float:
        """Returns the margin expected of the user within the horizon if nothing is done."""
        return float((1 - self._gone(user)) * self._margin * self.users.basket[user] * self._orders_in(user, 0))

    def gain(self, user: int, offer_id: str) -> float:
        """Returns by how much the offer raises that, before its cost.

        Who had left orders, and goes on unless that order makes them leave again; who had not would perhaps have
        ordered anyhow, and may leave after an order that else they would not have made.
        """
        leaving, later, gone = self.users.leaving[user], self._orders_in(user, 1), self._gone(user)
        back = gone * (1 + (1 - leaving) * later)
        more = (1 - gone) * (1 - self.users.ordering[user]) * (1 - leaving * later)
        return float(self._truth[offer_id][user] * self._margin * self.users.basket[user] * (back + more))

    def _orders_in(self, user: int, passed: int) -> float:
        """Returns how many orders a user who has stayed makes on the horizon's days after the first `passed`."""
        ordering, leaving = self.users.ordering[user], max(float(self.users.leaving[user]), _LEAST)
        return float((1 - (1 - ordering * leaving) ** (self._horizon - passed)) / leaving)

    def _gone(self, user: int) -> float:
        return float(self._left[user] / max(self._left[user] + self._stayed[user], np.finfo(float).tiny))

    def _learn(self, ordering: Vector) -> None:
        """Takes in who orders today. Whom an offer did not move tells nothing: it moves those who left alike."""
        users = self.users
        # After the first order nobody leaves; after a later one they do with their own chance.
        repeat = self._orders > 0
        stayed = np.where(repeat, 1 - users.leaving, 1.0)
        left = np.where(repeat, users.leaving, 0.0)
        self._stayed = np.where(ordering, stayed, self._stayed * (1 - users.ordering))
        self._left = np.where(ordering, left, self._left)
        # Together 1, so that neither vanishes in a long silence.
        total = np.maximum(self._stayed + self._left, np.finfo(float).tiny)
        self._stayed, self._left = self._stayed / total, self._left / total


def draw_users(rhythm: Rhythm, count: int, days: int, seed: int) -> Users:
    """Returns `count` users of this rhythm, who first order on any of so many days."""
    chance = np.random.default_rng([seed, 1])
    orders, baskets = rhythm.orders, rhythm.baskets
    logs = chance.normal(baskets.mean, baskets.between, count)
    basket = np.exp(logs + baskets.within**2 / 2)
    return Users(
        ordering=-np.expm1(-chance.gamma(orders.r, 1 / orders.alpha, count)),
        leaving=chance.beta(orders.a, orders.b, count),
        logs=logs,
        basket=basket,
        large=(basket > np.median(basket)).astype(np.float64),
        first=chance.integers(0, days, count).astype(np.float64),
        offset=np.floor(chance.random(count) * _MORNING),
    )


def _normal(uniform: Vector) -> Vector:
    """Returns standard normal numbers of uniform ones."""
    return np.asarray(ndtri(np.clip(uniform, _LEAST, 1 - _LEAST)))
