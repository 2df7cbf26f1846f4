"""The naive truth: every feature of docs/features.md recomputed from the whole log of events.

Written from that page and not from the core's code, with no rings, heaps or running sums. Where this and the
core differ, one of the two or the page is wrong. Two ids of one user are the union of their events; event ids and
orders count once within each id.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import fsum
from statistics import pstdev
from typing import Any, Final, NamedTuple

import numpy as np
from support.builders import Click

from forestay.core.feature_set import FEATURE_NAMES, Vector
from forestay.core.hashing import hash64
from forestay.core.units import DAY, HOUR, MINUTE, SECOND
from forestay_schemas.types import EventName

KINDS: Final = [name.value for name in EventName]
#: The windows as the page's table has them: bucket length in milliseconds, buckets.
WINDOWS: Final = {
    "5m": (25 * SECOND, 12),
    "1h": (5 * MINUTE, 12),
    "1d": (HOUR, 24),
    "7d": (12 * HOUR, 14),
    "30d": (12 * HOUR, 60),
}
SESSION_WINDOWS: Final = ("1d", "7d", "30d")
LATENESS: Final = 72 * HOUR
IDLE: Final = 730 * DAY
TWO_YEARS: Final = 17_520.0
SATURATED: Final = 2**62 - 1
ITEMS, CATEGORIES, SESSIONS, CART_ENTRIES, STEPS = 128, 64, 64, 64, 64


class Item(NamedTuple):
    """An item as an event names it: id or name, category ('': none), unit price in hundredths, quantity."""

    name: str
    category: str
    price: int
    quantity: int


class Event(NamedTuple):
    """An event as the page sees it, of which id; `order` is '' for one that belongs to no order."""

    user: str
    ts: int
    kind: str
    order: str
    items: tuple[Item, ...]

    @property
    def value(self) -> int:
        """The sum of price times quantity over the items, in hundredths."""
        return sum(item.price * item.quantity for item in self.items)


def parsed(click: Click) -> Event:
    """Returns a click event, `ts` in epoch milliseconds, as the page sees it."""
    kind = click["event"]
    order = click.get("order_id") or "" if kind in ("purchase", "refund") else ""
    items = tuple(_item(fields) for fields in click.get("items") or [click])
    return Event(click["user_id"], click["ts"], kind, order, items)


def _item(fields: Mapping[str, Any]) -> Item:
    return Item(
        fields.get("item_id") or fields.get("item_name") or "",
        fields.get("category") or "",
        round((fields.get("price") or 0) * 100),
        fields.get("quantity") or 1,
    )


def distinct(arrived: Iterable[Click]) -> list[Click]:
    """The events that count: of those with one id, the first to arrive (within each user id)."""
    first: dict[tuple[str, str], Click] = {}
    for click in arrived:
        first.setdefault((click["user_id"], click["event_id"]), click)
    return list(first.values())


def counting(arrived: Iterable[Click], idle: int = IDLE) -> list[Event]:
    """The events the features are made of, by time: once each, and none from before a silence of `idle`."""
    events = sorted((parsed(click) for click in distinct(arrived)), key=lambda event: event.ts)
    begins = [place for place in range(1, len(events)) if events[place].ts - events[place - 1].ts > idle]
    return events[begins[-1] if begins else 0 :]


def features(events: Sequence[Event], now: int) -> dict[str, float]:
    """Every feature of one user at moment `now`, in epoch milliseconds, from what `counting` left."""
    return (
        _windows(events, now)
        | _distinct(events, now)
        | _sessions(events, now)
        | _cart(events, now)
        | _recency(events, now)
        | _lifetime(events)
        | _long(events, now)
    )


def differing(found: Vector, expected: Mapping[str, float]) -> list[str]:
    """Returns what of a vector is not as expected.

    Float32 has 24 bits: a mean made in another order may differ in the last of them.
    """
    if set(expected) != set(FEATURE_NAMES) or len(found) != len(FEATURE_NAMES):
        return [f"other features: {sorted(set(expected) ^ set(FEATURE_NAMES))}"]
    wanted = np.array([expected[name] for name in FEATURE_NAMES], dtype=np.float32)
    wrong = np.flatnonzero(~np.isclose(found, wanted, rtol=1e-6, atol=1e-9))
    return [f"{FEATURE_NAMES[at]} is {found[at]}, not {wanted[at]}" for at in wrong]


def _in_window(ts: int, now: int, window: str) -> bool:
    bucket, buckets = WINDOWS[window]
    return now // bucket - buckets < ts // bucket <= now // bucket


def _money(values: Iterable[int]) -> float:
    return min(sum(values), SATURATED) / 100


def _moments(events: Iterable[Event]) -> dict[str, list[int]]:
    """When the events of each kind happened, an order of each id at its earliest line.

    A line too long after begins another order.
    """
    moments: dict[str, list[int]] = {kind: [] for kind in KINDS}
    began: dict[tuple[str, str, str], int] = {}
    for event in events:
        order = event.user, event.kind, event.order
        if not event.order or order not in began or event.ts - began[order] > LATENESS:
            moments[event.kind].append(event.ts)
            began[order] = event.ts
    return moments


def _windows(events: Sequence[Event], now: int) -> dict[str, float]:
    found: dict[str, float] = {}
    moments = _moments(events)
    for window in WINDOWS:
        recent = [event for event in events if _in_window(event.ts, now, window)]
        for kind in KINDS:
            found[f"{kind}_count_{window}"] = sum(_in_window(ts, now, window) for ts in moments[kind])
        for feature, kind in (("spend", "purchase"), ("refund_value", "refund")):
            found[f"{feature}_{window}"] = _money(event.value for event in recent if event.kind == kind)
    return found


def _distinct(events: Sequence[Event], now: int) -> dict[str, float]:
    found: dict[str, float] = {}
    items: dict[str, int] = {}
    categories: dict[str, int] = {}
    for event in events:
        second = event.ts // SECOND * SECOND
        for item in event.items:
            for mentioned, name in ((items, item.name), (categories, item.category)):
                if name:
                    mentioned[name] = max(second, mentioned.get(name, second))
    for feature, mentioned, most in (("items", items, ITEMS), ("categories", categories, CATEGORIES)):
        remembered = sorted(mentioned.values())[-most:]
        for window in WINDOWS:
            found[f"distinct_{feature}_{window}"] = sum(_in_window(ts, now, window) for ts in remembered)
    return found


def sessions(events: Iterable[Event]) -> list[tuple[int, int]]:
    """The sessions as (first, last) in whole seconds, by time: events more than 1,800 s apart are of two."""
    chains: list[list[int]] = []
    for second in sorted(event.ts // SECOND for event in events):
        if not chains or second - chains[-1][-1] > 1_800:
            chains.append([])
        chains[-1].append(second)
    return [(chain[0], chain[-1]) for chain in chains]


def session_gaps(chains: Sequence[tuple[int, int]]) -> list[int]:
    """The gaps between the last 64 sessions, in seconds."""
    return [following[0] - earlier[1] for earlier, following in pairwise(chains[-SESSIONS:])]


def _sessions(events: Sequence[Event], now: int) -> dict[str, float]:
    chains = sessions(events)
    newest = chains[-SESSIONS:]
    minutes = [(last - first) / 60 for first, last in newest]
    gaps = session_gaps(chains)
    mean = fsum(gaps) / len(gaps) / 3_600 if gaps else 0.0
    found: dict[str, float] = {
        "sessions_total": len(chains),
        "session_minutes_last": minutes[-1] if minutes else 0.0,
        "session_minutes_mean": fsum(minutes) / len(minutes) if minutes else 0.0,
        "session_gap_mean_hours": mean,
        "session_gap_deviation_hours": pstdev(gaps) / 3_600 if len(gaps) > 1 else 0.0,
        "silence_ratio": _since([event.ts for event in events], now) / mean if gaps else 0.0,
    }
    for window in SESSION_WINDOWS:
        found[f"session_count_{window}"] = sum(_in_window(last * SECOND, now, window) for _, last in newest)
    return found


class Entry(NamedTuple):
    """What an event did to an item in the cart; a removal's quantity is negative."""

    ts: int
    item: int
    quantity: int
    price: int


