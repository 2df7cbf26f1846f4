"""The seal of a state record on the changelog: a checksum over its key and itself (`docs/state.md`).

A record that was damaged, or stands under another user's key, could often be read, and would be wrong from then on
without anyone knowing. Kafka checks what it carries; this checks what was given to it.
"""

from collections.abc import Sequence
from typing import Final
from zlib import crc32

from forestay.core.errors import StateError
from forestay.core.record import OutputRecord

#: Stands in front of a sealed record. No version of a record is this, nor one bit away from it.
SEALED: Final[bytes] = b"\x53"
#: Bytes in front of the record: the sign above and CRC-32 (ISO 3309, as in zlib), big-endian.
SEAL: Final[int] = 5


def sealed(key: bytes, record: bytes) -> bytes:
    """Returns a record as it is written under `key`."""
    return SEALED + crc32(record, crc32(key)).to_bytes(4, "big") + record


def sealed_records(records: Sequence[OutputRecord]) -> list[OutputRecord]:
    """Returns the records of a checkpoint as they are written; tombstones have no seal."""
    return [
        OutputRecord(key, sealed(key, value)) if key is not None and value is not None else OutputRecord(key, value)
        for key, value, _ in records
    ]


def unsealed(key: bytes, value: bytes) -> bytes:
    """Returns the record that was written under `key`. One from before there were seals is returned as it is.

    Raises:
        StateError: it is not what was written, or was written under another key.
    """
    if value[:1] != SEALED:
        return value
    record = value[SEAL:]
    if int.from_bytes(value[1:SEAL], "big") != crc32(record, crc32(key)):
        raise StateError("its checksum is wrong: it was damaged, or written under another key")
    return record
