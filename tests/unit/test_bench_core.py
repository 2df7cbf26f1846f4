"""The users of scripts/bench memory and timers: real ones moved in time, who take the events they are given."""

import itertools
from functools import cache
from pathlib import Path

import pytest
from rich.console import Console
from support.builders import RULES
from support.datasets import Fed, Share, online_retail
from support.features import features_of

from forestay.core.event import NEVER
from forestay.core.feature_set import DEFAULT_FEATURES
from forestay.core.state.state_codec import decode_user, timer_minute
from forestay.core.units import DAY, MINUTE
from forestay_bench.core_bench import sizes_of_sets
from forestay_bench.core_records import SOURCES, Recorded, recorded, sizes
from forestay_bench.core_replicas import HALF_DAY, replicas, restored, shifted, user_id
from forestay_bench.core_timers import events_of
from forestay_bench.errors import BenchError
from forestay_bench.processes import resident_bytes
from forestay_bench.screen import Screen

#: One user in so many of the shipped recording.
SHARE = Share(7, 200)


@cache
def rows() -> list[Fed]:
    return list(online_retail(SHARE))


@cache
def made() -> Recorded:
    return recorded(iter(rows()))


def test_every_user_of_the_recording_has_a_record_and_a_timer() -> None:
    known = {row.click["user_id"] for row in rows() if row.click}
    assert len(made().records) == len(known) > 10
    assert all(timer_minute(record) * MINUTE + MINUTE > made().clock for record in made().records)


@pytest.mark.parametrize("halves", [0, 1, 29])
def test_a_moved_user_is_the_same_later(halves: int) -> None:
    by = halves * HALF_DAY
    for record in made().records:
        state = decode_user(record, DEFAULT_FEATURES)
        later = decode_user(shifted(record, by), DEFAULT_FEATURES)
        now = state.last_ts + 3 * DAY
        assert features_of(later, DEFAULT_FEATURES, now + by) == features_of(state, DEFAULT_FEATURES, now)
        assert (later.last_ts, later.armed) == (state.last_ts + by, state.armed + by // MINUTE)
        assert later.event_ids.latest == state.event_ids.latest + (by if state.event_ids.began != NEVER else 0)
        assert shifted(shifted(record, by), -by) == record


def test_replicas_go_through_the_records_again_and_again_later_and_later() -> None:
    records = made().records
    turn = len(records)
    found = list(replicas(records, 2 * turn, [0, 2]))
    assert [record for _, record in found[:turn]] == records
    assert [record for _, record in found[turn:]] == [shifted(record, DAY) for record in records]
    assert len({user for user, _ in found}) == 2 * turn


def test_restored_users_take_every_event() -> None:
    core = restored(made(), 30, range(1), RULES)
    before = [core.users.get(user_id(number)) for number in range(30)]
    counted = [state.applied for state in before if state is not None]
    applied = core.apply(SOURCES.clickstream, list(events_of([*range(30), *range(30)], made().clock)))
    assert not applied.dead_letters
    assert [state.applied for state in before if state is not None] == [count + 2 for count in counted]


def test_sizes_are_of_the_records_sorted_by_length() -> None:
    found = sizes("a set", [bytes(length) for length in (5, 1, 9, 3, 7)])
    assert found == ("a set", 5, 5.0, 5, 9, 9)


def test_a_folder_without_sets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="none of the sets"):
        sizes_of_sets(tmp_path, Screen(Console(quiet=True)))


def test_what_is_held_in_memory_is_seen() -> None:
    before = resident_bytes()
    held = list(itertools.repeat(0, 8_000_000))
    assert resident_bytes() - before > len(held) * 7
