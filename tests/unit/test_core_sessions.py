"""Sessions and their gaps: the same whatever the order of arrival, as written, merged, and refused where damaged."""

from collections.abc import Sequence
from itertools import pairwise
from random import Random
from statistics import fmean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forestay.core.errors import StateError
from forestay.core.event import Event
from forestay.core.families.sessions import GAP, KEPT, SEEN, Sessions, SessionsPart
from forestay.core.packing import RecordReader, RecordWriter
from forestay.core.units import DAY, SECOND

START = 20_000 * DAY
FAMILY = Sessions()
#: Seconds after the start; close ones make sessions that later ones join.
MOMENTS = st.lists(st.integers(0, 40 * GAP) | st.integers(0, 900 * DAY // SECOND), max_size=60)


def lived(moments: Sequence[int]) -> SessionsPart:
    part = SessionsPart(FAMILY)
    for after in moments:
        part.update(Event(b"e", "u", 3, START + after * SECOND, []), latest_of(moments))
    return part


def latest_of(moments: Sequence[int]) -> int:
    return START + max(moments, default=0) * SECOND


def written(part: SessionsPart, latest: int) -> bytes:
    writer = RecordWriter()
    part.write(writer, latest, latest)
    return writer.written()


def read(record: bytes, latest: int) -> SessionsPart:
    part = FAMILY.read(RecordReader(record), latest)
    assert isinstance(part, SessionsPart)
    return part


def values(part: SessionsPart, latest: int) -> list[float]:
    into: list[float] = []
    part.values(latest, latest, into)
    return into


@given(MOMENTS, st.randoms(use_true_random=False), st.booleans())
def test_order_records_and_merges_do_not_show(moments: Sequence[int], chance: Random, asked: bool) -> None:
    latest = latest_of(moments)
    whole = lived(sorted(moments))
    record = written(whole, latest)
    shuffled = list(moments)
    chance.shuffle(shuffled)
    half = len(shuffled) // 2
    part = read(written(lived(shuffled[:half]), latest), latest)
    if asked:
        part.mean_gap()
    part.merge(lived(shuffled[half:]), latest)
    assert written(part, latest) == written(read(record, latest), latest) == record
    assert values(part, latest) == values(whole, latest) == values(read(record, latest), latest)
    assert (record == b"") == (not moments)


def test_the_sums_of_gaps_are_kept_up_as_sessions_are_begun_and_lengthened() -> None:
    chance, part, second, spans = Random(5), SessionsPart(FAMILY), 0, list[tuple[int, int]]()
    for n in range(3 * KEPT):
        second += chance.randrange(GAP + 1, 10**6)
        first = second
        for _ in range(2):
            part.update(Event(b"e", "u", 3, START + second * SECOND, []), START + second * SECOND)
            spans[n:] = [(first, second)]
            second += chance.randrange(GAP)
        second = spans[n][1]
        gaps = [following[0] - earlier[1] for earlier, following in pairwise(spans[-SEEN:])]
        assert part.mean_gap() == pytest.approx(fmean(gaps) if gaps else 0.0, rel=1e-12)
        assert part.gap_deviation() == pytest.approx(pstdev(gaps) if gaps else 0.0, rel=1e-12)
    assert (part.count(), part.dropped) == (KEPT, 2 * KEPT)


def test_gaps_of_millennia_are_exact() -> None:
    """Their squares are more than a word holds."""
    ages = 2**37
    part = lived([0, ages, 3 * ages])
    assert (part.mean_gap(), part.gap_deviation()) == (1.5 * ages, 0.5 * ages)


def test_a_late_stretch_joins_several_sessions_of_a_full_row_and_an_older_one_is_counted_only() -> None:
    part = lived([(2 * n) * GAP for n in range(1, KEPT + 1)])
    assert (part.count(), part.dropped) == (KEPT, 0)
    part.update(Event(b"e", "u", 3, START - DAY, []), latest_of([2 * KEPT * GAP]))
    assert (part.count(), part.dropped) == (KEPT, 1)
    other = lived([21 * GAP, 22 * GAP, 23 * GAP])
    part.merge(other, latest_of([2 * KEPT * GAP]))
    assert (part.count(), part.dropped) == (KEPT - 2, 1)


@pytest.mark.parametrize(
    "numbers",
    [[-1], [0], [0, -1], [0, KEPT + 1], [0, 1, 5], [0, 1, -5, 1], [0, 1, 5, -1], [0, 1, 99, 2], [0, 2, 5, 1, 95, 0]],
    ids=str,
)
def test_sessions_that_cannot_be_are_refused(numbers: Sequence[int]) -> None:
    writer = RecordWriter()
    for number in numbers:
        writer.number(number)
    with pytest.raises(StateError):
        read(writer.written(), 100 * SECOND)
