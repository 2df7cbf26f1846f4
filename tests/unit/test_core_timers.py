"""Silence timers: when they are due, in which order they fire, and that idle users cost nothing."""

from typing import cast

import pytest
from support.builders import START, apply, click, lived, partition, restored, settle, source, tick, user

from forestay.core.clock.schedule import Schedule
from forestay.core.clock.timers import LONGEST, SHORTEST, UNKNOWN, Timers, first_silence, next_silence
from forestay.core.event import NEVER
from forestay.core.families.sessions import SessionsPart
from forestay.core.feature_set import DEFAULT_FEATURES
from forestay.core.partition import Partition
from forestay.core.patterns.patterns import PatternRules
from forestay.core.rules import Rules
from forestay.core.state.user_state import UserState
from forestay.core.units import DAY, HOUR, MINUTE, SECOND
from forestay_schemas import TriggerKind

SCHEDULE = Schedule(DEFAULT_FEATURES, PatternRules([]), Rules().idle)


def visitor(*moments: int) -> UserState:
    return lived(*(click(f"e{number}", ts=ts) for number, ts in enumerate(moments)))


def sessions(state: UserState) -> SessionsPart:
    return cast(SessionsPart, state.parts[DEFAULT_FEATURES.index("sessions")])


@pytest.mark.parametrize(
    ("moments", "silence"),
    [
        ([START], UNKNOWN),
        ([START + n * 3 * DAY for n in range(3)], UNKNOWN),
        ([START + n * 3 * DAY for n in range(4)], 3 * DAY),
        ([START + n * HOUR for n in range(9)], SHORTEST),
        ([START + n * 90 * DAY for n in range(4)], LONGEST),
        # Gaps of 2, 2 and 5 days: mean 3, deviation the root of 2.
        ([START, START + 2 * DAY, START + 4 * DAY, START + 9 * DAY], round((3 + 2 * 2**0.5) * DAY / SECOND) * SECOND),
    ],
)
def test_the_first_silence_is_mean_gap_plus_two_deviations(moments: list[int], silence: int) -> None:
    assert first_silence(sessions(visitor(*moments))) == silence


def test_without_the_sessions_family_every_rhythm_is_unknown() -> None:
    assert first_silence(None) == UNKNOWN


