"""Rolling windows as rings of buckets in event time.

A window of length W with buckets of length b at moment t holds the events whose bucket is one of the W/b
newest up to and including t's own: those at or after `(t // b - W/b + 1) * b` and not after t's bucket. So
it reaches back between W - b and W. Only buckets with events are stored: a silent user's ring is empty.
Late events fall into the bucket they belong to while it is open, so the order of arrival changes nothing;
one thing depends on it: an order of several lines counts in the bucket of the line that arrives first.
"""

from typing import Final, NamedTuple

from forestay.core.units import DAY, HOUR, MINUTE

#: Fields of a bucket: a count an event kind, under the kind's code, and money in hundredths of the currency.
#: They stand in state records, so money has numbers that a new event kind cannot take.
SPEND: Final = -1
REFUND_VALUE: Final = -2

#: Sums saturate here, so that no stream of absurd prices can make a record that 64 bits cannot hold.
MAX_AMOUNT: Final = 2**62

#: A bucket's sparse content, field -> amount, and a ring, bucket number -> content.
Bucket = dict[int, int]
Ring = dict[int, Bucket]


class Window(NamedTuple):
    """A window's name as it appears in feature names, its bucket in milliseconds, and how many it spans."""

    name: str
    bucket: int
    buckets: int


#: No bucket is coarser than a twelfth of its window (design, 'Features').
WINDOWS: Final[tuple[Window, ...]] = (
    Window("1h", 5 * MINUTE, 12),
    Window("1d", HOUR, 24),
    Window("7d", 12 * HOUR, 14),
    Window("30d", DAY, 30),
)


def new_rings() -> list[Ring]:
    """Returns one empty ring a window."""
    return [{} for _ in WINDOWS]


def add(rings: list[Ring], ts: int, latest: int, field: int, amount: int) -> None:
    """Adds `amount` to `field` at moment `ts`, in every ring where that bucket is still open at `latest`."""
    for (_, length, count), ring in zip(WINDOWS, rings, strict=True):
        number = ts // length
        newest = latest // length
        if number <= newest - count:
            continue
        bucket = ring.get(number)
        if bucket is None:
            ring[number] = {field: amount}
            if len(ring) > count:
                expire(ring, newest - count)
        else:
            bucket[field] = min(bucket.get(field, 0) + amount, MAX_AMOUNT)


def expire(ring: Ring, last_closed: int) -> None:
    """Drops the buckets up to and including number `last_closed`."""
    for number in [number for number in ring if number <= last_closed]:
        del ring[number]


def totals(ring: Ring, window: Window, now: int) -> Bucket:
    """Returns the window's amounts by field at moment `now` (milliseconds)."""
    newest = now // window.bucket
    oldest = newest - window.buckets + 1
    sums: Bucket = {}
    for number, bucket in ring.items():
        if oldest <= number <= newest:
            for field, amount in bucket.items():
                sums[field] = sums.get(field, 0) + amount
    return sums
