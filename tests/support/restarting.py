"""A partition with its durable records beside it, which can be taken down and restored at any moment."""

from collections.abc import Sequence
from itertools import groupby

from support.builders import MODEL, partition, restored

from forestay.core.decision.situation import Situation
from forestay.core.record import OutputRecord, SourceRecord
from forestay.core.rules import Rules


class Restarting:
    """Feeds a partition; collects its situations and dead letters; keeps what `checkpoint` says is durable."""

    def __init__(self, rules: Rules) -> None:
        """Starts without users."""
        self._rules = rules
        self._durable: dict[bytes | None, OutputRecord] = {}
        self.situations: list[Situation] = []
        self.dead_letters: list[OutputRecord] = []
        self.partition = partition(rules)

    def apply(self, records: Sequence[SourceRecord]) -> None:
        """Applies the records, those of one topic that lie together as one batch."""
        for topic, batch in groupby(records, key=lambda record: record.topic):
            applied = self.partition.apply(topic, list(batch))
            assert applied.flood is None
            self.partition.settle(applied.situations, {}, MODEL)
            self.situations += applied.situations
            self.dead_letters += applied.dead_letters

    def commit(self) -> None:
        """Makes durable what changed."""
        self._durable |= {record.key: record for record in self.partition.checkpoint(0, 0)}

    def restart(self) -> None:
        """Commits, and goes on with nothing but what is durable."""
        self.commit()
        self.partition = restored(list(self._durable.values()), self._rules)
