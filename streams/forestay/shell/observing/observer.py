"""What pipelines tell of each batch they have made durable: counted here, and watched."""

import logging
from collections import Counter
from typing import NamedTuple

from forestay.core.applied import Applied
from forestay.core.decision.answer import Answer
from forestay.core.decision.deciding import Settled
from forestay.core.record import OutputRecord
from forestay.shell.observing.histogram import Histogram
from forestay.shell.observing.stream_watch import StreamWatch

logger = logging.getLogger(__name__)


class Batch(NamedTuple):
    """A batch of one partition: what was applied, answered (by decision id) and settled.

    `clock`: event time at its end (milliseconds). `age`: seconds since its oldest record, None for recordings.
    """

    partition: int
    clock: int
    applied: Applied
    answers: dict[str, Answer]
    settled: Settled
    age: float | None


class Observer:
    """Counts over a worker's life, and the watch on drift where it is on."""

    def __init__(self, watch: StreamWatch | None = None) -> None:
        """Starts at zero."""
        self.watch = watch
        #: Whether an error has ended the watch.
        self.watch_ended = False
        #: By what asked for the decision, and the rung of the ladder.
        self.decisions: Counter[tuple[str, str]] = Counter()
        self.actions: Counter[str] = Counter()
        self.dead_letters: Counter[str] = Counter()
        self.ages = Histogram()
        #: Offers and kinds stopped automatically, by partition.
        self.paused: dict[int, list[str]] = {}

    def take(self, batch: Batch) -> None:
        """Takes in a batch."""
        for decision in batch.settled.decisions:
            self.decisions[decision.trigger.kind, decision.churn.rung] += 1
        for action in batch.settled.actions:
            self.actions[action.kind] += 1
        for letter in batch.applied.dead_letters:
            self.dead_letters[_reason(letter)] += 1
        if batch.age is not None:
            self.ages.observe(batch.age)
        if self.watch is not None:
            self._watch(self.watch, batch)

    def _watch(self, watch: StreamWatch, batch: Batch) -> None:
        try:
            watch.take(batch.partition, batch.clock, batch.applied, batch.answers)
        except Exception:
            # Whatever is wrong with what only looks on, it must not stop what decides.
            logger.exception("drift is watched no more until this worker starts again")
            self.watch, self.watch_ended = None, True


def _reason(letter: OutputRecord) -> str:
    """Returns the code of a dead letter: our own header, which is behind those of the record."""
    return next((told.decode() for name, told in reversed(letter.headers) if name == "forestay-error" and told), "")
