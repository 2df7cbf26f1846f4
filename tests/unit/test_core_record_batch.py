"""Batches of Kafka's format 2 are read as aiokafka reads them, and never beyond their end."""

from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from forestay.core.record_batch import BatchRecord, read_records

Written = tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]
RECORDS: list[Written] = [
    (1_767_225_600_000, b"anna", b"value", []),
    (1_767_225_599_000, None, b"", [("trace", b"1"), ("trace", None), ("é", b"")]),
    (1_767_225_700_123, b"", None, []),
    (1_767_225_600_000, b"k" * 300, b"v" * 70_000, [("n" * 200, b"x" * 200)]),
]


def batch(compression: int = 0, records: Sequence[Written] = RECORDS) -> bytes:
    """Returns the records as one batch that begins at offset 0."""
    options: dict[str, Any] = {"producer_id": -1, "producer_epoch": -1, "base_sequence": -1, "batch_size": 1_000_000}
    builder = DefaultRecordBatchBuilder(magic=2, compression_type=compression, is_transactional=False, **options)
    for offset, (timestamp, key, value, headers) in enumerate(records):
        assert builder.append(offset, timestamp, key, value, headers) is not None
    return bytes(builder.build())


def told(record: Any) -> tuple[Any, ...]:
    return record.offset, record.timestamp, record.key, record.value, list(record.headers)


def ours(data: bytes, first: int = 0) -> list[BatchRecord]:
    records = read_records(data, first)
    assert records is not None
    return records


def aiokafkas(data: bytes) -> list[Any]:
    return [told(record) for record in MemoryRecords(data).next_batch()]


def test_records_are_those_that_aiokafka_reads() -> None:
    assert [told(record) for record in ours(batch())] == aiokafkas(batch())


def test_records_before_the_first_wanted_are_left_out() -> None:
    assert [record.offset for record in ours(batch(), 2)] == [2, 3]


def test_times_set_by_the_broker_stand_for_those_of_the_records() -> None:
    data = bytearray(batch())
    data[22] |= 8
    assert [told(record) for record in ours(bytes(data))] == aiokafkas(bytes(data))
    assert {record.timestamp for record in ours(bytes(data))} == {1_767_225_700_123}


def test_a_record_without_a_time_has_none() -> None:
    assert BatchRecord(0, -1, None, None, ()).timestamp is None


def test_offsets_go_on_from_the_batchs_own() -> None:
    data = (1_000_000_000_000).to_bytes(8, "big") + batch()[8:]
    assert [record.offset for record in ours(data)] == [10**12 + at for at in range(len(RECORDS))]


@pytest.mark.parametrize("damage", [(16, 1), (22, 1), (22, 4)])
def test_other_formats_and_compressed_batches_are_left_to_others(damage: tuple[int, int]) -> None:
    data = bytearray(batch())
    data[damage[0]] = damage[1]
    assert read_records(bytes(data), 0) is None
    assert read_records(batch()[:60], 0) is None


def test_times_further_apart_than_62_bits_are_left_to_others() -> None:
    assert read_records(batch(records=[(0, b"k", b"v", []), (2**63 - 1, b"k", b"v", [])]), 0) is None


@pytest.mark.parametrize("count", [-1, 3, 5])
def test_a_batch_with_another_number_of_records_than_it_says_is_left_to_others(count: int) -> None:
    data = batch()
    assert read_records(data[:57] + count.to_bytes(4, "big", signed=True) + data[61:], 0) is None


def test_a_batch_that_is_cut_is_left_to_others_and_a_damaged_one_is_read_within_its_bytes() -> None:
    data = batch()
    for end in range(61, len(data), 997):
        assert read_records(data[:end], 0) is None
    for at in range(61, 140):
        for byte in (0x00, 0x7F, 0x80, 0xFF):
            records = read_records(data[:at] + bytes([byte]) + data[at + 1 :], 0)
            assert records is None or sum(len(record.value or b"") for record in records) <= len(data)
