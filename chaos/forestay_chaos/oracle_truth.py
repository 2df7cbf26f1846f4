"""What the input topics say must have happened: which events count, which are refused, and when time passed.

Written from docs/features.md, docs/architecture.md and docs/identity.md. Nothing here is taken from the engine.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from forestay_chaos.read_record import ReadRecord
from forestay_chaos.traffic import HOUR, SEQUENCE_HEADER, Traffic

LATENESS: Final = 72 * HOUR
Coordinates = tuple[int, int]


class Counted(NamedTuple):
    """An event that counts: `clock` is what its partition's clock shows as it is taken in, `cents` its worth."""

    event_id: str
    kind: str
    ts: int
    clock: int
    cents: int
    order: str


class Totals(NamedTuple):
    """What is to be known of a user: events, orders, spend in hundredths, refunds."""

    events: int
    orders: int
    cents: int
    refunds: int


class Refused(NamedTuple):
    """A record that belongs in the dead letters: why, and it itself. `surely`: no, if it may be a repeat as well."""

    codes: frozenset[str]
    record: ReadRecord
    surely: bool = True


@dataclass
class Truth:
    """What the topics of input hold, by user id (of a visitor too) in order of arrival; `clocks` by partition."""

    counted: dict[str, list[Counted]] = field(default_factory=lambda: defaultdict(list))
    repeats: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    unsure: set[str] = field(default_factory=set)
    refused: dict[Coordinates, Refused] = field(default_factory=dict)
    clocks: dict[int, int] = field(default_factory=dict)
    partitions: dict[str, int] = field(default_factory=dict)
    sent: dict[int, int] = field(default_factory=lambda: defaultdict(int))


def truth_of(traffic: Traffic, clickstream: Sequence[ReadRecord], clock: Sequence[ReadRecord]) -> Truth:
    """Reads the input topics, each in order of partition and offset."""
    truth = Truth()
    partitions: dict[int, list[ReadRecord]] = defaultdict(list)
    for record in clickstream:
        partitions[record.partition].append(record)
    for records in partitions.values():
        _Reader(traffic, truth).read(records)
    for record in clock:
        place = sequence_of(record)
        if place is not None:
            truth.sent[place] += 1
        told = milliseconds(json.loads(record.value or b"")["ts"])
        truth.clocks[record.partition] = max(told, truth.clocks.get(record.partition, -1))
    return truth


class _Reader:
    """Reads one partition of the clickstream."""

    def __init__(self, traffic: Traffic, truth: Truth) -> None:
        self._broken, self._truth = traffic.broken, truth
        self._seen: dict[str, set[str]] = defaultdict(set)
        self._clock = self._watermark = -1

    def read(self, records: Sequence[ReadRecord]) -> None:
        for record in records:
            place = sequence_of(record)
            if place is not None:
                self._truth.sent[place] += 1
            codes = self._broken.get(place) if place is not None else None
            if codes is not None:
                self._truth.refused[record.partition, record.offset] = Refused(codes, record)
            else:
                self._take(record, json.loads(record.value or b""))

    def _take(self, record: ReadRecord, event: dict[str, Any]) -> None:
        truth, user, ts = self._truth, event["user_id"], milliseconds(event["ts"])
        oldest = self._watermark - LATENESS
        self._watermark = max(self._watermark, ts)
        self._clock = max(self._clock, ts)
        known = event["event_id"] in self._seen[user]
        if ts < oldest:
            # What was counted and comes again too late is a repeat, or too late: the page leaves it open.
            truth.refused[record.partition, record.offset] = Refused(frozenset({"too_late"}), record, not known)
            if known:
                truth.unsure.add(user)
            return
        if known:
            truth.repeats[user] += 1
            return
        self._seen[user].add(event["event_id"])
        truth.partitions[user] = record.partition
        truth.counted[user].append(
            Counted(event["event_id"], event["event"], ts, self._clock, _cents(event), event.get("order_id") or "")
        )


def _cents(event: dict[str, Any]) -> int:
    items = event.get("items") or [event]
    return sum(round((item.get("price") or 0) * 100) * (item.get("quantity") or 1) for item in items)


def milliseconds(moment: str | int) -> int:
    """Returns a moment as the contract allows to write it, in milliseconds since 1970."""
    return moment if isinstance(moment, int) else round(datetime.fromisoformat(moment).timestamp() * 1000)


def sequence_of(record: ReadRecord) -> int | None:
    """Returns the record's place in the traffic, None if it is not from there."""
    for name, value in record.headers:
        if name == SEQUENCE_HEADER and value is not None:
            return int(value)
    return None


def trail(events: Sequence[Counted]) -> list[Totals]:
    """Returns what is to be known of a user after each of their events."""
    found: list[Totals] = []
    orders: set[tuple[str, str]] = set()
    count = {"purchase": 0, "refund": 0}
    cents = 0
    for number, event in enumerate(events, 1):
        if event.kind in count:
            order = event.kind, event.order
            count[event.kind] += not event.order or order not in orders
            orders.add(order)
        cents += event.cents if event.kind == "purchase" else 0
        found.append(Totals(number, count["purchase"], cents, count["refund"]))
    return found
