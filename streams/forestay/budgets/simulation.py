"""How well budgets are spent by the books of the engine, against the most that could be had, on synthetic users."""

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any, Final, NamedTuple

import numpy as np

from forestay.budgets.market import COSTS, Market, best, draw_market, hours_of
from forestay.core.budget.book import Book
from forestay.core.budget.budget import Budget
from forestay.core.budget.exchange import Exchange, Letter
from forestay.core.budget.exchange_record import decode_message
from forestay.core.event import NEVER
from forestay.core.units import DAY, MINUTE

_BUDGET: Final = "simulated"
#: How far values swing over the day in the simulation of a season.
SWING: Final = 0.5


class Setting(NamedTuple):
    """Users a day, hundredths a day, partitions that share them, and whether what is left moves between these."""

    users: int = 100_000
    limit: int = 3_000_000
    partitions: int = 1
    moves: bool = False


class Post:
    """What partitions tell each other, delivered at once: so a report is a minute old when it is answered."""

    def __init__(self, books: Sequence[Book]) -> None:
        """`books` are the partitions', by number."""
        self._books = books
        self._exchanges = [Exchange(book) for book in books]
        self._minute = NEVER

    def carry(self, moment: int) -> None:
        """Lets all partitions commit and tell, once a minute; `moment` is milliseconds."""
        if moment // MINUTE == self._minute:
            return
        self._minute = moment // MINUTE
        for exchange in self._exchanges:
            exchange.tick(moment)
        for _ in ("reports and answers", "what was called back"):
            for letter in self._letters():
                self._deliver(letter)

    def _letters(self) -> list[Letter]:
        found = []
        for book, exchange in zip(self._books, self._exchanges, strict=True):
            exchange.checkpoint()
            book.checkpoint()
            found += exchange.durable()
        return found

    def _deliver(self, letter: Letter) -> None:
        self._exchanges[letter.partition].take(decode_message(letter.record.value, letter.partition))


class Day(NamedTuple):
    """What one day came to: shares of the optimum's value and of the limit, and units beyond the limit."""

    name: str
    value: float
    spent: float
    overspent: int


def simulate(setting: Setting, seeds: Sequence[int], swing: float = 0.0) -> Iterator[list[Day]]:
    """Yields, by seed, a first day that begins without a price, the second, and one that is spent as users come.

    With a `swing` of values over the day, the budget has the plan that the day before would have given.
    """
    for seed in seeds:
        days = [draw_market(setting.users, 10 * seed + number, swing) for number in range(3)]
        hours = hours_of(days[2], setting.limit) if swing else (1.0,) * 24
        budget = Budget(id=_BUDGET, limit=setting.limit, hours=hours)
        books = [Book([budget], number, setting.partitions) for number in range(setting.partitions)]
        post = Post(books) if setting.moves else None
        told = [
            _day(name, books, days[number], number, setting, post) for number, name in enumerate(("first", "second"))
        ]
        books = [Book([budget], number, setting.partitions) for number in range(setting.partitions)]
        yield [*told, _day("unpaced", books, days[1], 1, setting, None, is_paced=False)]


def _day(  # noqa: PLR0917 - what a day is made of
    name: str,
    books: Sequence[Book],
    market: Market,
    number: int,
    setting: Setting,
    post: Post | None,
    *,
    is_paced: bool = True,
) -> Day:
    places = np.random.default_rng(number).integers(0, setting.partitions, len(market.moments)).tolist()
    begin = (number + 1) * DAY
    value, spent = 0.0, 0
    rows = zip(market.moments.tolist(), market.values.tolist(), places, strict=True)
    for user, (moment, values, place) in enumerate(rows):
        book = books[place]
        if post is not None:
            post.carry(begin + moment)
        if is_paced:
            book.observe(begin + moment)
        price = book.price(_BUDGET, begin + moment)
        gains = [worth - price * cost for worth, cost in zip(values, COSTS, strict=True)]
        if max(gains) <= 0:
            continue
        # As the engine does: what the account does not cover is cut first, and the best of the rest is taken.
        for chosen in sorted(range(len(COSTS)), key=lambda each: -gains[each]):
            draw = book.draw(_BUDGET, COSTS[chosen], begin + moment) if gains[chosen] > 0 else None
            if draw is not None:
                book.book(f"{number}-{user}", [draw], None)
                value += values[chosen] - COSTS[chosen]
                spent += COSTS[chosen]
                break
    optimum = best(market, setting.limit).value
    return Day(name, value / optimum, spent / setting.limit, max(spent - setting.limit, 0))


def figures(runs: Sequence[Sequence[Day]]) -> dict[str, dict[str, Any]]:
    """Returns mean and least shares over the seeds, by kind of day."""
    return {
        name: {
            "value_mean": round(fmean(day.value for day in days), 4),
            "value_least": round(min(day.value for day in days), 4),
            "spent_mean": round(fmean(day.spent for day in days), 4),
            "overspent": sum(day.overspent for day in days),
        }
        for days in zip(*runs, strict=True)
        for name in [days[0].name]
    }
