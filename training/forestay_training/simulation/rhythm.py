"""How a real shop's users order, in few numbers: BG/NBD for the days, lognormal baskets; and how well that fits.

Fader, Hardie and Lee, '"Counting your customers" the easy way', Marketing Science 24(2), 2005: while a user stays,
they order at a rate of their own; after each order but the first they may leave for good.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from forestay.core.errors import ForestayError
from forestay.core.event import PURCHASE
from forestay.core.units import DAY
from forestay.history.point_in_time import STEP, Tell
from forestay.history.reading import EventFile, Problems
from forestay_training.evaluation.bgnbd import BetaGeometric, History

#: Fitted to CDNOW (Fader and Hardie), which is no part of this project: made by `forestay simulate --events`.
_DEFAULT: Final = Path(__file__).parent / "rhythm.json"
Vector = NDArray[np.float64]
#: Users with an order, below which four parameters are no fit.
LEAST_USERS: Final = 100
#: Counts of orders that are told apart when the fit is looked at; the last stands for all from there on.
_MOST_REPEATS: Final = 12
_HUNDREDTHS: Final = 100.0


class Baskets(NamedTuple):
    """Logarithms of an order's value in the shop's currency: the users' mean, and deviations between and within."""

    mean: float
    between: float
    within: float


class Rhythm(NamedTuple):
    """What users are drawn from. Rates are orders a day."""

    orders: BetaGeometric
    baskets: Baskets
    users: int
    days: int


class Fitted(NamedTuple):
    """The rhythm, and shares of users by their number of repeat orders: of the shop, and as the rhythm makes them."""

    rhythm: Rhythm
    real: Vector
    made: Vector

    @property
    def distance(self) -> float:
        """Returns the total variation distance of the two: the share of users with another number."""
        return float(np.abs(self.real - self.made).sum() / 2)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """Returns what `told` has told."""
        orders, baskets = BetaGeometric(**told["orders"]), Baskets(**told["baskets"])
        fit = told["fit"]
        return cls(Rhythm(orders, baskets, told["users"], told["days"]), np.array(fit["real"]), np.array(fit["made"]))

    def told(self) -> dict[str, Any]:
        """Returns it for machines."""
        rhythm = self.rhythm
        return {
            "users": rhythm.users,
            "days": rhythm.days,
            "orders": {name: float(value) for name, value in rhythm.orders._asdict().items()},
            "baskets": rhythm.baskets._asdict(),
            "fit": {
                "repeat_orders": [*map(str, range(_MOST_REPEATS)), f"{_MOST_REPEATS} or more"],
                "real": self.real.tolist(),
                "made": self.made.tolist(),
                "distance": self.distance,
            },
        }


def default_rhythm() -> Fitted:
    """Returns the rhythm that comes along: that of the customers of a CD shop in 1997 and 1998."""
    return Fitted.of(json.loads(_DEFAULT.read_bytes()))


def fit_rhythm(files: Sequence[EventFile], seed: int, tell: Tell) -> Fitted:
    """Returns the rhythm of the users who order in `files`.

    Raises:
        OSError: a file cannot be read.
        ForestayError: a file is damaged, fewer than `LEAST_USERS` users order in them, or all for nothing.
    """
    spent = _read(files, tell)
    end = max(max(days) for days in spent.values())
    begin = min(min(days) for days in spent.values())
    history = History.of(([day * DAY for day in sorted(days)], (end + 1) * DAY) for days in spent.values())
    rhythm = Rhythm(BetaGeometric.fit(history), _baskets(spent), len(spent), end - begin + 1)
    made = draw_repeats(rhythm.orders, history.age, np.random.default_rng([seed, 1]))
    return Fitted(rhythm, _shares(history.repeats), _shares(made))


def draw_repeats(orders: BetaGeometric, ages: Vector, chance: np.random.Generator) -> Vector:
    """Returns the number of repeat orders of users (N,) who were first seen `ages` (N,) days ago."""
    rates = chance.gamma(orders.r, 1 / orders.alpha, len(ages))
    leaving = chance.beta(orders.a, orders.b, len(ages))
    repeats = np.zeros(len(ages))
    moment = chance.exponential(1, len(ages)) / rates
    staying = np.ones(len(ages), dtype=bool)
    while (ordering := staying & (moment <= ages)).any():
        repeats += ordering
        staying = ordering & (chance.random(len(ages)) >= leaving)
        moment += chance.exponential(1, len(ages)) / rates
    return repeats


def _read(files: Sequence[EventFile], tell: Tell) -> Mapping[str, dict[int, int]]:
    """Returns what users ordered for (hundredths), by user and day."""
    spent: dict[str, dict[int, int]] = defaultdict(dict)
    problems = Problems()
    for file in files:
        for row in file.read():
            if row.position % STEP == 0:
                tell(f"reading {file.path.name}", row.position, file.rows)
            event = row.event
            if event is None:
                problems.add(file.path, row)
            elif event.kind == PURCHASE:
                days = spent[event.user_id]
                days[event.ts // DAY] = days.get(event.ts // DAY, 0) + event.value
    if len(spent) < LEAST_USERS:
        raise ForestayError(
            f"{len(spent):,} users order in these files; a rhythm takes {LEAST_USERS}{problems.told()}"
        )
    return spent


def _baskets(spent: Mapping[str, Mapping[int, int]]) -> Baskets:
    """Returns the moments of the logarithms: within users who ordered twice, and between users, less that."""
    logs = [np.log([value / _HUNDREDTHS for value in days.values() if value > 0]) for days in spent.values()]
    if not any(map(len, logs)):
        raise ForestayError(
            "no order in these files is for more than 0: baskets are drawn from what orders are worth"
        )
    several = [one for one in logs if len(one) > 1]
    within = float(np.mean([one.var(ddof=1) for one in several])) if several else 0.0
    means = np.array([one.mean() for one in logs if len(one)])
    noise = within * float(np.mean([1 / len(one) for one in logs if len(one)]))
    return Baskets(float(means.mean()), max(float(means.var()) - noise, 0.0) ** 0.5, within**0.5)


def _shares(repeats: Vector) -> Vector:
    counts = np.bincount(np.minimum(repeats, _MOST_REPEATS).astype(np.int64), minlength=_MOST_REPEATS + 1)
    return np.asarray(counts / counts.sum())
