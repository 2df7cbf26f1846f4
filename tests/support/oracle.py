"""The naive truth: everything recomputed from the whole log of events, with no rings, heaps or running sums.

Written from the docstrings of windows, steps, features, timers and user_state, not from their code. Where this
and the core differ, one of the two or the documentation is wrong.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean, pstdev
from typing import Final, NamedTuple

from support.builders import Click

from forestay.core.hashing import hash64
from forestay.core.rules import Rules
from forestay.core.units import DAY, HOUR, MINUTE
from forestay_schemas.types import EventName

KINDS: Final = [name.value for name in EventName]
WINDOWS: Final = {"1h": (5 * MINUTE, 12), "1d": (HOUR, 24), "7d": (12 * HOUR, 14), "30d": (DAY, 30)}
REMEMBERED_EVENTS, REMEMBERED_ORDERS, STEPS = 128, 16, 64
TWO_YEARS: Final = 17_520.0


class Step(NamedTuple):
    """One step as the documentation of steps.py has it."""

    slot: int
    kind: int
    order: int
    lines: int
    quantity: int
    value: int
    dearest: tuple[int, int, int]


class Moment(NamedTuple):
    """A user to be scored: at what moment, for an event or a silence, and the features then."""

    user: str
    now: int
    kind: str
    features: dict[str, float]


def distinct(arrived: Iterable[Click]) -> list[Click]:
    """The events that count: a repeat is recognised while fewer than 128 others came in between."""
    events: list[Click] = []
    for event in arrived:
        if event["event_id"] not in {known["event_id"] for known in events[-REMEMBERED_EVENTS:]}:
            events.append(event)
    return events


def counted(events: Sequence[Click]) -> list[Click]:
    """Of the lines of an order only the first to arrive, while the order is among the last 16."""
    counting: list[Click] = []
    orders: list[tuple[str, str]] = []
    for event in events:
        if event["event"] in ("purchase", "refund") and event.get("order_id"):
            order = (event["event"], event["order_id"])
            if order in orders[-REMEMBERED_ORDERS:]:
                continue
            orders.append(order)
        counting.append(event)
    return counting


def value(event: Click) -> int:
    """Price times quantity in hundredths, the price rounded first."""
    return round((event.get("price") or 0) * 100) * (event.get("quantity") or 1)


def gaps(events: Sequence[Click]) -> list[int]:
    """The gaps between visits in whole minutes, as they were seen when the events arrived."""
    found = []
    newest = events[0]["ts"]
    for event in events:
        if event["ts"] - newest > 30 * MINUTE:
            found.append((event["ts"] - newest) // MINUTE)
        newest = max(newest, event["ts"])
    return found


def steps(events: Iterable[Click]) -> list[Step]:
    """All events of one kind (and order) within half an hour are a step; the newest 64."""
    groups: dict[tuple[int, int, int], list[Click]] = defaultdict(list)
    for event in events:
        kind, order = event["event"], event.get("order_id") or ""
        ordered = hash64(f"{kind}\x1f{order}") if order and kind in ("purchase", "refund") else 0
        groups[(event["ts"] // (30 * MINUTE) * 30 * MINUTE, KINDS.index(kind), ordered)].append(event)
    made = []
    for key in sorted(groups)[-STEPS:]:
        lines = groups[key]
        worth = [(value(e), _hash(e.get("item_id")), _hash(e.get("category"))) for e in lines]
        quantity = sum(e.get("quantity") or 1 for e in lines)
        made.append(Step(*key, len(lines), quantity, sum(w[0] for w in worth), max(worth)))
    return made


def _hash(text: str | None) -> int:
    return hash64(text) if text else 0


def features(arrived: Sequence[Click], now: int) -> dict[str, float]:
    """Every feature of one user at moment `now`, from all events that have arrived, in order of arrival."""
    events = distinct(arrived)
    return _windows(events, now) | _recencies(events, now) | _lifetime(events, now) | _long(events, now)


def _windows(events: Sequence[Click], now: int) -> dict[str, float]:
    values: dict[str, float] = {}
    counting = counted(events)
    for name, (bucket, buckets) in WINDOWS.items():
        first = (now // bucket - buckets + 1) * bucket
        counts = Counter(e["event"] for e in counting if first <= e["ts"])
        values |= {f"{kind}_count_{name}": counts[kind] for kind in KINDS}
        for feature, kind in (("spend", "purchase"), ("refund_value", "refund")):
            values[f"{feature}_{name}"] = (
                sum(value(e) for e in events if e["event"] == kind and first <= e["ts"]) / 100
            )
    return values


def _recencies(events: Sequence[Click], now: int) -> dict[str, float]:
    def since(moments: Sequence[int]) -> float:
        return min((now - max(moments)) / HOUR, TWO_YEARS) if moments else TWO_YEARS

    values = {f"hours_since_{kind}": since([e["ts"] for e in events if e["event"] == kind]) for kind in KINDS}
    values["hours_since_last_event"] = since([e["ts"] for e in events])
    values["tenure_hours"] = (now - min(e["ts"] for e in events)) / HOUR
    return values


def _lifetime(events: Sequence[Click], now: int) -> dict[str, float]:
    counts = Counter(e["event"] for e in counted(events))
    spend = sum(value(e) for e in events if e["event"] == "purchase") / 100
    between = gaps(events)
    mean = fmean(between) / 60 if between else 0.0
    return {
        "orders_total": counts["purchase"],
        "spend_total": spend,
        "refunds_total": counts["refund"],
        "refund_value_total": sum(value(e) for e in events if e["event"] == "refund") / 100,
        "events_total": len(events),
        "average_basket": spend / counts["purchase"] if counts["purchase"] else 0.0,
        "visits_total": len(between) + 1,
        "visit_gap_mean_hours": mean,
        "visit_gap_deviation_hours": pstdev(between) / 60 if len(between) > 1 else 0.0,
        "silence_ratio": (now - max(e["ts"] for e in events)) / HOUR / mean if between else 0.0,
    }


def _long(events: Sequence[Click], now: int) -> dict[str, float]:
    values: dict[str, float] = {}
    for days in (90, 180):
        bought = [s for s in steps(events) if KINDS[s.kind] == "purchase" and s.slot >= now - days * DAY]
        values |= {f"orders_{days}d": len(bought), f"spend_{days}d": sum(s.value for s in bought) / 100}
    return values


def first_silence(events: Sequence[Click]) -> int:
    """Mean gap plus two deviations, between a day and sixty; fourteen days below four visits."""
    between = gaps(events)
    if len(between) + 1 < 4:
        return 14 * DAY
    return round(min(max((fmean(between) + 2 * pstdev(between)) * MINUTE, DAY), 60 * DAY))


class Truth:
    """A partition told record by record: who is to be scored when, and with which features."""

    def __init__(self, rules: Rules) -> None:
        self.arrived: dict[str, list[Click]] = defaultdict(list)
        self.moments: list[Moment] = []
        self.clock = -1
        self.due: dict[str, int] = {}
        self._rules = rules
        self._last: dict[str, int] = {}

    def tell(self, clock: int) -> None:
        """Event time reaches `clock`: every silence due by then speaks, by due time and then by user."""
        self.clock = max(self.clock, clock)
        while ready := sorted((due, user) for user, due in self.due.items() if due <= self.clock):
            due, user = ready[0]
            self._moment(user, due, "silence")
            self._wait(user, after=due)

    def see(self, event: Click) -> None:
        """One event arrives."""
        user, ts = event["user_id"], event["ts"]
        self.tell(ts)
        before = len(distinct(self.arrived[user]))
        self.arrived[user].append(event)
        known = distinct(self.arrived[user])
        if len(known) == before:
            return
        last = self._last.get(user)
        self._wait(user, after=max(self.clock, last or -1))
        wanted = KINDS.index(event["event"]) in self._rules.score_on and ts == max(e["ts"] for e in known)
        if wanted and (last is None or ts - last >= max(self._rules.score_interval, 1)):
            self._moment(user, ts, "event")

    def _moment(self, user: str, now: int, kind: str) -> None:
        self._last[user] = now
        self.moments.append(Moment(user, now, kind, features(self.arrived[user], now)))

    def _wait(self, user: str, after: int) -> None:
        """The next silence: the first, or one two, four, ... times as long, up to 180 days."""
        events = distinct(self.arrived[user])
        last, silence = max(e["ts"] for e in events), first_silence(events)
        later = [
            last + (silence << k) for k in range(8) if silence << k <= 180 * DAY and last + (silence << k) > after
        ]
        self.due.pop(user, None)
        if later:
            self.due[user] = later[0]
