"""Hypothesis strategies of whole histories for the oracle: carts, orders of many lines, items, lateness, repeats.

What docs/features.md leaves open is not drawn: lines of one order further apart than the lateness but nearer than
twice that, silences within days of the one that evicts, a clock two years ahead of the events, more than 512 events
within the lateness.
"""

from collections.abc import Sequence
from typing import Any, Final

from hypothesis import strategies as st
from support.builders import START, Click, click
from support.oracle import LATENESS
from support.streams import Told

from forestay.core.units import DAY, HOUR, MINUTE, SECOND

#: Edges of sessions (1,800 s), of buckets and of windows, and what lies between; the last is longer than eviction.
GAPS: Final = (
    *(0, 1, SECOND, 25 * SECOND, 5 * MINUTE, 30 * MINUTE - 1, 30 * MINUTE, 30 * MINUTE + 1, 30 * MINUTE + SECOND),
    *(31 * MINUTE, HOUR, 5 * HOUR, 12 * HOUR, DAY, 3 * DAY, 8 * DAY, 12 * DAY, 900 * DAY),
)
LATE: Final = (0, 0, 0, 0, 0, 1, 10 * MINUTE, HOUR, 2 * DAY, LATENESS - MINUTE, LATENESS, LATENESS + 1, 9 * DAY)
WITHIN: Final = tuple(late for late in LATE if late < LATENESS)
KINDS: Final = (
    *("page_view", "view_item", "view_item_list", "add_to_cart", "add_to_cart", "add_to_cart", "remove_from_cart"),
    *("purchase", "purchase", "refund", "begin_checkout", "login", "add_payment_info"),
)


@st.composite
def told(
    draw: st.DrawFn, *, users: int = 3, most: int = 40, clock: bool = True, late: Sequence[int] = LATE
) -> list[Told]:
    """Returns what a partition is told, in order of arrival: events and, where `clock`, clock records."""
    now, newest, stream = START, START, list[Told]()
    sent: list[Click] = []
    for number in range(draw(st.integers(1, most))):
        now += draw(st.sampled_from(GAPS)) + draw(st.sampled_from((0, 0, 1, 999, 86_399)))
        what = draw(st.integers(0, 11))
        if clock and what == 0 and now - newest < 600 * DAY:
            stream.append(now)
        elif what == 1 and sent:
            stream.append(draw(st.sampled_from(sent)))
        else:
            ts = now - draw(st.sampled_from(late))
            newest = max(newest, ts)
            sent.append(draw(event(f"e{number}", f"u{draw(st.integers(1, users))}", ts)))
            stream.append(sent[-1])
    return stream


@st.composite
def event(draw: st.DrawFn, event_id: str, user_id: str, ts: int) -> Click:
    """Returns one event, with nothing, an item or several, of an order or not."""
    made = click(event_id, user_id, draw(st.sampled_from(KINDS)), ts)
    if draw(st.booleans()):
        # An id comes again after nine days, which is another order.
        made["order_id"] = f"o{draw(st.integers(1, 3))} {ts // LATENESS % 3}"
    form = draw(st.integers(0, 3))
    if form == 0:
        made["items"] = draw(st.lists(_items(named=True), min_size=1, max_size=5))
    elif form < 3:
        made |= draw(_items(named=False))
    return made


@st.composite
def _items(draw: st.DrawFn, *, named: bool) -> dict[str, Any]:
    fields = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "item_id": st.sampled_from(["i1", "i2", "i3", "i4"]),
                "item_name": st.sampled_from(["", "name", "i1"]),
                "category": st.sampled_from(["", "a", "a/b", "c"]),
                "price": st.sampled_from([0, 0.005, 0.015, 1.005, 2.675, 9.99, 1e9]) | st.floats(0, 500),
                "quantity": st.integers(1, 3) | st.just(1_000_000),
            },
        )
    )
    if named and not fields.get("item_name"):
        fields.setdefault("item_id", "i5")
    return fields


@st.composite
def baskets(draw: st.DrawFn) -> list[Click]:
    """Returns one user's events with carts and looks of up to 200 items, many at the same millisecond."""
    now, events = START, list[Click]()
    for number in range(draw(st.integers(1, 10))):
        now += draw(st.sampled_from((0, 0, 0, 1, MINUTE, HOUR, 9 * DAY, 30 * DAY)))
        kind = draw(st.sampled_from(("add_to_cart", "add_to_cart", "remove_from_cart", "view_item_list", "purchase")))
        first, size = draw(st.integers(0, 300)), draw(st.sampled_from((1, 2, 30, 63, 64, 65, 128, 130, 200)))
        modulus = draw(st.sampled_from((1, 3, 70)))
        items = [
            {"item_id": f"i{n}", "category": f"c{n % 90}", "price": n % modulus, "quantity": 1 + n % 3}
            for n in range(first, first + size)
        ]
        events.append(click(f"e{number}", event=kind, ts=now, items=items))
    return events
