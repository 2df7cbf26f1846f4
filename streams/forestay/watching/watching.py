"""Recordings through the core, with the watch looking on: partitions together, by event time."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from forestay.core.applied import Applied
from forestay.core.decision.answer import Answer
from forestay.core.units import DAY
from forestay.core.watch.findings import judge
from forestay.core.watch.learning import MOST_ROWS, Learning
from forestay.core.watch.reference import Reference
from forestay.core.watch.returns import Returns, Windows, windows_of
from forestay.core.watch.tally import Row, Tally, rows_of
from forestay.watching.course import Course


class Span(NamedTuple):
    """What is watched, in milliseconds of event time; what lies before is taken in and not judged."""

    first: int
    until: int

    def holds(self, moment: int) -> bool:
        """Says whether a moment is watched."""
        return self.first <= moment < self.until


class Horizon(NamedTuple):
    """Returns within the model's horizon: how many days it has, and the windows that have closed."""

    days: int
    windows: Windows


class Watching:
    """What looks on; give `observe` to a rerun."""

    def __init__(self, reference: Reference | None, span: Span, *, learn: bool = False) -> None:
        """`learn`: rows of the span make a reference (`learned`)."""
        self.reference = reference
        self.course = Course()
        self.events = 0
        self.rows = 0
        self._span = span
        self._tallies: dict[int, Tally] = {}
        self._horizons: dict[int, Returns] = {}
        self._days = 0
        self._learning = Learning(MOST_ROWS) if learn else None

    def observe(self, number: int, clock: int, applied: Applied, answers: Sequence[Answer]) -> None:
        """Takes a batch of a partition that ended at `clock`."""
        tally = self._tallies.get(number)
        if tally is None:
            tally = self._tallies[number] = Tally(self.reference)
        rows = rows_of(applied.situations, answers)
        begun = tally.take(clock, applied.seen, rows)
        self._follow(number, clock, applied, answers, rows)
        if not self._span.holds(clock):
            return
        self.events += sum(applied.seen.events)
        self.rows += len(rows)
        if self._learning is not None:
            self._learning.take(rows)
        if begun:
            # Batches are hours long where traffic is thin: each partition is judged as of its own clock.
            self.course.take(clock, judge(list(self._tallies.values()), self.reference))

    def _follow(
        self, number: int, clock: int, applied: Applied, answers: Sequence[Answer], rows: Sequence[Row]
    ) -> None:
        """Holds returns within the model's horizon against its answers."""
        returns = self._horizons.get(number)
        if returns is None:
            answered = next((one for one in answers if one.probability is not None), None)
            if answered is None:
                return
            self._days = answered.model.horizon_days
            returns = self._horizons[number] = Returns(self._days * DAY)
        self._order(returns, applied)
        returns.close(clock)
        for row in rows:
            if row.probability is not None and self._span.holds(row.now):
                returns.expect(row.user_id, row.now, 1 - row.probability)
        self._order(returns, applied)

    def _order(self, returns: Returns, applied: Applied) -> None:
        for user_id, ts in applied.seen.orders:
            returns.ordered(user_id, ts)

    @property
    def horizon(self) -> Horizon | None:
        """Returns what came of the model's answers, None where it gave none."""
        if not self._horizons:
            return None
        ever = np.sum([returns.ever for returns in self._horizons.values()], axis=0)
        return Horizon(self._days, windows_of(ever))

    def learned(self) -> str:
        """Returns the reference that the rows of the span make.

        Raises:
            ConfigurationError: they are too few.
        """
        assert self._learning is not None  # noqa: S101 - it was asked for
        return self._learning.reference()
