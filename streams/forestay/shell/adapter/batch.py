"""What becomes of one fetch of foreign records: click events by partition, dead letters, reasons to skip."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from forestay.adapters.adapter import Adapter, Mapped, Skipped
from forestay.adapters.records import decode_object, with_headers
from forestay.core.decoding.decode import dead_letter
from forestay.core.errors import DeadLetter, FloodError
from forestay.core.flood import FloodGuard
from forestay.core.record import OutputRecord, Record
from forestay.shell.placement import Placement

#: Users whose partition is remembered: murmur2 in Python takes 10 µs for a UUID.
_REMEMBERED: Final = 65_536


class Adapted(NamedTuple):
    """What one fetch of one partition gave; `position` is the offset after the last record looked at.

    `flood` is set if so many failed that the agent must stop once these are written; the rest is unread.
    """

    events: dict[int, list[OutputRecord]]
    dead_letters: list[OutputRecord]
    skipped: list[str]
    position: int
    flood: FloodError | None = None


class Mapper:
    """Maps what is fetched, and watches how much of it fails."""

    def __init__(self, adapter: Adapter, placement: Placement, dead_letter_limit: float) -> None:
        """`placement`: on the clickstream; `dead_letter_limit`: the share of failing records that stops it."""
        self._adapter = adapter
        self._partition_of = lru_cache(maxsize=_REMEMBERED)(placement.partition)
        self._guard = FloodGuard(dead_letter_limit)

    def map(self, topic: str, partition: int, records: Sequence[Record]) -> Adapted:
        """Maps the `records` of one partition in offset order."""
        adapted = Adapted({}, [], [], records[-1].offset + 1)
        for record in records:
            try:
                outcome = _map(self._adapter, record)
            except DeadLetter as problem:
                adapted.dead_letters.append(dead_letter(topic, partition, record, problem))
                flood = self._guard.failed()
                if flood is not None:
                    return adapted._replace(position=record.offset + 1, flood=flood)
                continue
            self._guard.passed()
            if isinstance(outcome, Skipped):
                adapted.skipped.append(outcome.reason)
            else:
                output = OutputRecord(outcome.key, outcome.value)
                adapted.events.setdefault(self._partition_of(outcome.key), []).append(output)
        return adapted


def _map(adapter: Adapter, record: Record) -> Mapped | Skipped:
    if record.value is None:
        return Skipped("no value (a tombstone)")
    return adapter.map(with_headers(decode_object(record.value), record.headers))
