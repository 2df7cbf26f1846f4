"""Which users stay unpacked: those touched lately, fewer of them where a partition has very many."""

import pytest
from support.builders import START, click, encoded, lived

from forestay.core.clock.schedule import Schedule
from forestay.core.feature_set import DEFAULT_FEATURES
from forestay.core.patterns.patterns import PatternRules
from forestay.core.rules import Rules
from forestay.core.units import DAY
from forestay.core.users import Users

IDLE = 730 * DAY
LIVE = 1_500
TOUCHED = 1_001


def many(count: int) -> Users:
    """Returns so many packed users, all of them alike."""
    schedule = Schedule(DEFAULT_FEATURES, PatternRules([]), IDLE)
    users = Users(DEFAULT_FEATURES, schedule, Rules().lateness, LIVE)
    record = encoded(lived(click(ts=START)))
    users.restore({f"u{number}": record for number in range(count)})
    return users


@pytest.mark.parametrize(("count", "is_packed"), [(3 * TOUCHED, False), (3 * TOUCHED + 24 * (LIVE - 1_000), True)])
def test_the_more_users_are_packed_the_sooner_an_idle_one_is(count: int, is_packed: bool) -> None:
    users = many(count)
    state = users.get("u0")
    for turn in range(2):
        for number in range(TOUCHED):
            users.get(f"u{1 + turn * TOUCHED + number}")
        users.cool()
    assert (users.get("u0") is not state) is is_packed
    assert len(users) == count


def test_who_is_touched_every_turn_stays_live() -> None:
    users = many(60_000)
    state = users.get("u0")
    for turn in range(3):
        for number in range(TOUCHED):
            users.get(f"u{1 + turn * TOUCHED + number}")
        assert users.get("u0") is state
        users.cool()
