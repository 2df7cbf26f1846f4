"""A user silent for longer than `idle` is forgotten, and comes back as a new one; others are not touched."""

import pytest
from support.builders import (
    START,
    apply,
    catalogue,
    click,
    encoded,
    feature,
    lived,
    offer,
    partition,
    restored,
    settle,
    source,
    states,
    tick,
    user,
)

from forestay.core.partition import Partition
from forestay.core.rules import Rules
from forestay.core.state.state_codec import MARK_KEY
from forestay.core.units import DAY, MINUTE

IDLE = 200 * DAY
RULES = Rules(idle=IDLE)


def one() -> Partition:
    core = partition(RULES)
    settle(core, [source(click("e0", event="purchase", ts=START, price=10), 0)])
    return core


@pytest.mark.parametrize(("after", "known"), [(IDLE, True), (IDLE + 1, False)])
def test_the_clock_forgets_a_user_a_millisecond_after_the_idle_time(after: int, known: bool) -> None:
    core = one()
    apply(core, [tick(START + after)])
    assert ("u1" in core.users.ids()) == known


def test_who_is_forgotten_leaves_a_tombstone_and_no_timer() -> None:
    core = one()
    assert [record.key for record in core.checkpoint(0, 1)] == [b"u1", MARK_KEY]
    apply(core, [tick(START + IDLE + 1)])
    (gone, _) = core.checkpoint(0, 1)
    assert (gone.key, gone.value) == (b"u1", None)
    assert len(core.users) == len(core.users.timers) == 0
    assert [record.key for record in core.checkpoint(0, 1)] == [MARK_KEY]


def test_before_a_user_is_forgotten_every_silence_has_spoken() -> None:
    core = one()
    silences = settle(core, [tick(START + 2 * IDLE)]).decisions
    assert [(decision.decided_at.timestamp() * 1_000 - START) // DAY for decision in silences] == [14, 28, 56, 112]


@pytest.mark.parametrize(("gap", "events"), [(IDLE, 2), (IDLE + 1, 1)])
def test_an_event_after_the_idle_time_begins_a_new_user(gap: int, events: int) -> None:
    """Whether or not a timer has come by: another event moved the clock, or this one does itself."""
    core = one()
    apply(core, [source(click("e1", event="purchase", ts=START + gap, price=5), 1)])
    state = user(core)
    assert (state.applied, feature(state, "orders_total")) == (events, events)
    assert feature(state, "tenure_hours") == (gap / 3_600_000 if events == 2 else 0)


def test_a_user_who_comes_back_is_as_one_who_never_was() -> None:
    core, fresh = one(), partition(RULES)
    settle(core, [source(click("e1", ts=START + 2 * IDLE), 1)])
    settle(fresh, [source(click("e1", ts=START + 2 * IDLE), 1)])
    assert encoded(user(core), RULES) == encoded(user(fresh), RULES)
    assert [record.key for record in core.checkpoint(0, 1)] == [b"u1", MARK_KEY]


def test_others_stay_and_late_events_keep_a_user_where_they_were() -> None:
    core = one()
    apply(core, [source(click("e1", "u2", ts=START + IDLE), 1)])
    apply(core, [source(click("e2", ts=START + IDLE - DAY), 2)])
    apply(core, [tick(START + IDLE + DAY)])
    assert core.users.ids() == ["u1", "u2"]
    assert user(core).applied == 2


def test_who_is_forgotten_and_comes_back_in_one_batch_is_decided_upon_as_in_two() -> None:
    """Silences of the user of old are decided with their contacts, and leave none to the new one."""
    shop = catalogue(offer("a", cooldown_days=0), policy={"exploration": 0})
    records = [source(click(f"e{n}", event="purchase", ts=START + n * 3 * IDLE, price=90), n) for n in range(3)]
    together, apart = partition(RULES, shop), partition(RULES, shop)
    one = settle(together, records)
    several = [settle(apart, [record]) for record in records]
    assert one.decisions == [decision for settled in several for decision in settled.decisions]
    assert len(one.decisions) == 3 + 2 * 4
    assert states(together, RULES) == states(apart, RULES)
    assert [contact.ts for contact in user(together).contacts] == [START + 6 * IDLE]


@pytest.mark.parametrize("live_users", [1, 1_000])
def test_a_packed_user_is_forgotten_too_and_stays_so_after_a_restart(live_users: int) -> None:
    rules = RULES._replace(live_users=live_users)
    core, durable = partition(rules), []
    for n in range(5):
        apply(core, [source(click(f"e{n}", f"u{n}", ts=START + n * MINUTE), n)])
        durable += core.checkpoint(0, 1)
    apply(core, [tick(START + IDLE + 2 * MINUTE + 1)])
    durable += core.checkpoint(0, 1)
    assert core.users.ids() == ["u3", "u4"]
    again = restored(durable, rules)
    assert again.users.ids() == ["u3", "u4"]
    apply(again, [tick(START + 2 * IDLE, 1)])
    assert again.users.ids() == []


def test_a_user_known_from_decisions_alone_is_not_taken_for_one_of_long_ago() -> None:
    """They have no event, so no silence: what was decided must hold when their event is read again."""
    state = lived()
    state.scored_ts = START
    core = partition(RULES)
    core.restore({"u1": encoded(state, RULES)}, None)
    assert settle(core, [source(click("e0", ts=START), 0)]).decisions == []
