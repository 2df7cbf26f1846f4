"""The last steps: the newest 64 whatever the order of arrival, as written, merged, and refused where damaged."""

from collections.abc import Sequence as Row
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forestay.core.errors import StateError
from forestay.core.event import EVENT_NAMES, PURCHASE, Event, LineItem
from forestay.core.families.sequence import (
    CATEGORY_TOKENS,
    ITEM_TOKENS,
    MAX_STEPS,
    SLOT,
    Sequence,
    SequencePart,
    Step,
)
from forestay.core.packing import RecordReader, RecordWriter
from forestay.core.units import DAY, MAX_AMOUNT

START = 20_000 * DAY
FAMILY = Sequence()

#: Each event: milliseconds after the start, kind, order, price in hundredths, quantity, item.
Told = tuple[int, int, str | None, int, int, int]
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 20 * SLOT) | st.integers(0, 400 * DAY),
        st.sampled_from([0, 3, PURCHASE]),
        st.sampled_from([None, "o1", "o2"]),
        st.integers(0, 3) | st.just(10**11),
        st.integers(1, 3),
        st.integers(0, 5),
    ),
    max_size=30,
)


def event(told: Told) -> Event:
    after, kind, order, price, quantity, item = told
    return Event(b"e", "u", kind, START + after, [LineItem(item, item, price, quantity)], order)


def lived(events: Row[Told]) -> SequencePart:
    part = SequencePart()
    for told in events:
        part.update(event(told), START + 400 * DAY)
    return part


def written(part: SequencePart, latest: int = START + 400 * DAY) -> bytes:
    writer = RecordWriter()
    part.write(writer, latest, latest)
    return writer.written()


def read(record: bytes, latest: int = START + 400 * DAY) -> SequencePart:
    part = FAMILY.read(RecordReader(record), latest)
    assert isinstance(part, SequencePart)
    return part


def expected(events: Row[Told]) -> list[Step]:
    """The newest 64 steps, made anew from all events."""
    steps: dict[tuple[int, int, int], list[Event]] = {}
    for one in map(event, events):
        steps.setdefault((one.ts // SLOT, one.kind, one.order % 2**31), []).append(one)
    return [_step(key, steps[key]) for key in sorted(steps)[-MAX_STEPS:]]


def _step(key: tuple[int, int, int], events: Row[Event]) -> Step:
    lines = [(line.price * line.quantity, line.item) for one in events for line in one.items]
    dearest, item = max(lines)
    token = 1 + item if item else 0
    quantity, value = sum(one.quantity for one in events), sum(one.value for one in events)
    return Step(*key, len(events), quantity, value, dearest, token, token)


def test_what_is_remembered_are_the_newest_steps_whatever_came_first() -> None:
    """A ring that goes round several times, with events up to half its length late."""
    chance = Random(4)
    told = [(n * SLOT // 2, chance.choice([0, 3, PURCHASE]), None, n, 1, 1 + n % 7) for n in range(400)]
    late = sorted(told, key=lambda one: one[0] + chance.randrange(20 * SLOT))
    assert lived(told).steps() == lived(late).steps() == expected(told)


def test_a_step_older_than_all_of_a_full_row_is_left_out_and_one_within_drops_the_oldest() -> None:
    full = [(n * SLOT, 3, None, 1, 1, 1) for n in range(10, 10 + 2 * MAX_STEPS, 2)]
    for late in (0, 10 * SLOT, 11 * SLOT, 100 * SLOT, 101 * SLOT):
        for row in (full, [*[(n, 0, None, 1, 1, 1) for n in range(5)], *full]):
            told = [*row, (late, 3, None, 9, 1, 4)]
            assert lived(told).steps() == expected(told)


@given(EVENTS, st.randoms(use_true_random=False))
def test_order_records_and_merges_do_not_show(events: Row[Told], chance: Random) -> None:
    record = written(lived(events))
    shuffled = list(events)
    chance.shuffle(shuffled)
    half = len(shuffled) // 2
    part = read(written(lived(shuffled[:half])))
    part.merge(lived(shuffled[half:]), START + 400 * DAY)
    assert part.steps() == lived(events).steps() == read(record).steps() == expected(events)
    assert written(part) == written(read(record)) == record
    assert (record == b"") == (not events)


def test_a_usual_step_takes_about_eight_bytes() -> None:
    told = [(n * DAY // 2, 3, None, 4_999, 1, 2_040 + n) for n in range(MAX_STEPS)]
    assert len(written(lived(told))) <= 9 * MAX_STEPS


def test_amounts_saturate() -> None:
    step = Step(1, PURCHASE, 2, MAX_AMOUNT, MAX_AMOUNT, MAX_AMOUNT, MAX_AMOUNT, ITEM_TOKENS - 1, CATEGORY_TOKENS - 1)
    part = SequencePart()
    for _ in range(3):
        part.join(step)
    part.join(step._replace(order=3))
    assert part.steps() == [step, step._replace(order=3)]
    assert read(written(part)).steps() == part.steps()
    into: list[float] = []
    part.values(SLOT, SLOT, into)
    assert into == [2.0, MAX_AMOUNT / 100] * 2


def head(slot: int, kind: int, unusual: int = 0) -> int:
    return slot << 9 | kind << 4 | unusual


NEWEST = (START + 400 * DAY) // SLOT


@pytest.mark.parametrize(
    "numbers",
    [
        [-1],
        [MAX_STEPS + 1],
        [1],
        [1, head(5, 3), 1],
        [1, head(5, len(EVENT_NAMES)), 1, 0],
        [1, head(NEWEST + 1, 3), 1, 0],
        [1, -1, 1, 0],
        [1, head(5, 3), -1, 0],
        [1, head(5, 3), 1, ITEM_TOKENS * CATEGORY_TOKENS],
        [1, head(5, 3, unusual=1), 2**31, 1, 0],
        [1, head(5, 3, unusual=8), 7, 8, 0],
        [2, head(5, 3), 1, 0, head(0, 2), 1, 0],
        [2, head(5, 3), 1, 0, head(0, 3), 1, 0],
        [2, head(5, 3, unusual=1), 2, 1, 0, head(0, 3, unusual=1), 1, 1, 0],
    ],
    ids=str,
)
def test_steps_that_cannot_be_are_refused(numbers: Row[int]) -> None:
    writer = RecordWriter()
    for number in numbers:
        writer.number(number)
    with pytest.raises(StateError):
        read(writer.written())
