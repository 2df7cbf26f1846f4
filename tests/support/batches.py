"""Record batches as brokers store them, built byte by byte where no producer makes what a test needs."""

import struct
from collections.abc import Sequence
from typing import NamedTuple

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from crc32c import crc32c

_ROOM = 1 << 24
_CRC_AT, _ATTRIBUTES_AT, _LAST_DELTA_AT = 17, 21, 23
_CONTROL = 0x20


class Written(NamedTuple):
    """One record to put into a batch; `delta` is its offset from the batch's first."""

    delta: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


def batch(
    records: Sequence[Written],
    first: int = 0,
    *,
    compression: int = 0,
    producer: int = -1,
    transactional: bool = False,
    control: bool = False,
    last_delta: int | None = None,
) -> bytes:
    """A batch of today's format (v2); `last_delta`: where it ended before compaction took its last records."""
    builder = DefaultRecordBatchBuilder(2, compression, int(transactional), producer, 0, 0, _ROOM)
    for record in records:
        builder.append(record.delta, record.timestamp, record.key, record.value, list(record.headers))
    made = bytearray(builder.build())
    made[:8] = struct.pack(">q", first)
    if control:
        made[_ATTRIBUTES_AT + 1] |= _CONTROL
    if last_delta is not None:
        made[_LAST_DELTA_AT : _LAST_DELTA_AT + 4] = struct.pack(">i", last_delta)
    made[_CRC_AT : _CRC_AT + 4] = struct.pack(">I", crc32c(bytes(made[_ATTRIBUTES_AT:])))
    return bytes(made)


def marker(first: int, producer: int, *, abort: bool) -> bytes:
    """The control batch that ends a transaction."""
    key = struct.pack(">HH", 0, 0 if abort else 1)
    return batch([Written(0, 1, key, b"\0" * 6)], first, producer=producer, transactional=True, control=True)


def legacy_batch(records: Sequence[Written], first: int = 0, *, magic: int, compression: int = 0) -> bytes:
    """Messages of format v0 or v1: one after the other, or wrapped in one that is compressed."""
    builder = LegacyRecordBatchBuilder(magic, compression, _ROOM)
    for record in records:
        # Inside a wrapper of v1 offsets count from its own; everywhere else they are the partition's.
        relative = bool(compression) and magic == 1
        offset = record.delta if relative else first + record.delta
        builder.append(offset, timestamp=record.timestamp, key=record.key, value=record.value)
    made = bytearray(builder.build())
    if compression:
        made[:8] = struct.pack(">q", first + records[-1].delta)
    return bytes(made)
