"""One partition of a rerun: batches in, what they make out. Which batches come is for others to say."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from forestay.core.applied import Applied
from forestay.core.decision.answer import Answer
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.decide import record_of
from forestay.core.decision.deciding import Settled
from forestay.core.decoding.values import ValueDecoder
from forestay.core.errors import FloodError
from forestay.core.event import NEVER
from forestay.core.partition import MOST_WOKEN, Partition
from forestay.core.record import OutputRecord, Record
from forestay.core.rules import Rules
from forestay.core.sources import Sources
from forestay.core.units import to_milliseconds
from forestay.rerun.outputs import Kind, Made
from forestay.rerun.scores import NO_MODEL


class Plan(NamedTuple):
    """What a partition is made of: settings, and which partition a key belongs to, of how many."""

    sources: Sources
    rules: Rules
    catalogue: Catalogue
    place: Callable[[bytes], int]
    decoder: ValueDecoder | None = None
    partitions: int = 1


class Batch(NamedTuple):
    """Records of one topic, and what the time was (milliseconds, `NEVER` for recorded time)."""

    topic: str
    records: Sequence[Record]
    now: int = NEVER


class Lane:
    """The core of one partition. A batch is `apply`, then, with the answers, `settle`."""

    def __init__(self, plan: Plan, number: int) -> None:
        """Starts with an empty state."""
        self.number = number
        self.core = Partition(
            number, plan.sources, plan.rules, plan.catalogue, plan.decoder, plan.place, plan.partitions
        )
        self.decisions = 0
        #: Records applied since the last checkpoint.
        self.unwritten = 0
        #: So many records failed that a worker would have stopped, once what the batch made is written.
        self.flood: FloodError | None = None
        self._applied: Applied | None = None

    def apply(self, batch: Batch) -> Applied:
        """Applies a batch; `Applied.taken` of its records were applied, and the rest is to be given again."""
        applied = self.core.apply(batch.topic, batch.records, batch.now, MOST_WOKEN)
        self.unwritten += applied.taken
        self._applied = applied
        return applied

    def settle(self, answers: Sequence[Answer]) -> list[Made]:
        """Decides on the situations of the batch just applied; returns all that it made."""
        applied = self._applied
        assert applied is not None  # noqa: S101 - a batch is applied before it is settled
        self._applied = None
        by_decision = {one.decision_id: answer for one, answer in zip(applied.situations, answers, strict=True)}
        settled = self.core.settle(applied.situations, by_decision, NO_MODEL)
        self.decisions += len(settled.decisions)
        self.flood = applied.flood
        return list(self._made(applied, settled))

    def checkpoint(self, decisions: int, generation: int) -> list[OutputRecord]:
        """Returns what became durable at a commit; see `Partition.checkpoint`."""
        self.unwritten = 0
        return self.core.checkpoint(decisions, generation)

    def _made(self, applied: Applied, settled: Settled) -> Iterator[Made]:
        for kind, made in ((Kind.DECISIONS, settled.decisions), (Kind.ACTIONS, settled.actions)):
            if made:
                times = [to_milliseconds(one.decided_at) for one in made]
                yield Made(kind, self.number, [*map(record_of, made)], times)
        others = (
            (Kind.DEAD_LETTERS, applied.dead_letters),
            (Kind.FEATURES, applied.features),
            (Kind.OUTCOMES, settled.outcomes),
        )
        for kind, records in others:
            if records:
                yield Made(kind, self.number, records, [-1] * len(records))