def test_each_further_silence_is_twice_as_long_up_to_half_a_year() -> None:
    state, after, dues = visitor(START), NEVER, []
    while (after := next_silence(state, sessions(state), after)) != NEVER:
        dues.append((after - START) // DAY)
    assert dues == [14, 28, 56, 112]


def silences(core: Partition, clock: int, offset: int) -> list[tuple[int, str]]:
    found = apply(core, [tick(clock, offset)]).situations
    assert all(one.trigger.kind is TriggerKind.SILENCE for one in found)
    return [((one.now - START) // DAY, one.user_id) for one in found]


def test_silences_speak_in_order_of_due_time_and_then_of_user_at_their_own_moment() -> None:
    core = partition()
    apply(
        core,
        [source(click(f"e{n}", name, ts=START + n // 2 * DAY), n) for n, name in enumerate(["b", "a", "d", "c"])],
    )
    assert silences(core, START + 14 * DAY - 1, 0) == []
    assert silences(core, START + 30 * DAY, 1) == [
        *((14, "a"), (14, "b"), (15, "c"), (15, "d"), (28, "a"), (28, "b"), (29, "c"), (29, "d"))
    ]
    assert silences(core, START + 30 * DAY, 2) == []
    assert silences(core, START + 900 * DAY, 3)[-1] == (113, "d")
    assert silences(core, START + 5_000 * DAY, 4) == []


def test_an_event_moves_the_silence_on_and_speaks_after_it() -> None:
    core = partition()
    apply(core, [source(click("e1", ts=START), 0)])
    found = apply(core, [source(click("e2", ts=START + 20 * DAY), 1)]).situations
    assert [(one.trigger.kind.value, (one.now - START) // DAY) for one in found] == [("silence", 14), ("event", 20)]
    assert silences(core, START + 33 * DAY, 0) == []
    assert silences(core, START + 34 * DAY, 1) == [(34, "u1")]


@pytest.mark.parametrize(("late", "due"), [(-1, 28), (0, 28), (1, 29)])
def test_a_late_event_does_not_let_a_silence_speak_twice(late: int, due: int) -> None:
    """It once did: the same decision id, a second content, a second action."""
    core = partition()
    apply(core, [source(click("e1", ts=START), 0)])
    assert silences(core, START + 15 * DAY, 0) == [(14, "u1")]
    settle(core, [source(click("e2", ts=START + late * DAY), 1)])
    assert silences(core, START + due * DAY - 1, 1) == []
    assert silences(core, START + due * DAY, 2) == [(due, "u1")]


def test_a_late_events_silences_of_the_past_are_passed_over() -> None:
    core = partition()
    apply(core, [tick(START + 40 * DAY, 0)])
    apply(core, [source(click("e1", ts=START), 0)])
    assert silences(core, START + 56 * DAY - 1, 1) == []
    assert silences(core, START + 56 * DAY, 2) == [(56, "u1")]


def test_after_every_record_all_timers_lie_ahead_of_the_clock() -> None:
    core = partition()
    for number, (name, ts) in enumerate([("a", 0), ("b", 40 * DAY), ("a", 2 * DAY), ("c", 3 * DAY), ("b", 99 * DAY)]):
        apply(core, [source(click(f"e{number}", name, ts=START + ts), number)])
        known = [user(core, user_id) for user_id in core.users.ids()]
        assert all(SCHEDULE.due(state) > core.clock for state in known)
        # Who is armed is looked at no later than due, and the past has no timers but those of the clock's own minute.
        assert all(NEVER != state.armed * MINUTE <= SCHEDULE.due(state) for state in known)
        assert core.users.timers.first() >= core.clock // MINUTE


def test_timers_survive_a_restart_in_the_same_order() -> None:
    core = partition()
    apply(core, [source(click(f"e{n}", f"u{n % 7}", ts=START + n * HOUR), n) for n in range(20)])
    again = restored(core.checkpoint(0, 0))
    assert silences(again, START + 60 * DAY, 0) == silences(core, START + 60 * DAY, 0)


@pytest.mark.parametrize("idle", [10, 10_000])
def test_an_event_costs_no_timer_however_many_users_are_idle(idle: int) -> None:
    """An event moves its user's due time on, which touches no timer: they stand where they stood."""
    core = partition()
    apply(core, [source(click(f"i{n}", f"idle-{n}", ts=START), n) for n in range(idle)])
    apply(core, [source(click("b", "busy", ts=START), idle)])
    assert len(core.users.timers) == idle + 1
    for second in range(500):
        apply(core, [source(click(f"e{second}", "busy", ts=START + second * MINUTE), idle + 1 + second)])
        assert len(core.users.timers) == idle + 1


def test_a_busy_user_is_looked_at_once_a_day_and_not_once_an_event() -> None:
    """30 days of hourly events, the shortest silence a day: the timer stands at one place a day."""
    core = partition()
    stood = set()
    for hour in range(24 * 30):
        assert not [
            one
            for one in apply(core, [source(click(f"e{hour}", ts=START + hour * HOUR), hour)]).situations
            if one.trigger.kind is not TriggerKind.EVENT
        ]
        stood.add(core.users.timers.first())
        assert len(core.users.timers) == 1
    # It comes due an hour before a day is over, since the last event was an hour ago.
    assert len(stood) <= 30 * 24 / 23 + 1


def test_a_timer_moved_earlier_is_the_one_that_counts() -> None:
    timers, state = Timers(), lived()
    for due in (90, 50, 70, NEVER):
        timers.arm("u", state, due if due == NEVER else due * MINUTE)
    assert (state.armed, timers.first()) == (50, 50)
    assert timers.take(9) == ["u"]
    # The one at 90 is left behind; whoever takes it sees that the user is armed elsewhere.
    assert (timers.first(), len(timers)) == (90, 1)
