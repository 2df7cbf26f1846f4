"""A reference of the first rows that are scored, for who has no better one."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from forestay.core.hashing import hash64
from forestay.core.units import DAY
from forestay.core.watch.columns import WATCHED, numbers_of
from forestay.core.watch.reference import reference_of_numbers
from forestay.core.watch.tally import Row, stacked

#: Rows of a reference at most: 25 numbers each.
MOST_ROWS: Final = 100_000


class Learning:
    """Takes each user's first row of a day, as rows are counted that are held against it, until there are enough."""

    def __init__(self, rows: int, watched: Sequence[str] = WATCHED) -> None:
        """`rows` make the reference."""
        self._wanted = rows
        self._watched = watched
        self._users: set[int] = set()
        self._taken: set[tuple[int, int]] = set()
        self._numbers: list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]] = []
        self._scores: list[float] = []

    @property
    def rows(self) -> int:
        """Returns how many rows there are."""
        return len(self._scores)

    def take(self, rows: Sequence[Row]) -> None:
        """Takes rows of users it has none of that day."""
        fresh: list[Row] = []
        for row in rows:
            user = hash64(row.user_id)
            of_the_day = user, row.now // DAY
            if of_the_day not in self._taken and self.rows + len(fresh) < self._wanted:
                self._users.add(user)
                self._taken.add(of_the_day)
                fresh.append(row)
        if fresh:
            self._numbers.append(numbers_of(stacked(fresh), self._watched))
            self._scores += [np.nan if row.probability is None else row.probability for row in fresh]

    @property
    def is_done(self) -> bool:
        """Says whether there are enough."""
        return self.rows >= self._wanted

    def reference(self) -> str:
        """Returns the reference they make.

        Raises:
            ConfigurationError: there are too few.
        """
        numbers = np.concatenate(self._numbers) if self._numbers else np.zeros((0, len(self._watched)))
        scores = np.array(self._scores)
        return reference_of_numbers(numbers, scores, None, self._watched, moments="scored", users=len(self._users))
