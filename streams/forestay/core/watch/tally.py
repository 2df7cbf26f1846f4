"""What one partition's stream has shown: sums of fixed size, added up over partitions where they are judged."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forestay.core.decision.answer import Answer
from forestay.core.decision.model_input import ModelInput
from forestay.core.decision.situation import Situation
from forestay.core.event import NEVER
from forestay.core.hashing import hash64
from forestay.core.units import DAY, HOUR, MINUTE
from forestay.core.watch.columns import SCORE, numbers_of
from forestay.core.watch.fields import Fields
from forestay.core.watch.reference import Reference
from forestay.core.watch.returns import Returns
from forestay.core.watch.ring import Ring
from forestay.core.watch.seen import Seen

#: Hours of traffic whose rows are held against the reference.
HOURS: Final = 24
#: Bins of equal width that scores are counted in, for the quality they promise.
SCORE_BINS: Final = 50
#: Places in which it is noted when a user's row was last counted (128 kB). Two users of one place count as one.
_PLACES: Final = 65_536
#: Rows that are counted together (4 kB each): some 100 µs for a few as for many.
_MOST_WAITING: Final = 64
#: Situations found later than this are no present of the user's: an order may lie between.
_LATEST: Final = HOUR


class Row(NamedTuple):
    """One user scored as of `now`, which became known at `clock`: the model's input and its answer (None: none)."""

    user_id: str
    now: int
    clock: int
    input: ModelInput
    probability: float | None
    returning: float | None


def rows_of(situations: Sequence[Situation], answers: Sequence[Answer | None]) -> list[Row]:
    """Returns a batch's situations with their answers as rows."""
    return [_row(one, answer) for one, answer in zip(situations, answers, strict=True)]


def _row(situation: Situation, answer: Answer | None) -> Row:
    probability = None if answer is None else answer.probability
    if probability is not None and not 0 <= probability <= 1:
        # What is no probability is no answer, as the ladder has it: counted, it would be a score nobody acts by.
        probability = None
    curve = None if probability is None or answer is None else answer.survival
    returning = None if curve is None else 1 - curve.lasting(0.0, DAY / HOUR)
    return Row(situation.user_id, situation.now, situation.clock, situation.input, probability, returning)


class Tally:
    """The sums of one partition. Of fixed size, but for the open windows of `Returns`."""

    def __init__(self, reference: Reference | None) -> None:
        """`reference` has the columns whose bins are counted; without one, no rows are."""
        self.fields = Fields()
        self.returns = Returns(DAY)
        self.refer(reference)

    def refer(self, reference: Reference | None) -> None:
        """Counts rows anew, in the bins of another reference."""
        self._waiting: list[Row] = []
        columns = reference.columns if reference else ()
        self._reference = reference
        self._width = max((column.bins for column in columns), default=1)
        self._rows = Ring(HOURS, len(columns), self._width)
        self._scores = Ring(HOURS, SCORE_BINS)
        self._counted = np.zeros(_PLACES, np.uint16)

    @property
    def rows(self) -> NDArray[np.float64]:
        """Returns counts by column and bin, of each user at most once a day; narrower columns end in zeros."""
        self._count()
        return self._rows.total

    @property
    def scores(self) -> NDArray[np.float64]:
        """Returns counts of scores by bins of equal width."""
        self._count()
        return self._scores.total

    def take(self, clock: int, seen: Seen, rows: Sequence[Row]) -> bool:
        """Adds a batch that ended at `clock` (event time, milliseconds); returns whether a minute has begun."""
        if clock == NEVER:
            return False
        self._order(seen)
        self.returns.close(clock)
        hour = clock // HOUR
        if hour > self._scores.newest:
            self._count()
            self._rows.advance(hour)
            self._scores.advance(hour)
        if rows:
            self._take_rows(clock, rows)
            if seen.orders:
                # A batch may be hours long: an order in it may follow a score in it.
                self._order(seen)
        return self.fields.take(clock // MINUTE, seen)

    def _order(self, seen: Seen) -> None:
        for user_id, ts in seen.orders:
            self.returns.ordered(user_id, ts)

    def _take_rows(self, clock: int, rows: Sequence[Row]) -> None:
        self._waiting += self._first_of_the_day(clock, rows)
        if len(self._waiting) >= _MOST_WAITING:
            self._count()
        for row in rows:
            returning = self._returning(row)
            if returning is not None and row.clock - row.now <= _LATEST:
                self.returns.expect(row.user_id, row.now, returning)

    def _first_of_the_day(self, clock: int, rows: Sequence[Row]) -> list[Row]:
        """Returns rows of users none of whose rows was counted in the last day: those of one user are much alike."""
        hour = clock // HOUR % 65_535 + 1
        fresh = []
        for row in rows:
            place = hash64(row.user_id) % _PLACES
            last = int(self._counted[place])
            if not last or (hour - last) % 65_535 >= HOURS:
                self._counted[place] = hour
                fresh.append(row)
        return fresh

    def _count(self) -> None:
        """Counts the rows that wait, in the hour they were taken in."""
        rows, self._waiting = self._waiting, []
        if not rows:
            return
        scores = np.array([np.nan if row.probability is None else row.probability for row in rows])
        known = scores[np.isfinite(scores)]
        place = np.minimum((known * SCORE_BINS).astype(np.intp), SCORE_BINS - 1)
        self._scores.add(np.bincount(place, minlength=SCORE_BINS))
        if self._reference is not None:
            self._rows.add(binned(self._reference, rows, scores, self._width))

    def _returning(self, row: Row) -> float | None:
        """Returns how likely the user orders within a day: by the curve, else by what the score's bin had once."""
        if row.returning is not None or row.probability is None:
            return row.returning
        if self._reference is None or not self._reference.returned:
            return None
        score = next(column for column in self._reference.columns if column.name == SCORE)
        return self._reference.returned[int(np.searchsorted(score.edges, row.probability, side="right"))]


def binned(reference: Reference, rows: Sequence[Row], scores: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Returns counts by column and bin (columns, width) of rows; `scores` (N,) with nan where there is none."""
    names = [column.name for column in reference.columns if column.name != SCORE]
    numbers = dict(zip(names, numbers_of(stacked(rows), names).T, strict=True))
    counts = np.zeros((len(reference.columns), width))
    for at, column in enumerate(reference.columns):
        own = scores if column.name == SCORE else numbers[column.name]
        known = own[np.isfinite(own)]
        counts[at] = np.bincount(column.bin(known), minlength=width)
    return counts


def stacked(rows: Sequence[Row]) -> ModelInput:
    """Returns the newest step and the features of rows, N first: all that columns are made of."""
    return ModelInput(
        np.stack([row.input.step_tokens[-1:] for row in rows]),
        np.stack([row.input.step_numbers[-1:] for row in rows]),
        np.stack([row.input.features for row in rows]),
    )
