"""As many users as are asked for, made of real ones: each did the same under another id, some half days later."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from forestay.core.event import NEVER
from forestay.core.families.sequence import SLOT
from forestay.core.families.windows import FIELDS
from forestay.core.mark import PartitionMark
from forestay.core.partition import Partition
from forestay.core.rules import Rules
from forestay.core.state_codec import LEAVING
from forestay.core.units import HOUR, MINUTE, SECOND
from forestay_bench.core_records import Recorded, partition

#: Every bucket length of the default windows divides it.
HALF_DAY: Final = 12 * HOUR
_HEADER: Final = slice(1, 5)


def user_id(number: int) -> str:
    """Returns an id of 20 characters: between a number and a UUID."""
    return f"customer-{number:011d}"


def replicas(records: Sequence[bytes], users: int, halves: Sequence[int]) -> Iterator[tuple[str, bytes]]:
    """Yields id and record of so many users; each round through `records` is shifted by the next of `halves`."""
    for number in range(users):
        turn, at = divmod(number, len(records))
        yield user_id(number), shifted(records[at], halves[turn % len(halves)] * HALF_DAY)


def restored(made: Recorded, users: int, halves: Sequence[int], rules: Rules) -> Partition:
    """Returns a partition with so many replicas of what was recorded, as it is after recovery."""
    core = partition(rules)
    core.restore(dict(replicas(made.records, users, halves)), mark(made))
    return core


def mark(made: Recorded) -> PartitionMark:
    """Returns the mark of a partition at the end of the recording."""
    return PartitionMark({}, made.clock, 0, 0, made.clock)


def shifted(record: bytes, by: int) -> bytes:
    """Returns the record of a user who did all the same `by` milliseconds later, a multiple of `HALF_DAY`.

    What is not a distance from the newest moment is moved (`docs/state.md`).
    """
    minute = int.from_bytes(record[_HEADER], "big")
    if minute < LEAVING:
        minute += by // MINUTE
    fields: list[Any] = msgspec.msgpack.decode(record[5:], strict=False)
    fields[0] += by
    ids = fields[4]
    # Beginning and end of the generations of event ids; their newest moment, where it is not the user's.
    fields[4] = [v + by if isinstance(v, int) and v != NEVER else v for v in ids]
    _shift_parts(fields[6], by)
    if fields[7]:
        fields[7][0] += by
    return record[:1] + minute.to_bytes(4, "big") + msgspec.msgpack.encode(fields)


def _shift_parts(parts: dict[int, Any], by: int) -> None:
    for level in parts.get(1, ()):
        level[1] += by // level[0] * FIELDS
    items, _, categories, _ = parts.get(2, ([], b"", [], b""))
    for seconds in (items, categories):
        if seconds:
            seconds[0] += by // SECOND
    if len(parts.get(5, ())) > 1:
        parts[5][1] += by // SECOND
    if parts.get(7):
        parts[7][0] += by // SLOT
