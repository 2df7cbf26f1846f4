"""Silence timers: when they are due, in which order they fire, and that idle users cost nothing."""

import heapq

import pytest
from support.builders import START, click, partition, settle, source, tick

from forestay.core import timers
from forestay.core.event import from_contract
from forestay.core.partition import Partition
from forestay.core.state_codec import MARK_KEY, decode_mark, decode_user
from forestay.core.timers import LONGEST, SHORTEST, UNKNOWN, SilenceTimers, first_silence, next_due
from forestay.core.units import DAY, HOUR, MINUTE
from forestay.core.user_state import NEVER, UserState, apply_event
from forestay_schemas import ClickEvent, TriggerKind


def user(*moments: int) -> UserState:
    state = UserState(partition=0)
    for number, ts in enumerate(moments):
        apply_event(state, from_contract(ClickEvent.model_validate(click(f"e{number}", ts=ts))))
    return state


@pytest.mark.parametrize(
    ("moments", "silence"),
    [
        ([START], UNKNOWN),
        ([START + n * 3 * DAY for n in range(3)], UNKNOWN),
        ([START + n * 3 * DAY for n in range(4)], 3 * DAY),
        ([START + n * HOUR for n in range(9)], SHORTEST),
        ([START + n * 90 * DAY for n in range(4)], LONGEST),
        # Gaps of 2, 2 and 5 days: mean 3, deviation the root of 2.
        ([START, START + 2 * DAY, START + 4 * DAY, START + 9 * DAY], round((3 + 2 * 2**0.5) * DAY)),
    ],
)
def test_the_first_silence_is_mean_gap_plus_two_deviations(moments: list[int], silence: int) -> None:
    assert first_silence(user(*moments)) == silence


def test_each_further_silence_is_twice_as_long_up_to_half_a_year() -> None:
    state, after, dues = user(START), NEVER, []
    while (after := next_due(state, after)) != NEVER:
        dues.append((after - START) // DAY)
    assert dues == [14, 28, 56, 112]


def silences(core: Partition, clock: int, offset: int) -> list[tuple[int, str]]:
    found = core.apply([tick(clock, offset)]).situations
    assert all(one.trigger.kind is TriggerKind.SILENCE for one in found)
    return [((one.now - START) // DAY, one.user_id) for one in found]


def test_silences_speak_in_order_of_due_time_and_then_of_user_at_their_own_moment() -> None:
    core = partition()
    core.apply(
        [source(click(f"e{n}", name, ts=START + n // 2 * DAY), n) for n, name in enumerate(["b", "a", "d", "c"])]
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
    core.apply([source(click("e1", ts=START), 0)])
    found = core.apply([source(click("e2", ts=START + 20 * DAY), 1)]).situations
    assert [(one.trigger.kind.value, (one.now - START) // DAY) for one in found] == [("silence", 14), ("event", 20)]
    assert silences(core, START + 33 * DAY, 0) == []
    assert silences(core, START + 34 * DAY, 1) == [(34, "u1")]


@pytest.mark.parametrize(("late", "due"), [(-1, 28), (0, 28), (1, 29)])
def test_a_late_event_does_not_let_a_silence_speak_twice(late: int, due: int) -> None:
    """It once did: the same decision id, a second content, a second action."""
    core = partition()
    core.apply([source(click("e1", ts=START), 0)])
    assert silences(core, START + 15 * DAY, 0) == [(14, "u1")]
    settle(core, [source(click("e2", ts=START + late * DAY), 1)])
    assert silences(core, START + due * DAY - 1, 1) == []
    assert silences(core, START + due * DAY, 2) == [(due, "u1")]


def test_a_late_events_silences_of_the_past_are_passed_over() -> None:
    core = partition()
    core.apply([tick(START + 40 * DAY, 0), source(click("e1", ts=START), 0)])
    assert silences(core, START + 56 * DAY - 1, 1) == []
    assert silences(core, START + 56 * DAY, 2) == [(56, "u1")]


def test_after_every_record_all_timers_lie_ahead_of_the_clock() -> None:
    core = partition()
    for number, (name, ts) in enumerate([("a", 0), ("b", 40 * DAY), ("a", 2 * DAY), ("c", 3 * DAY), ("b", 99 * DAY)]):
        core.apply([source(click(f"e{number}", name, ts=START + ts), number)])
        assert all(state.silence_due > core.clock or state.silence_due == NEVER for state in core.users.values())


def test_timers_survive_a_restart_in_the_same_order() -> None:
    core = partition()
    core.apply([source(click(f"e{n}", f"u{n % 7}", ts=START + n * HOUR), n) for n in range(20)])
    records = {record.key or b"": record.value or b"" for record in core.checkpoint(0, 0)}
    mark = decode_mark(records.pop(MARK_KEY))
    restored = partition()
    restored.restore({key.decode(): decode_user(value) for key, value in records.items()}, mark)
    assert silences(restored, START + 60 * DAY, 0) == silences(core, START + 60 * DAY, 0)


class CountingHeap:
    """Stands for `heapq` in the module under test and counts what it is asked to do."""

    def __init__(self) -> None:
        self.operations = 0

    def heappush(self, heap: list[tuple[int, str]], item: tuple[int, str]) -> None:
        self.operations += 1
        heapq.heappush(heap, item)

    def heappop(self, heap: list[tuple[int, str]]) -> tuple[int, str]:
        self.operations += 1
        return heapq.heappop(heap)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> CountingHeap:
    heap = CountingHeap()
    monkeypatch.setattr(timers, "heapq", heap)
    return heap


@pytest.mark.parametrize("idle", [10, 10_000])
def test_the_cost_of_an_event_does_not_grow_with_idle_users(counting: CountingHeap, idle: int) -> None:
    mine = {f"idle-{n}": START + 100 * DAY for n in range(idle)}
    armed = SilenceTimers()
    for name, due in mine.items():
        armed.arm(name, due)
    counting.operations = 0
    for second in range(1_000):
        mine["busy"] = START + second * MINUTE + DAY
        armed.arm("busy", mine["busy"])
        assert list(armed.due(START + second * MINUTE, mine.__getitem__)) == []
    assert counting.operations == 1
    assert len(armed) == idle + 1


def test_an_entry_that_surfaces_early_goes_back_once_a_silence_and_not_once_an_event(counting: CountingHeap) -> None:
    mine, armed = {"busy": 0}, SilenceTimers()
    for hour in range(24 * 30):
        mine["busy"] = hour * HOUR + DAY
        armed.arm("busy", mine["busy"])
        assert list(armed.due(hour * HOUR, mine.__getitem__)) == []
    # 30 days of hourly events, a silence of a day: one pop and one push a day.
    assert counting.operations <= 2 * 31


def test_a_timer_moved_earlier_fires_once() -> None:
    mine, armed = {"u": 50}, SilenceTimers()
    armed.arm("u", 90)
    armed.arm("u", 50)
    armed.arm("u", 70)
    fired = []
    for due, name in armed.due(100, lambda _: mine["u"]):
        fired.append(due)
        mine[name] = NEVER
        armed.arm(name, NEVER)
    assert fired == [50]
    assert len(armed) == 0
