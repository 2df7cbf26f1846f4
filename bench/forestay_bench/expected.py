"""What must come out: recounted from the raw events with no rings."""

import random
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from forestay_bench.stream import FIRST_EMITTING, KINDS, Stream, rfc3339, user_id
from forestay_bench.windows import Window

_BUSIEST: Final = 5
_DRAWN: Final = 15
_SEED: Final = 7


class Counted(NamedTuple):
    """One output record: by window, the counts of the five kinds, and the spend in hundredths."""

    ts: str
    counts: dict[str, tuple[int, ...]]
    spend: dict[str, int]


class Expected(NamedTuple):
    """Records of all users, and the last record of the sampled ones."""

    records: int
    by_user: dict[str, int]
    last: dict[str, Counted]


def expect(events: Stream, windows: Sequence[Window]) -> Expected:
    """Returns what a right engine puts out: the busiest five users and fifteen drawn ones are sampled."""
    emitting = events.users[events.kinds >= FIRST_EMITTING]
    numbers, counts = np.unique(emitting, return_counts=True)
    by_user = {user_id(int(number)): int(count) for number, count in zip(numbers, counts, strict=True)}
    return Expected(len(emitting), by_user, {user_id(n): _last(events, n, windows) for n in _sample(events, numbers)})


def _sample(events: Stream, emitting: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> list[int]:
    activity = np.bincount(events.users)[emitting]
    busiest = [int(number) for number in emitting[np.argsort(-activity, kind="stable")][:_BUSIEST]]
    others = [int(number) for number in emitting if int(number) not in busiest]
    # A fixed seed: every run looks at the same users.
    return busiest + random.Random(_SEED).sample(others, min(_DRAWN, len(others)))  # noqa: S311


def _last(events: Stream, user: int, windows: Sequence[Window]) -> Counted:
    """Recounts a user's last output record."""
    mine = np.flatnonzero(events.users == user)
    kinds = events.kinds[mine]
    end = int(np.flatnonzero(kinds >= FIRST_EMITTING)[-1]) + 1
    kinds, times, cents = kinds[:end], events.times[mine][:end], events.cents[mine][:end]
    now = int(times[-1])
    counts: dict[str, tuple[int, ...]] = {}
    spend: dict[str, int] = {}
    for window in windows:
        within = times // window.bucket_ms > now // window.bucket_ms - window.buckets
        counts[window.name] = tuple(int(np.sum(within & (kinds == kind))) for kind in range(len(KINDS)))
        spend[window.name] = int(cents[within].sum())
    return Counted(rfc3339(now), counts, spend)
