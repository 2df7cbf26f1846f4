"""When each kind of event last happened, and sums over a life: as written, merged, and refused where damaged."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.features import picked

from forestay.core.errors import StateError
from forestay.core.event import EVENT_NAMES, PURCHASE, REFUND, Event, LineItem
from forestay.core.families.family import Family, Part
from forestay.core.families.lifetime import Lifetime
from forestay.core.families.recency import NEVER_HOURS, Recency
from forestay.core.packing import RecordReader, RecordWriter
from forestay.core.units import DAY, HOUR, MAX_AMOUNT

START = 20_000 * DAY
KINDS = len(EVENT_NAMES)
FAMILIES = [Recency(), Lifetime()]

#: Each event: milliseconds after the start, kind, price in hundredths.
Events = Sequence[tuple[int, int, int]]
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 900 * DAY), st.integers(0, KINDS - 1), st.one_of(st.integers(0, 10**6), st.just(2**62 - 1))
    ),
    max_size=40,
)


def lived(family: Family, events: Events) -> Part:
    part = family.new()
    for after, kind, price in events:
        part.update(Event(b"e", "u", kind, START + after, [LineItem(1, 1, price, 1)], "o"), latest_of(events))
    return part


def latest_of(events: Events) -> int:
    return START + max((after for after, _, _ in events), default=0)


def written(part: Part, latest: int) -> bytes:
    writer = RecordWriter()
    part.write(writer, latest, latest)
    return writer.written()


def values(part: Part, now: int, latest: int) -> list[float]:
    into: list[float] = []
    part.values(now, latest, into)
    return into


@pytest.mark.parametrize("family", FAMILIES)
@given(events=EVENTS, chance=st.randoms(use_true_random=False))
def test_order_restarts_and_merges_do_not_show(family: Family, events: Events, chance: Random) -> None:
    latest = latest_of(events)
    record = written(lived(family, events), latest)
    shuffled = list(events)
    chance.shuffle(shuffled)
    half = len(shuffled) // 2
    part = lived(family, shuffled[:half])
    part.merge(lived(family, shuffled[half:]), latest)
    reader = RecordReader(record)
    again = family.read(reader, latest)
    assert not reader.more()
    assert written(part, latest) == written(again, latest) == record
    assert (record == b"") == (not events)
    for one in (part, again):
        found = values(one, latest + HOUR, latest)
        assert found == values(lived(family, events), latest + HOUR, latest)
        wanted = [len(found) - 1, 0, 5]
        assert picked(one, latest + HOUR, latest, wanted) == [found[place] for place in wanted]


@given(EVENTS)
def test_hours_are_counted_from_the_newest_of_each_kind(events: Events) -> None:
    latest = latest_of(events)
    found = values(lived(Recency(), events), latest, latest)
    for kind in range(KINDS):
        moments = [START + after for after, other, _ in events if other == kind]
        assert found[kind] == (min((latest - max(moments)) / HOUR, NEVER_HOURS) if moments else NEVER_HOURS)
    assert found[KINDS:] == [0.0]


def test_sums_saturate_and_are_still_written() -> None:
    most = (0, PURCHASE, MAX_AMOUNT), (0, REFUND, MAX_AMOUNT)
    part = lived(Lifetime(), most)
    again = Lifetime().read(RecordReader(written(part, START)), START)
    for _ in range(3):
        again.merge(lived(Lifetime(), most), START)
    assert values(again, START, START)[2] == values(part, START, START)[2] == MAX_AMOUNT / 100


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("numbers", [[KINDS, 0, 0], [-1, 0, 0], [0, START + 1, 0], [0, -1, 0], [0], [START + 1, 1]])
def test_what_was_never_written_is_refused(family: Family, numbers: list[int]) -> None:
    writer = RecordWriter()
    for number in numbers:
        writer.number(number)
    with pytest.raises(StateError):
        family.read(RecordReader(writer.written()), START)