def _cart(events: Sequence[Event], now: int) -> dict[str, float]:
    emptied = max((event.ts for event in events if event.kind == "purchase"), default=-1)
    signs = {"add_to_cart": 1, "remove_from_cart": -1}
    entries = [
        Entry(event.ts, hash64(item.name), signs[event.kind] * item.quantity, item.price)
        for event in events
        if event.kind in signs and emptied < event.ts >= now - 30 * DAY
        for item in event.items
        if item.name
    ]
    quantity, value = 0, 0
    kept = sorted(entries)[-CART_ENTRIES:]
    for item in {entry.item for entry in kept}:
        of_item = [entry for entry in kept if entry.item == item]
        held = max(0, sum(entry.quantity for entry in of_item))
        added = [(entry.ts, entry.price) for entry in of_item if entry.quantity > 0]
        quantity += held
        value += held * max(added)[1] if added else 0
    return {"cart_quantity": quantity, "cart_value": _money([value])}


def _since(moments: Sequence[int], now: int) -> float:
    return min((now - max(moments)) / HOUR, TWO_YEARS) if moments else TWO_YEARS


def _by_kind(events: Iterable[Event]) -> dict[str, list[Event]]:
    kinds: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        kinds[event.kind].append(event)
    return kinds


def _recency(events: Sequence[Event], now: int) -> dict[str, float]:
    newest = {kind: _since([event.ts for event in found], now) for kind, found in _by_kind(events).items()}
    found = {f"hours_since_{kind}": newest.get(kind, TWO_YEARS) for kind in KINDS}
    found["hours_since_last_event"] = _since([event.ts for event in events], now)
    found["tenure_hours"] = (now - min(event.ts for event in events)) / HOUR if events else 0.0
    return found


