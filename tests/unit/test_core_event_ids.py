"""Which events were seen: in memory and as written, of few ids and of many."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forestay.core.errors import StateError
from forestay.core.packing import HASHES, RecordReader, RecordWriter
from forestay.core.state.event_ids import MAX_IDS, EventIds
from forestay.core.units import DAY

START = 20_000 * DAY
LATENESS = 10

Steps = Sequence[tuple[int, int]]
STEPS = st.lists(st.tuples(st.sampled_from([0, 1, 9, 10, 11, 50]), st.integers(0, 10)), min_size=1, max_size=80)


def remembering(steps: Steps) -> tuple[EventIds, dict[int, int]]:
    """Adds ids in order of arrival, each so far ahead and so late; returns the memory, and each id's moment."""
    ids, now, moments = EventIds(), START, dict[int, int]()
    for number, (gap, late) in enumerate(steps):
        now += gap
        moments[number] = now - late
        ids.add(number, moments[number], LATENESS)
    return ids, moments


def of_a_moment(numbers: Sequence[int]) -> EventIds:
    """Returns the memory of ids that all came at the start."""
    ids = EventIds()
    for number in numbers:
        ids.add(number, START, LATENESS)
    return ids


def written(ids: EventIds, latest: int, oldest: int) -> bytes:
    writer = RecordWriter()
    ids.write(writer, latest, oldest)
    return writer.written()


def read(record: bytes, latest: int) -> EventIds:
    ids, reader = EventIds(), RecordReader(record)
    ids.read(reader, latest)
    assert not reader.more()
    return ids


@given(STEPS, st.integers(0, 40), st.integers(0, 1))
def test_the_written_form_remembers_exactly_what_the_live_one_does(steps: Steps, passed: int, ahead: int) -> None:
    """`passed`: how far the watermark has gone on; `ahead`: whether the user has newer events of another id."""
    ids, moments = remembering(steps)
    newest = ids.latest + ahead
    oldest = ids.latest - LATENESS + passed
    again = read(written(ids, newest, oldest), newest)
    assert written(again, newest, oldest) == written(ids, newest, oldest)
    assert (again.began, again.closed, again.latest) == (ids.began, ids.closed, ids.latest)
    for number, ts in moments.items():
        assert again.seen(number) == ids.seen(number)
        assert ids.seen(number) or ts < oldest


@pytest.mark.parametrize("count", [1, MAX_IDS, MAX_IDS + 1, 2 * MAX_IDS + 3, 5 * MAX_IDS])
def test_of_many_ids_the_newest_are_known_and_no_more_than_two_generations(count: int) -> None:
    ids, _ = remembering([(0, 0)] * count)
    known = [number for number in range(count) if ids.seen(number)]
    assert known == list(range(count - len(known), count))
    assert min(count, MAX_IDS) <= len(known) <= 2 * MAX_IDS


@given(st.lists(st.integers(0, HASHES - 1), unique=True, max_size=2 * MAX_IDS), st.data())
def test_of_any_number_of_ids_those_added_are_seen_and_no_others(numbers: list[int], data: st.DataObject) -> None:
    """Asked for while more come, and again after reading: few are searched, many are found by a table."""
    ids = EventIds()
    for place, number in enumerate(numbers):
        assert not ids.seen(number)
        ids.add(number, START, LATENESS)
        assert ids.seen(numbers[data.draw(st.integers(0, place))] if place < 3 else numbers[place // 2])
    again = read(written(ids, START, START), START)
    assert all(ids.seen(number) and again.seen(number) for number in numbers)
    assert written(again, START, START) == written(ids, START, START)


def test_an_id_is_what_its_lowest_48_bits_are() -> None:
    ids = of_a_moment([5 * HASHES])
    assert ids.seen(0)
    assert ids.seen(7 * HASHES)
    assert not ids.seen(1)


def test_of_many_ids_the_old_generation_is_forgotten_when_it_is_to_be() -> None:
    ids = of_a_moment(range(40))
    assert ids.seen(39)
    for number in range(40, 80):
        ids.add(number, START + LATENESS + 1, LATENESS)
    assert ids.seen(39)
    ids.forget(START + 1)
    assert [number for number in range(99) if ids.seen(number)] == list(range(40, 80))


def test_no_ids_are_written_as_one_byte() -> None:
    nothing = EventIds()
    assert written(nothing, START, START) == b"\0"
    assert written(of_a_moment([1]), START, START + 1) == b"\0"
    assert not read(b"\0", START).seen(0)


@pytest.mark.parametrize("count", [1, 11, 12, 13, 14, 15, MAX_IDS, 2 * MAX_IDS])
def test_an_id_takes_six_bytes(count: int) -> None:
    numbers = [(number + 1) * 0x9E3779B97F4A7C15 % HASHES for number in range(count)]
    record = written(of_a_moment(numbers), START, START)
    assert record.endswith(b"".join(number.to_bytes(6, "little") for number in numbers))
    assert len(record) <= 6 * count + 8


@given(STEPS, st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_record_is_refused_or_read_as_what_it_says(steps: Steps, place: int, byte: int) -> None:
    ids, _ = remembering(steps)
    newest = ids.latest
    damaged = bytearray(written(ids, newest, 0))
    damaged[place % len(damaged)] = byte
    again = EventIds()
    try:
        again.read(RecordReader(bytes(damaged)), newest)
    except StateError:
        return
    # What it says is in order of time, and goes on as any other.
    assert again.closed <= again.began <= again.latest <= newest
    for number in range(3 * MAX_IDS):
        again.add(number, newest, LATENESS)
    assert again.seen(3 * MAX_IDS - 1)


@pytest.mark.parametrize("count", [1, 20, 300])
def test_a_record_cut_anywhere_is_refused(count: int) -> None:
    record = written(of_a_moment(range(count)), START, START)
    for end in range(len(record)):
        with pytest.raises(StateError):
            EventIds().read(RecordReader(record[:end]), START)
