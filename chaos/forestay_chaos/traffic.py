"""A shop's traffic for the fault harness: made from a seed, with everything in it that makes counting hard.

Times in the events run much faster than the wall: `SPAN_DAYS` pass while the traffic is sent, so that silences,
windows and caps happen. Some events come late, some too late, producers send some twice, some records are broken,
and, in traffic of an odd seed, visitors log in and become users they were not before. When all is over each user
sends one more event, the probe, and then the clock moves on by `SILENT_DAYS`, so that everyone falls silent at a
moment that can be foretold.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from forestay_chaos.traffic_broken import broken
from forestay_chaos.traffic_places import partition_of

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
#: 2025-03-01T00:00:00Z. Always in the past: an event may not lie ahead of the time at which it is sent.
BEGIN: Final = 1_740_787_200_000
SPAN_DAYS: Final = 24
SILENT_DAYS: Final = (1, 2, 3, 4, 6, 8, 10, 12, 14, 15, 16, 20, 24, 28, 32, 36, 40)
#: How far behind its time a late event lies, and one that is too late, in hours; the engine's lateness is 72.
LATE: Final = (1.0, 50.0)
TOO_LATE: Final = (80.0, 150.0)
#: What a record says of itself in its headers, which a dead letter keeps: its place in the traffic.
SEQUENCE_HEADER: Final = "chaos-sequence"
CATALOGUE: Final = Path(__file__).parent / "catalogue.yaml"
TRIGGERS: Final = Path(__file__).parent / "triggers.yaml"
KINDS: Final = (
    ("page_view", 30),
    ("view_item", 20),
    ("search", 6),
    ("add_to_cart", 12),
    ("remove_from_cart", 2),
    ("begin_checkout", 4),
    ("purchase", 22),
    ("refund", 4),
)
FEATURES: Final = ("events_total", "orders_total", "spend_total", "refunds_total")

Headers = tuple[tuple[str, bytes], ...]
Event = dict[str, Any]


class TrafficRecord(NamedTuple):
    """A record to be sent `at_seconds` after the start, to `partition` of the topic that plays `topic_role`."""

    at_seconds: float
    topic_role: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int


@dataclass(frozen=True)
class Traffic:
    """Records in sending order.

    `broken` says by place which records break the contract, and with which codes they may be refused. `others` maps
    the id of a visitor to the user they turn out to be. Before the records at the places `barriers` the sender waits
    until the workers have committed all that was sent, of the identity topic too.
    """

    seed: int
    partitions: int
    records: list[TrafficRecord]
    broken: dict[int, frozenset[str]]
    others: dict[str, str]
    users: list[str]
    barriers: tuple[int, int]

    def settings(self) -> dict[str, str]:
        """Returns what a worker needs in its environment so that all it does can be seen from outside."""
        return {
            "FORESTAY_CATALOGUE": str(CATALOGUE),
            "FORESTAY_TRIGGERS": str(TRIGGERS),
            "FORESTAY_ENGINE__SCORE_ON": '["purchase"]',
            "FORESTAY_ENGINE__SCORE_INTERVAL_MINUTES": "0",
            "FORESTAY_FEATURES__EMIT_ON": json.dumps(sorted(kind for kind, _ in KINDS)),
            "FORESTAY_FEATURES__EMIT": json.dumps(FEATURES),
            "FORESTAY_TOPICS__PARTITIONS": str(self.partitions),
            # Of two seeds in four. A second is more than a day of event time here: so that reports are not stale.
            "FORESTAY_BUDGETS__MOVES": str(self.seed // 2 % 2 == 0),
            "FORESTAY_BUDGETS__INTERVAL_SECONDS": str(6 * 3_600),
            # Clock records are part of the traffic.
            "FORESTAY_WORKER__CLOCK": "none",
        }


def make_traffic(seed: int, seconds: float, rate: float, partitions: int) -> Traffic:
    """Returns traffic of `seconds` at about `rate` records a second, the same for the same arguments."""
    maker = _Maker(seed, seconds, rate, partitions)
    timed = sorted(maker.shop(), key=lambda each: each.at_seconds)
    records: list[TrafficRecord] = []
    flawed: dict[int, frozenset[str]] = {}
    for each in timed:
        if each.codes:
            flawed[len(records)] = each.codes
        records.append(_record(len(records), each, partitions))
    probes = len(records)
    for probe in maker.probes():
        records.append(_record(len(records), probe, partitions))
    clocks = len(records)
    records.extend(maker.clocks(records[-1].at_seconds, clocks))
    return Traffic(seed, partitions, records, flawed, maker.others, maker.users, (probes, clocks))


class _Timed(NamedTuple):
    at_seconds: float
    key: bytes | None
    value: bytes | None
    codes: frozenset[str] = frozenset()


def _record(place: int, sent: _Timed, partitions: int) -> TrafficRecord:
    partition = place % partitions if sent.key is None else partition_of(sent.key, partitions)
    headers = ((SEQUENCE_HEADER, str(place).encode()),)
    return TrafficRecord(sent.at_seconds, "clickstream", sent.key, sent.value, headers, partition)


def _sent(at: float, event: Event) -> _Timed:
    return _Timed(at, event["user_id"].encode(), json.dumps(event).encode())


class _Maker:
    """Makes the traffic of one seed."""

    def __init__(self, seed: int, seconds: float, rate: float, partitions: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - the same traffic for the same seed is the point
        self._seed, self._seconds, self._partitions = seed, seconds, partitions
        self._records = int(seconds * rate)
        self._step = SPAN_DAYS * DAY / seconds
        self._made = 0
        #: About sixty records a user: enough sessions for a rhythm.
        count = min(max(12, self._records // 60), 3_000)
        self.users = [f"u{seed}-{number}" for number in range(count)]
        every = 8 if seed % 2 else count + 1
        self._visitor = {user: f"visitor-{user}" for user in self.users[1::every]} if seed % 2 else {}
        #: Visitors who have logged in, with the users they turned out to be: some who sleep never do.
        self.others: dict[str, str] = {}
        self._links = {user: self._random.uniform(0.2, 0.7) * seconds for user in self._visitor}
        self._asleep = {user: self._sleep() for user in self.users}

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _sleep(self) -> tuple[float, float]:
        """Returns from when until when a user does nothing (seconds): two in five are silent for days."""
        if not self._chance(0.4):
            return self._seconds, self._seconds
        begin = self._random.uniform(0.1, 0.8) * self._seconds
        return begin, begin + self._random.uniform(2, 12) / SPAN_DAYS * self._seconds

    def shop(self) -> Iterator[_Timed]:
        """Yields what is sent before the probes, in no order."""
        made = 0
        while made < self._records:
            at = self._random.uniform(0, self._seconds)
            user = self._random.choice(self.users)
            begin, end = self._asleep[user]
            if begin <= at < end:
                continue
            for sent in self._visit(at, user):
                yield sent
                made += 1
            if self._chance(0.03):
                yield _Timed(at, *broken(self._random, user, self._time(at)))
                made += 1

    def _time(self, at: float) -> int:
        return BEGIN + round(at * self._step)

    def _visit(self, at: float, user: str) -> Iterator[_Timed]:
        """Yields what a user does within some minutes, and what their producers send twice."""
        ts = self._time(at)
        name = self._name_of(user, at)
        for _ in range(self._random.choice((1, 1, 1, 2, 3))):
            ts += self._random.randint(1, 4 * 60_000)
            at += 0.001
            kind = self._random.choices(*zip(*KINDS, strict=True))[0]
            if kind == "add_to_cart" and user in self._visitor:
                # Whether a cart was left alone depends on when two ids meet, which nobody can foretell.
                kind = "view_item"
            for event in self._events(name, kind, ts - self._lag()):
                yield _sent(at, event)
                if self._chance(0.04):
                    again = at + self._random.uniform(0.0, 10 * HOUR / self._step)
                    yield _sent(again, self._repeated(event))
        if name == user and user in self._visitor and self._links[user] <= at:
            (event,) = self._events(user, "page_view", ts + 1)
            self.others[self._visitor[user]] = user
            yield _sent(at + 0.001, event | {"anonymous_id": self._visitor[user]})

    def _name_of(self, user: str, at: float) -> str:
        visitor = self._visitor.get(user)
        if visitor is None:
            return user
        return visitor if self._chance(0.5 if at < self._links[user] else 0.2) else user

    def _lag(self) -> int:
        """Returns how late an event comes, in milliseconds: mostly not at all."""
        if self._chance(0.04):
            return round(self._random.uniform(*LATE) * HOUR)
        return round(self._random.uniform(*TOO_LATE) * HOUR) if self._chance(0.007) else 0

    def _repeated(self, event: Event) -> Event:
        """Returns what a retrying producer sends: mostly the same, at times the same id with another price."""
        return event | {"price": 99.0} if "price" in event and self._chance(0.2) else event

    def _events(self, name: str, kind: str, ts: int) -> Iterator[Event]:
        """Yields an event, or for an order its lines."""
        lines = self._random.choice((1, 1, 2, 3)) if kind == "purchase" else 1
        order = {"order_id": f"o{self._made}"} if lines > 1 or self._chance(0.5) else {}
        for line in range(lines):
            self._made += 1
            moment = ts + line * self._random.randint(0, 3)
            event: Event = {"event_id": f"e{self._seed}-{self._made}", "user_id": name, "event": kind}
            event["ts"] = moment if self._made % 3 else written(moment)
            if kind in ("purchase", "refund"):
                event |= order
            if kind in ("purchase", "refund", "add_to_cart", "view_item"):
                event |= self._goods()
            yield event

    def _goods(self) -> Event:
        item = {"item_id": f"i{self._made}", "price": self._random.randint(1, 900) / 100}
        item["quantity"] = self._random.randint(1, 4)
        return {"items": [item, item | {"item_id": f"j{self._made}"}]} if self._chance(0.1) else item

    def probes(self) -> Iterator[_Timed]:
        """Yields one event of each user, in whose features all that happened must show."""
        ts = BEGIN + SPAN_DAYS * DAY + HOUR
        for number, user in enumerate(self.users):
            event = {"event_id": f"probe-{user}", "user_id": user, "event": "page_view", "ts": ts + number}
            yield _sent(self._seconds + 0.5 + number * 0.001, event)

    def clocks(self, at: float, first: int) -> Iterator[TrafficRecord]:
        """Yields clock records for each partition, in steps; `first` is the place of the first."""
        place = first
        for step, days in enumerate(SILENT_DAYS):
            for partition in range(self._partitions):
                value = json.dumps({"ts": written(BEGIN + (SPAN_DAYS + days) * DAY + 2 * HOUR)}).encode()
                headers = ((SEQUENCE_HEADER, str(place).encode()),)
                yield TrafficRecord(at + 0.5 + 0.2 * step, "clock", None, value, headers, partition)
                place += 1


def written(milliseconds: int) -> str:
    """Returns a moment as RFC 3339."""
    moment = datetime.fromtimestamp(milliseconds / 1_000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