def _lifetime(events: Sequence[Event]) -> dict[str, float]:
    moments, kinds = _moments(events), _by_kind(events)
    orders = len(moments["purchase"])
    spend = _money(event.value for event in kinds["purchase"])
    return {
        "orders_total": orders,
        "refunds_total": len(moments["refund"]),
        "spend_total": spend,
        "refund_value_total": _money(event.value for event in kinds["refund"]),
        "events_total": len(events),
        "average_basket": spend / orders if orders else 0.0,
    }


class Step(NamedTuple):
    """All events of one kind (of purchases and refunds: of one order) within one half hour of the clock."""

    half_hour: int
    kind: int
    order: int
    events: int
    quantity: int
    value: int


def steps(events: Iterable[Event]) -> list[Step]:
    """The newest 64 steps, by (half hour, kind, order)."""
    groups: dict[tuple[int, int, int], list[Event]] = defaultdict(list)
    for event in events:
        text = event.order if event.kind == "purchase" else f"refund\x1f{event.order}"
        order = hash64(text) % 2**31 if event.order else 0
        groups[(event.ts // (30 * MINUTE), KINDS.index(event.kind), order)].append(event)
    return [
        Step(
            *key,
            len(groups[key]),
            sum(item.quantity for event in groups[key] for item in event.items),
            min(sum(event.value for event in groups[key]), SATURATED),
        )
        for key in sorted(groups)[-STEPS:]
    ]


def _long(events: Sequence[Event], now: int) -> dict[str, float]:
    bought = [step for step in steps(events) if KINDS[step.kind] == "purchase"]
    found: dict[str, float] = {}
    for days in (90, 180):
        recent = [step for step in bought if now - step.half_hour * 30 * MINUTE <= days * DAY]
        found |= {f"orders_{days}d": len(recent), f"spend_{days}d": _money(step.value for step in recent)}
    return found
