"""Which items and categories were mentioned: the newest, whatever order they came in and however often written."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.features import picked

from forestay.core.errors import StateError
from forestay.core.event import Event, LineItem
from forestay.core.families.distinct import MAX_CATEGORIES, MAX_ITEMS, Distinct
from forestay.core.families.family import Part
from forestay.core.families.windows import WINDOWS
from forestay.core.packing import RecordReader, RecordWriter
from forestay.core.units import DAY, HOUR, SECOND

START = 20_000 * DAY
FAMILY = Distinct()
#: The largest step that stands next to a hash (seconds).
LONG = 65_535

#: Each mention: seconds after the start, item and category (0: none).
Mentions = Sequence[tuple[int, int, int]]
MOMENTS = st.one_of(st.integers(0, 9), st.integers(0, 40 * 86_400), st.sampled_from([LONG - 1, LONG, LONG + 1]))
MENTIONS = st.lists(
    st.tuples(MOMENTS, st.integers(0, 300), st.one_of(st.integers(0, 5), st.integers(0, 2**62 - 1))), max_size=200
)


def event(second: int, items: Sequence[tuple[int, int]]) -> Event:
    return Event(b"e", "u", 1, START + second * SECOND, [LineItem(item, category, 1, 1) for item, category in items])


def mentioned(mentions: Mentions) -> Part:
    part = FAMILY.new()
    for second, item, category in mentions:
        part.update(event(second, [(item, category)]), latest_of(mentions))
    return part


def latest_of(mentions: Mentions) -> int:
    return START + max((second for second, _, _ in mentions), default=0) * SECOND


def written(part: Part, latest: int, now: int | None = None) -> bytes:
    writer = RecordWriter()
    part.write(writer, latest, latest if now is None else now)
    return writer.written()


def read(record: bytes, latest: int) -> Part:
    reader = RecordReader(record)
    part = FAMILY.read(reader, latest)
    assert not reader.more()
    return part


def values(part: Part, now: int) -> list[float]:
    into: list[float] = []
    part.values(now, now, into)
    return into


def expected(mentions: Mentions, now: int) -> list[float]:
    """Counts anew, window by window, items and then categories."""
    found = []
    for window in WINDOWS:
        since = (now // window.bucket - window.buckets + 1) * window.bucket
        for place, most in ((1, MAX_ITEMS), (2, MAX_CATEGORIES)):
            newest: dict[int, int] = {}
            for mention in mentions:
                if mention[place]:
                    what = mention[place] % 2**32
                    newest[what] = max(newest.get(what, 0), mention[0])
            kept = sorted(newest.values())[-most:]
            found.append(float(sum(START + second * SECOND >= since for second in kept)))
    return found


@given(MENTIONS, st.sampled_from([0, HOUR, 8 * DAY]))
def test_the_newest_of_each_window_are_counted(mentions: Mentions, later: int) -> None:
    now = latest_of(mentions) + later
    part = mentioned(mentions)
    assert values(part, now) == expected(mentions, now)
    wanted = [9, 0, 3]
    assert picked(part, now, now, wanted) == [values(part, now)[place] for place in wanted]


@given(MENTIONS, st.randoms(use_true_random=False))
def test_the_order_they_come_in_does_not_show_in_the_record(mentions: Mentions, chance: Random) -> None:
    latest = latest_of(mentions)
    record = written(mentioned(mentions), latest)
    shuffled = list(mentions)
    chance.shuffle(shuffled)
    assert written(mentioned(shuffled), latest) == record
    half = len(shuffled) // 2
    part = mentioned(shuffled[:half])
    part.merge(mentioned(shuffled[half:]), latest)
    assert written(part, latest) == record


@given(MENTIONS, st.integers(0, 200))
def test_a_restart_changes_nothing(mentions: Mentions, at: int) -> None:
    """Neither what is written later nor what features are, though what has expired is left out of the record."""
    before, after = mentions[:at], mentions[at:]
    restarted = read(written(mentioned(before), latest_of(before)), latest_of(before))
    for second, item, category in after:
        restarted.update(event(second, [(item, category)]), latest_of(mentions))
    latest = latest_of(mentions)
    part = mentioned(mentions)
    assert written(restarted, latest) == written(part, latest)
    assert values(restarted, latest) == values(part, latest)


def test_items_of_one_event_are_each_mentioned() -> None:
    part = FAMILY.new()
    part.update(event(0, [(7, 1), (8, 1), (7, 2), (0, 0)]), START)
    assert values(part, START) == [2.0, 2.0] * len(WINDOWS)


def test_what_no_window_holds_is_not_written() -> None:
    part = mentioned([(0, 7, 1)])
    assert written(part, START)
    assert written(part, START + 30 * DAY) == b""
    assert written(FAMILY.new(), START) == b""
    assert values(read(b"", START), START) == [0.0] * 2 * len(WINDOWS)


@pytest.mark.parametrize(("gap", "size"), [(0, 6), (LONG - 1, 6), (LONG, 7), (10 * 86_400, 9)])
def test_a_mention_takes_six_bytes_and_the_rest_of_a_long_silence(gap: int, size: int) -> None:
    one = len(written(mentioned([(gap, 7, 0)]), START + gap * SECOND))
    two = written(mentioned([(0, 7, 0), (gap, 8, 0)]), START + gap * SECOND)
    # The first stands as far from the newest moment as the second from it.
    assert len(two) - one == 2 * size - 6


@given(MENTIONS, st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_record_is_refused_or_read_as_what_it_says(mentions: Mentions, place: int, byte: int) -> None:
    latest = latest_of(mentions)
    damaged = bytearray(written(mentioned(mentions), latest) or b"\0")
    damaged[place % len(damaged)] = byte
    try:
        part = FAMILY.read(RecordReader(bytes(damaged)), latest)
    except StateError:
        return
    assert all(0 <= value <= MAX_ITEMS for value in values(part, latest))
    part.update(event(50 * 86_400, [(item + 1, item + 1) for item in range(200)]), START + 50 * DAY)
    assert values(part, START + 50 * DAY) == [float(MAX_ITEMS), float(MAX_CATEGORIES)] * len(WINDOWS)


@pytest.mark.parametrize("count", [129, 2**40, -1])
def test_more_mentions_than_are_ever_kept_are_refused(count: int) -> None:
    writer = RecordWriter()
    writer.number(count)
    with pytest.raises(StateError, match="at most 128"):
        FAMILY.read(RecordReader(writer.written() + b"\0" * 9_000), START)


def test_mentions_after_the_newest_event_or_before_all_time_are_refused() -> None:
    after = RecordWriter()
    after.number(2)
    after.hash(7)
    after.hash(1 << 32 | 8)
    before = RecordWriter()
    before.number(1)
    before.hash(LONG << 32 | 7)
    before.number(START // SECOND - LONG + 1)
    for writer in (after, before):
        writer.number(0)
        with pytest.raises(StateError, match="not between"):
            FAMILY.read(RecordReader(writer.written()), START)


def test_of_mentions_in_one_second_the_same_are_kept_whatever_their_order() -> None:
    several = [(1, item, item) for item in range(1, MAX_ITEMS + 20)]
    there, back = mentioned(several), mentioned(several[::-1])
    assert written(there, latest_of(several)) == written(back, latest_of(several))
