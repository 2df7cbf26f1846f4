"""scripts/bench watch on a few users of the shipped recording: it measures what it says."""

from functools import cache

from support.datasets import Share

from forestay.core.record import SourceRecord
from forestay_bench.watch_bench import field_counting, overhead, records, wolf


@cache
def fed() -> list[SourceRecord]:
    return records(8_000, Share(7, 40))


def test_the_watch_looks_at_every_score() -> None:
    found = overhead(fed(), 50)
    assert found.events == len(fed())
    assert found.scores > 400
    assert 0 < found.watch_us < found.core_us
    assert field_counting(fed()[0], 1_000) > 0


def test_a_wolf_is_counted_from_its_seed() -> None:
    found = wolf(fed(), seed=3, months=1)
    assert (found.seed, found.months) == (3, 1)
    assert found.columns > 15
    assert found.alarms <= found.columns
    assert wolf(fed(), seed=3, months=1) == found
