"""State records of the previous version, in today's shape.

Version 1 kept the counts of 30 days by day (what is not in its 7 days goes to the first half of each), hashed event
ids and orders otherwise (they are forgotten), and knew of visits only how many there were: they count in
`sessions_total`, and the rhythm is learnt anew. What a record cannot tell is filled from history by `forestay
backfill`.
"""

from typing import Any, Final

import msgspec

from forestay.core.event import NEVER
from forestay.core.families.windows import FIELDS, REFUND_VALUE, SPEND
from forestay.core.units import HOUR, MINUTE, SECOND

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


def upgraded(record: bytes) -> list[Any]:
    """Returns the fields of a version 1 user record as `state_codec` reads them.

    Raises:
        ValueError: it is no such record.
    """
    old: list[Any] = msgspec.msgpack.decode(record[1:], strict=True)
    _, offset, applied, duplicates, first_ts, last_ts, last_by_kind, totals, rings, rhythm, _, _, steps = old[:13]
    contacts, score, scored_ts, _, country, timezone = old[13:19]
    parts: dict[int, list[Any]] = {
        1: _rings(rings),
        3: [n for kind, ts in enumerate(last_by_kind) if ts != NEVER for n in (kind, last_ts - ts)],
        4: [
            last_ts - first_ts,
            applied,
            totals.get(_PURCHASE, 0),
            totals.get(_OLD_SPEND, 0),
            totals.get(_REFUND, 0),
            totals.get(_OLD_REFUND_VALUE, 0),
        ],
        5: [rhythm[0] - 1, last_ts // SECOND, 0] if last_ts != NEVER else [0],
        7: _steps(steps),
    }
    return [
        last_ts,
        offset,
        applied,
        duplicates,
        [],
        [],
        parts,
        None,
        [value for ts, offer_id in contacts for value in (last_ts - ts, offer_id)],
        None if score is None else [score[0], last_ts - score[1], score[2]],
        None if scored_ts == NEVER else last_ts - scored_ts,
        None,
        country,
        None if country is None else 0,
        timezone,
        None if timezone is None else 0,
        None,
    ]


def _rings(rings: list[dict[int, dict[int, int]]]) -> list[list[int]]:
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
    flats = [_flat(length, level) for length, level in zip(_LENGTHS, keyed, strict=False)]
    return [flat for flat in flats if len(flat) > 1]


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
    flat, before = [length], 0
    for key in sorted(keyed):
        if keyed[key] > 0:
            flat.extend((key - before, keyed[key]))
            before = key
    return flat


def _steps(steps: list[list[int]]) -> list[int]:
    plain: list[int] = []
    before = 0
    for start, kind, order, count, quantity, value, dearest, item, category in steps:
        slot = start // _SLOT
        item_token = 1 + item % _ITEMS if item else 0
        category_token = 1 + category % _CATEGORIES if category else 0
        plain.extend((slot - before, kind, order % _ORDER_BITS, count, quantity, value, value - dearest))
        plain.extend((item_token, category_token))
        before = slot
    return plain
