"""As many users as are asked for, made of real ones: each did the same under another id, some half days later."""

from collections.abc import Iterator, Sequence
from typing import Final

from forestay.core.event import NEVER
from forestay.core.families.family import Family, Part
from forestay.core.families.sequence import SLOT
from forestay.core.families.windows import FIELDS, WindowsPart
from forestay.core.feature_set import DEFAULT_FEATURES
from forestay.core.packing import RecordReader, RecordWriter
from forestay.core.partition import Partition
from forestay.core.patterns.patterns import PatternMemory
from forestay.core.rules import Rules
from forestay.core.state.event_ids import EventIds
from forestay.core.state.mark import PartitionMark
from forestay.core.state.state_codec import decode_user, encode_user
from forestay.core.state.user_state import UserState
from forestay.core.units import HOUR, MINUTE, SECOND
from forestay_bench.core_records import Recorded, partition

#: Every bucket length of the default windows divides it.
HALF_DAY: Final = 12 * HOUR
#: Bits of a step's first number below its slot.
_BELOW_SLOT: Final = 9


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
    """Returns the record of a user who did all the same `by` milliseconds later, a multiple of `HALF_DAY`."""
    state = decode_user(record, DEFAULT_FEATURES)
    due = NEVER if state.armed == NEVER else state.armed * MINUTE + by
    _shift_events(state, by)
    _shift_known(state, by)
    # Nothing is left out that the record has.
    return encode_user(state, DEFAULT_FEATURES, NEVER, 0, due)


def _shift_events(state: UserState, by: int) -> None:
    """Moves the newest moment, and with it what is written as a distance from it."""
    latest = state.last_ts
    ids = RecordWriter()
    state.event_ids.write(ids, latest, NEVER)
    state.event_ids = EventIds()
    state.event_ids.read(RecordReader(ids.written()), latest + by)
    state.orders = {order: ts + by for order, ts in state.orders.items()}
    families = zip(DEFAULT_FEATURES.families, state.parts, strict=True)
    state.parts = [_shifted_part(family, part, latest, by) for family, part in families]
    state.last_ts = latest + by


def _shifted_part(family: Family, part: Part, latest: int, by: int) -> Part:
    writer = RecordWriter()
    if isinstance(part, WindowsPart):
        for scale, level in zip(part.family.scales, part.levels, strict=True):
            for at in range(0, len(level.pairs), 2):
                level.pairs[at] += by // scale.length * FIELDS
        part.write(writer, latest + by, latest + by)
    else:
        part.write(writer, latest, latest)
    numbers = writer.written()
    if numbers and family.name == "sessions":
        numbers = _more(numbers, 2, by // SECOND)
    if numbers and family.name == "sequence":
        numbers = _more(numbers, 1, by // SLOT << _BELOW_SLOT)
    return family.read(RecordReader(numbers), latest + by)


def _shift_known(state: UserState, by: int) -> None:
    for contact in state.contacts:
        contact.ts += by
    if state.score is not None:
        state.score.ts += by
    if state.scored_ts != NEVER:
        state.scored_ts += by
    if state.seen_clock != NEVER:
        state.seen_clock += by
    state.country_ts += by
    state.timezone_ts += by
    if state.patterns is not None:
        writer = RecordWriter()
        state.patterns.write(writer)
        state.patterns = PatternMemory.read(RecordReader(_more(writer.written(), 1, by)))


def _more(numbers: bytes, place: int, more: int) -> bytes:
    """Returns numbers of a record, the one at a place larger by `more`: the only moment there that is no distance."""
    reader, before, after = RecordReader(numbers), RecordWriter(), RecordWriter()
    for _ in range(place):
        number = reader.number()
        before.number(number)
        after.number(number)
    number = reader.number()
    before.number(number)
    after.number(number + more)
    return after.written() + numbers[len(before.written()) :]
