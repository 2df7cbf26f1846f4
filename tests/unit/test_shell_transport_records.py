"""Records taken from a fetch: the same as aiokafka's own, whatever the broker sent; and where reading then stands."""

import gc
import weakref
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, READ_UNCOMMITTED, Fetcher, PartitionRecords
from aiokafka.consumer.subscription_state import Assignment
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st
from support.batches import Written, batch, legacy_batch, marker

from forestay.shell.record_batches import BatchRecords, BatchResult, FetchedBatches
from forestay.shell.stoppable import with_names

TP = TopicPartition("clicks", 3)
NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
Aborted = list[tuple[int, int]]
Seen = tuple[int, int | None, bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]


def ours(
    data: bytes, start: int = 0, isolation: int = READ_COMMITTED, aborted: Aborted | None = None
) -> BatchRecords:
    return BatchRecords(TP, FetchedBatches(data), aborted, start, None, None, True, isolation)


def theirs(
    data: bytes, start: int = 0, isolation: int = READ_COMMITTED, aborted: Aborted | None = None
) -> PartitionRecords:
    return PartitionRecords(TP, MemoryRecords(data), aborted, start, None, None, True, isolation)


def seen(records: Any) -> list[Seen]:
    return [(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in records]


def take_all(records: BatchRecords) -> list[Seen]:
    found: list[Seen] = []
    while records.has_next():
        found += seen(records.take())
    return found


def assert_as_aiokafka(data: bytes, start: int, isolation: int, aborted: Aborted) -> list[Seen]:
    here, there = ours(data, start, isolation, list(aborted)), theirs(data, start, isolation, list(aborted))
    found = take_all(here)
    assert found == seen(there)
    assert here.next_fetch_offset == there.next_fetch_offset
    return found


def some(count: int, first: int = 0) -> list[Written]:
    return [Written(n, 1_000 + n, b"k%d" % (first + n), b"v%d" % (first + n)) for n in range(count)]


# -- as aiokafka -------------------------------------------------------------------------------------

BYTES = st.none() | st.binary(max_size=12)
HEADERS = st.lists(st.tuples(st.text(max_size=4), BYTES), max_size=2)


@st.composite
def fetches(draw: st.DrawFn) -> tuple[bytes, int, Aborted]:
    """What a broker sends: plain, compressed, compacted and transactional batches, cut short anywhere at the end.

    And the offset asked for, in the first batch or before it, and the transactions aborted.
    """
    data, at, open_since = b"", draw(st.integers(0, 5)), dict[int, int]()
    aborted: Aborted = []
    ends = [at + 1]
    for _ in range(draw(st.integers(0, 6))):
        producer = draw(st.sampled_from([-1, 7, 8]))
        if producer >= 0 and producer in open_since and draw(st.booleans()):
            abort = draw(st.booleans())
            data += marker(at, producer, abort=abort)
            since = open_since.pop(producer)
            aborted += [(producer, since)] if abort else []
            at += 1
            ends.append(at)
            continue
        deltas = sorted(draw(st.sets(st.integers(0, 9), max_size=5)))
        records = [
            Written(
                delta,
                draw(st.integers(0, 2**41) | st.integers(0, 2**63 - 1)),
                draw(BYTES),
                draw(BYTES),
                draw(HEADERS),
            )
            for delta in deltas
        ]
        last = max([*deltas, draw(st.integers(0, 12))])
        transactional = producer >= 0 and draw(st.booleans())
        if transactional:
            open_since.setdefault(producer, at)
        data += batch(
            records,
            at,
            # What compaction leaves of a batch without records is a header, never compressed.
            compression=draw(st.sampled_from([NONE, GZIP, SNAPPY, LZ4, ZSTD])) if records else NONE,
            producer=producer,
            transactional=transactional,
            last_delta=last,
        )
        ends.append(at + last + 1)
        at = ends[-1] + draw(st.integers(0, 2))
    cut = draw(st.integers(0, 80))
    sent = data[: len(data) - cut] if draw(st.booleans()) else data
    return sent, draw(st.integers(0, ends[:2][-1] - 1)), aborted


@given(fetches(), st.sampled_from([READ_COMMITTED, READ_UNCOMMITTED]))
def test_any_fetch_gives_what_aiokafka_gives(fetch: tuple[bytes, int, Aborted], isolation: int) -> None:
    data, start, aborted = fetch
    assert_as_aiokafka(data, start, isolation, aborted)


def test_the_transaction_after_an_aborted_one_is_read() -> None:
    data = batch(some(2), 0, producer=7, transactional=True) + marker(2, 7, abort=True)
    data += batch(some(2, 3), 3, producer=7, transactional=True) + marker(5, 7, abort=False)
    found = assert_as_aiokafka(data, 0, READ_COMMITTED, [(7, 0)])
    assert [record[0] for record in found] == [3, 4]


@pytest.mark.parametrize(
    ("magic", "compression"), [(0, NONE), (0, GZIP), (0, SNAPPY), (1, NONE), (1, GZIP), (1, SNAPPY), (1, LZ4)]
)
@pytest.mark.parametrize("start", [0, 102])
def test_messages_of_old_formats_are_read(magic: int, compression: int, start: int) -> None:
    # A message that is not compressed is a batch by itself: the broker begins with the one asked for.
    skipped = 0 if compression else max(start - 100, 0)
    data = legacy_batch(some(5)[skipped:], 100, magic=magic, compression=compression)
    data += legacy_batch(some(5, 5), 105, magic=magic, compression=compression)
    found = assert_as_aiokafka(data, start, READ_COMMITTED, [])
    assert [record[0] for record in found] == list(range(max(start, 100), 110))


def test_a_fetch_may_begin_before_an_upgrade_of_the_format_and_end_after_it() -> None:
    data = legacy_batch(some(2), 0, magic=0) + legacy_batch(some(2, 2), 2, magic=1) + batch(some(2, 4), 4)
    assert [(record[0], record[3]) for record in take_all(ours(data))] == [(n, b"v%d" % n) for n in range(6)]


def test_batches_before_the_position_are_skipped_and_do_not_move_it_back() -> None:
    records = ours(batch(some(2), 0) + batch(some(2, 2), 2), start=3)
    assert [record[0] for record in take_all(records)] == [3]
    assert take_all(late := ours(batch(some(2), 0), start=9)) == []
    assert late.next_fetch_offset == 9


# -- what is corrupt ---------------------------------------------------------------------------------


def test_a_flipped_bit_anywhere_in_a_batch_is_never_a_record() -> None:
    good = batch(some(3))
    # The first 17 bytes say where the batch is, how long, and its format: Kafka's checksum leaves them out.
    for at in range(17, len(good)):
        bad = bytearray(good)
        bad[at] ^= 0x04
        with pytest.raises(CorruptRecordException, match="clicks-3 from offset 0"):
            ours(bytes(bad)).take()


@pytest.mark.parametrize("magic", [0, 1])
def test_old_formats_are_checksummed_too(magic: int) -> None:
    bad = bytearray(legacy_batch(some(1), magic=magic))
    bad[-1] ^= 0x04
    with pytest.raises(CorruptRecordException, match="wrong checksum"):
        ours(bytes(bad)).take()


@pytest.mark.parametrize("length", [-20, -12, -1, 0, 13])
def test_a_length_that_cannot_be_ends_in_an_error_not_in_a_loop(length: int) -> None:
    bad = bytearray(batch(some(1)))
    bad[8:12] = length.to_bytes(4, "big", signed=True)
    with pytest.raises(CorruptRecordException):
        take_all(ours(bytes(bad)))


async def test_after_a_corrupt_batch_reading_stands_where_it_stood() -> None:
    bad = bytearray(batch(some(2), 2))
    bad[-1] ^= 0x04
    assignment = Assignment([TP])
    assignment.state_value(TP).seek(0)
    result = result_of(ours(batch(some(2)) + bytes(bad)), assignment)
    with pytest.raises(CorruptRecordException, match="from offset 2"):
        result.getall()
    assert assignment.state_value(TP).position == 0
    assert result.getall() == []
    assert not result.has_more()


# -- lists -------------------------------------------------------------------------------------------


def result_of(records: BatchRecords, assignment: Assignment) -> BatchResult:
    return BatchResult(TP, assignment=assignment, partition_records=records, backoff=0)


async def test_a_fetch_of_many_records_comes_as_several_lists_of_whole_batches() -> None:
    assignment = Assignment([TP])
    state = assignment.state_value(TP)
    state.seek(0)
    data = b"".join(batch(some(1_500), first, compression=ZSTD) for first in range(0, 7_500, 1_500))
    result = result_of(ours(data), assignment)
    assert ([r.offset for r in result.getall()], state.position, result.has_more()) == ([*range(4_500)], 4_500, True)
    assert ([r.offset for r in result.getall()], state.position) == ([*range(4_500, 7_500)], 7_500)
    assert not result.has_more()


async def test_a_limit_of_records_is_refused_rather_than_overrun() -> None:
    assignment = Assignment([TP])
    assignment.state_value(TP).seek(0)
    with pytest.raises(ValueError, match="max_records=1"):
        result_of(ours(batch(some(2))), assignment).getall(1)


async def test_a_fetch_without_a_record_for_us_still_moves_the_position() -> None:
    assignment = Assignment([TP])
    assignment.state_value(TP).seek(0)
    data = batch(some(2), producer=7, transactional=True) + marker(2, 7, abort=True)
    result = result_of(ours(data, aborted=[(7, 0)]), assignment)
    assert result.getall() == []
    assert assignment.state_value(TP).position == 3
    assert not result.has_more()


async def test_what_was_fetched_before_a_seek_is_dropped() -> None:
    assignment = Assignment([TP])
    assignment.state_value(TP).seek(0)
    result = result_of(ours(batch(some(2))), assignment)
    assignment.state_value(TP).seek(1)
    assert result.getall() == []
    assert assignment.state_value(TP).position == 1


def test_a_record_outlives_its_fetch_and_does_not_hold_it() -> None:
    gc.disable()
    try:
        records = ours(batch(some(2)))
        kept = records.take()[1]
        gone = weakref.ref(records)
        del records
        assert gone() is None
    finally:
        gc.enable()
    assert (kept.offset, kept.key, kept.value) == (1, b"k1", b"v1")
    assert not [held for held in gc.get_referents(kept) if isinstance(held, FetchedBatches | memoryview)]


def test_another_aiokafka_is_refused_when_it_is_imported() -> None:
    with pytest.raises(ImportError, match=r"fetched_records of aiokafka has no \['FetchAnswer'\]"):
        with_names(Fetcher.fetched_records, FetchAnswer=object)
