"""The open cart: the same whatever the order of arrival, as written, merged, and refused where damaged."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forestay.core.errors import StateError
from forestay.core.event import ADD_TO_CART, PURCHASE, REMOVE_FROM_CART, Event, LineItem
from forestay.core.families.cart import MAX_ENTRIES, Cart
from forestay.core.families.family import Part
from forestay.core.packing import RecordReader, RecordWriter
from forestay.core.units import DAY, HOUR

START = 20_000 * DAY
LATEST = START + 40 * DAY
FAMILY = Cart()

#: Each event: hours after the start, kind, item, price in hundredths, quantity.
Told = tuple[int, int, int, int, int]
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 40 * 24),
        st.sampled_from([ADD_TO_CART] * 5 + [REMOVE_FROM_CART] * 2 + [PURCHASE]),
        st.integers(0, 4),
        st.integers(0, 3),
        st.integers(1, 3),
    ),
    max_size=150,
)


def lived(events: Sequence[Told]) -> Part:
    part = FAMILY.new()
    for after, kind, item, price, quantity in events:
        part.update(Event(b"e", "u", kind, START + after * HOUR, [LineItem(item, 0, price, quantity)]), LATEST)
    return part


def written(part: Part) -> bytes:
    writer = RecordWriter()
    part.write(writer, LATEST, LATEST)
    return writer.written()


def read(record: bytes, latest: int = LATEST) -> Part:
    return FAMILY.read(RecordReader(record), latest)


def values(part: Part, later: int = 0) -> list[float]:
    into: list[float] = []
    part.values(LATEST + later, LATEST, into)
    return into


def expected(events: Sequence[Told]) -> list[float]:
    """Quantity and value, made anew from all events."""
    bought = max((one[0] for one in events if one[1] == PURCHASE), default=-1)
    oldest = (LATEST - 30 * DAY - START) // HOUR
    kept = sorted(
        (after, item, quantity if kind == ADD_TO_CART else -quantity, price)
        for after, kind, item, price, quantity in events
        if kind != PURCHASE and after > bought and after >= oldest and item
    )[-MAX_ENTRIES:]
    total = value = 0
    for item in {one[1] for one in kept}:
        net = max(0, sum(one[2] for one in kept if one[1] == item))
        prices = [(one[0], one[3]) for one in kept if one[1] == item and one[2] > 0]
        total += net
        value += net * max(prices, default=(0, 0))[1]
    return [float(total), value / 100]


@given(EVENTS, st.randoms(use_true_random=False))
def test_order_records_and_merges_do_not_show(events: Sequence[Told], chance: Random) -> None:
    record = written(lived(events))
    shuffled = list(events)
    chance.shuffle(shuffled)
    half = len(shuffled) // 2
    part = read(written(lived(shuffled[:half])))
    part.merge(lived(shuffled[half:]), LATEST)
    assert values(part) == values(lived(events)) == values(read(record)) == expected(events)
    assert written(part) == written(read(record)) == record


def test_an_empty_cart_is_not_written_and_a_purchase_is() -> None:
    assert written(lived([])) == b""
    assert read(b"").purchased == lived([]).purchased  # type: ignore[attr-defined]
    bought = read(written(lived([(7, PURCHASE, 1, 1, 1)])))
    assert bought.purchased == START + 7 * HOUR  # type: ignore[attr-defined]
    late = Event(b"e", "u", ADD_TO_CART, START + 7 * HOUR, [LineItem(1, 0, 1, 1)])
    bought.update(late, LATEST)
    assert values(bought, later=-10 * DAY) == [0.0, 0.0]


def test_a_cart_of_much_is_exact_beyond_a_word() -> None:
    dear = LineItem(2**62 - 1, 0, 10**11, 10**6)
    part = FAMILY.new()
    part.update(Event(b"e", "u", ADD_TO_CART, LATEST, [dear] * MAX_ENTRIES), LATEST)
    assert values(read(written(part))) == values(part) == [MAX_ENTRIES * 1e6, MAX_ENTRIES * 1e15]


@pytest.mark.parametrize(
    "numbers",
    [
        [-1],
        [LATEST + 2],
        [0, LATEST + 1],
        [0, 5, 0],
        [0, 5, 0, 1, 1],
        [0, 5, 0, -1, 1, 1],
        [0, 5, 0, 1, 1, -1],
        [0, 5, 6, 1, 1, 1],
        [0, 5, -1, 1, 1, 1],
        [0, 5, *[0, 1, 1, 1] * (MAX_ENTRIES + 1)],
    ],
    ids=lambda numbers: str(numbers[:6]),
)
def test_carts_that_cannot_be_are_refused(numbers: Sequence[int]) -> None:
    writer = RecordWriter()
    for number in numbers:
        writer.number(number)
    with pytest.raises(StateError):
        read(writer.written())
