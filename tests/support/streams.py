"""Hypothesis strategies of streams: late and repeated events, orders of many lines, carts, gaps of all sizes."""

from collections.abc import Sequence

from hypothesis import strategies as st
from support.builders import START, Click, click, source, tick

from forestay.core.record import SourceRecord
from forestay.core.units import DAY, HOUR, MINUTE

#: Edges of sessions (30 minutes), of buckets, of windows and of the allowed lateness, and what lies between.
_GAPS = [0, 1, MINUTE, 5 * MINUTE, 30 * MINUTE, 30 * MINUTE + 1, 31 * MINUTE, HOUR, 5 * HOUR, DAY, 8 * DAY, 40 * DAY]
_LATE = [0, 0, 0, 0, 0, 1, 10 * MINUTE, HOUR, DAY, 2 * DAY, 3 * DAY - 1, 3 * DAY, 3 * DAY + 100_000]
_KINDS = ["page_view", "view_item", "purchase", "purchase", "refund", "begin_checkout", "add_to_cart"]
_KINDS += ["add_to_cart", "remove_from_cart"]
#: Longer than a user is remembered, once in a while.
_YEARS = 800 * DAY

#: A clock's time, or an event.
Told = int | Click


@st.composite
def told(draw: st.DrawFn, *, users: int = 3, most: int = 40, clock: bool = True) -> list[Told]:
    """Returns what a partition is told, in order of arrival: events and, where `clock`, clock records."""
    now, stream = START, list[Told]()
    sent: list[Click] = []
    years = draw(st.integers(-3 * most, most))
    for number in range(draw(st.integers(1, most))):
        now += draw(st.sampled_from(_GAPS)) + draw(st.integers(0, 90_000))
        now += _YEARS if number == years else 0
        what = draw(st.integers(0, 11))
        if clock and what == 0:
            stream.append(now)
        elif what == 1 and sent:
            stream.append(draw(st.sampled_from(sent)))
        else:
            sent.append(draw(_event(number, now, users)))
            stream.append(sent[-1])
    return stream


@st.composite
def _event(draw: st.DrawFn, number: int, now: int, users: int) -> Click:
    event = click(
        f"e{number}",
        f"u{draw(st.integers(1, users))}",
        draw(st.sampled_from(_KINDS)),
        now - draw(st.sampled_from(_LATE)),
    )
    if draw(st.booleans()):
        event["order_id"] = f"o{draw(st.integers(1, 4))}"
    if draw(st.booleans()):
        event |= draw(_ITEM)
    else:
        event["items"] = draw(st.lists(_ITEM.filter(lambda item: "item_id" in item), max_size=3))
    if draw(st.booleans()):
        event["country"] = draw(st.sampled_from(["DE", "FR"]))
        event["timezone"] = draw(st.sampled_from(["Europe/Berlin", "Europe/Paris"]))
    return event


_ITEM = st.fixed_dictionaries(
    {},
    optional={
        "item_id": st.integers(1, 5).map(lambda number: f"i{number}"),
        "category": st.sampled_from(["a", "a/b"]),
        "price": st.floats(0, 500),
        "quantity": st.integers(1, 12),
    },
)


def records(stream: Sequence[Told]) -> list[SourceRecord]:
    """Returns the stream as source records, each topic with offsets of its own."""
    made: list[SourceRecord] = []
    ticks = 0
    for what in stream:
        if isinstance(what, int):
            made.append(tick(what, ticks))
            ticks += 1
        else:
            made.append(source(what, len(made) - ticks))
    return made
