"""Latencies from event to decision and to action, and their percentiles."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Final

import msgspec

from forestay.output_reading import SeenAction, SeenDecision

_PERCENTILES: Final = (50, 90, 99)


class Percentiles(msgspec.Struct, frozen=True):
    """Percentiles of `count` latencies, in milliseconds, by nearest rank."""

    count: int
    p50: int
    p90: int
    p99: int
    max: int


class Latencies(msgspec.Struct, frozen=True):
    """Latencies in milliseconds, sorted: to the record's own Kafka time, and to its arrival at a consumer."""

    to_record: list[int]
    to_consumer: list[int]


#: When source records were sent: Kafka's time in epoch milliseconds by partition and offset.
SourceTimes = Mapping[tuple[int, int], int]


def percentiles(ordered: Sequence[int]) -> Percentiles | None:
    """Returns the percentiles of sorted latencies, None if there are none."""
    if not ordered:
        return None
    p50, p90, p99 = (ordered[ceil(len(ordered) * percent / 100) - 1] for percent in _PERCENTILES)
    return Percentiles(len(ordered), p50, p90, p99, ordered[-1])


def latencies(seen: Iterable[SeenDecision | SeenAction], topic: str, sent: SourceTimes) -> Latencies:
    """Returns the latencies of those in `seen` that a record of `topic` in `sent` caused."""
    to_record, to_consumer = [], []
    for record, stamp in seen:
        trigger = record.trigger
        started = sent.get((trigger.partition, trigger.offset)) if trigger.topic == topic else None
        if started is not None:
            to_record.append(stamp.timestamp - started)
            to_consumer.append(stamp.arrived - started)
    return Latencies(sorted(to_record), sorted(to_consumer))


def by_rung(seen: Iterable[SeenDecision]) -> dict[str, list[SeenDecision]]:
    """Returns decisions grouped by their rung, the rungs in order of their names."""
    groups: dict[str, list[SeenDecision]] = defaultdict(list)
    for decision in seen:
        groups[decision.record.churn.rung or "none"].append(decision)
    return dict(sorted(groups.items()))
