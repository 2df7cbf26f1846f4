"""State records of the previous version, in today's shape.

Version 1 kept the counts of 30 days by day (what is not in its 7 days goes to the first half of each), hashed event
ids and orders otherwise (they are forgotten), and knew of visits only how many there were: they count in
`sessions_total`, and the rhythm is learnt anew. What a record cannot tell is filled from history by `forestay
backfill`.
"""

import itertools
from typing import Any, Final

import msgspec

from forestay.core.errors import StateError
from forestay.core.event import NEVER
from forestay.core.families.sequence import SequencePart, Step
from forestay.core.families.windows import FIELDS, REFUND_VALUE, SPEND
from forestay.core.packing import RecordWriter
from forestay.core.units import HOUR, MAX_AMOUNT, MINUTE, SECOND

#: Bucket lengths of version 1's first three rings: 1h, 1d and 7d. The fourth had a bucket a day.
_LENGTHS: Final[list[int]] = [5 * MINUTE, HOUR, 12 * HOUR]
_OLD_SPEND: Final[int] = -1
_OLD_REFUND_VALUE: Final[int] = -2
_PURCHASE: Final[int] = 8
_REFUND: Final[int] = 9
_ITEMS: Final[int] = 2_047
_CATEGORIES: Final[int] = 511
_ORDER_BITS: Final[int] = 2**31
_SLOT: Final[int] = 30 * MINUTE


def upgraded(record: bytes) -> bytes:
    """Returns what a version 1 user record tells as `state_codec` reads it, behind version and minute.

    Raises:
        StateError: it is no such record.
    """
    try:
        return _upgraded(msgspec.msgpack.decode(record[1:], strict=True))
    except (msgspec.DecodeError, LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise StateError(f"a user state record of version 1 cannot be read: {error}") from error


def _upgraded(old: list[Any]) -> bytes:
    _, offset, applied, duplicates, first_ts, last_ts, last_by_kind, totals, rings, rhythm, _, _, steps = old[:13]
    contacts, score, scored_ts, _, country, timezone = old[13:19]
    writer = RecordWriter()
    # No event ids.
    _write(writer, [last_ts, offset, applied, duplicates, 0])
    present = (contacts, score, scored_ts != NEVER, False, country, timezone)
    writer.number(sum(2**bit for bit, value in enumerate(present) if value))
    if contacts:
        writer.number(len(contacts))
    for ts, offer_id in contacts:
        writer.number(last_ts - ts)
        writer.text(offer_id)
    if score:
        writer.real(score[0])
        writer.number(last_ts - score[1])
        writer.text(score[2])
    if scored_ts != NEVER:
        writer.number(last_ts - scored_ts)
    for place in (country, timezone):
        if place:
            writer.text(place)
            writer.number(0)
    spend, given_back = (min(totals.get(key, 0), MAX_AMOUNT) for key in (_OLD_SPEND, _OLD_REFUND_VALUE))
    orders, refunds = totals.get(_PURCHASE, 0), totals.get(_REFUND, 0)
    _section(writer, 1, _rings(rings))
    _section(writer, 3, [n for kind, ts in enumerate(last_by_kind) if ts != NEVER for n in (kind, last_ts - ts)])
    if last_ts != NEVER:
        _section(writer, 4, [last_ts - first_ts, applied, orders, spend, refunds, given_back])
        _section(writer, 5, [rhythm[0] - 1, 1, last_ts // SECOND, 0])
    begun = writer.begin(7)
    _sequence(steps).write(writer, last_ts, last_ts)
    writer.end(begun)
    writer.close()
    return writer.written()


def _section(writer: RecordWriter, code: int, numbers: list[int]) -> None:
    begun = writer.begin(code)
    _write(writer, numbers)
    writer.end(begun)


def _write(writer: RecordWriter, numbers: list[int]) -> None:
    for number in numbers:
        writer.number(number)


def _sequence(steps: list[list[int]]) -> SequencePart:
    part = SequencePart()
    for start, kind, order, events, quantity, value, dearest, item, category in steps:
        item_token = 1 + item % _ITEMS if item else 0
        category_token = 1 + category % _CATEGORIES if category else 0
        slot, order_token = start // _SLOT, order % _ORDER_BITS
        worth = min(value, MAX_AMOUNT), min(dearest, MAX_AMOUNT)
        part.join(Step(slot, kind, order_token, events, quantity, *worth, item_token, category_token))
    return part


def _rings(rings: list[dict[int, dict[int, int]]]) -> list[int]:
    """Returns today's levels: version 1 counted an event in every ring, today it stands in the finest alone."""
    keyed = [
        {number * FIELDS + _field(field): amount for number, by in ring.items() for field, amount in by.items()}
        for ring in rings
    ]
    # An expired bucket may stand in one ring and not in the coarser one any more.
    hours = _coarser(keyed[0], _LENGTHS[1] // _LENGTHS[0])
    keyed[1] = {key: max(keyed[1].get(key, 0), hours.get(key, 0)) for key in keyed[1] | hours}
    halves = _coarser(keyed[1], _LENGTHS[2] // _LENGTHS[1])
    keyed[2] = {key: max(keyed[2].get(key, 0), halves.get(key, 0)) for key in keyed[2] | halves}
    _add_days(keyed[2], keyed[3])
    keyed[2] = {key: amount - halves.get(key, 0) for key, amount in keyed[2].items()}
    keyed[1] = {key: amount - hours.get(key, 0) for key, amount in keyed[1].items()}
    return [n for length, level in zip(_LENGTHS, keyed, strict=False) for n in _flat(length, level)]


def _coarser(level: dict[int, int], times: int) -> dict[int, int]:
    """Returns the amounts in buckets `times` as long."""
    sums: dict[int, int] = {}
    for key, amount in level.items():
        to = key // FIELDS // times * FIELDS + key % FIELDS
        sums[to] = sums.get(to, 0) + amount
    return sums


def _add_days(halves: dict[int, int], days: dict[int, int]) -> None:
    """Adds what the days have beyond their two halves, to the first of them."""
    for key, amount in days.items():
        first = key // FIELDS * 2 * FIELDS + key % FIELDS
        halves[first] = max(halves.get(first, 0), amount - halves.get(first + FIELDS, 0))


def _field(field: int) -> int:
    return {_OLD_SPEND: SPEND, _OLD_REFUND_VALUE: REFUND_VALUE}.get(field, field)


def _flat(length: int, keyed: dict[int, int]) -> list[int]:
    """Returns a level's bucket length, how many amounts it has, and each key as the step from the last, with it."""
    keys = [key for key in sorted(keyed) if keyed[key] > 0]
    if not keys:
        return []
    flat = [length, len(keys)]
    for before, key in itertools.pairwise([0, *keys]):
        flat.extend((key - before, min(keyed[key], MAX_AMOUNT)))
    return flat
