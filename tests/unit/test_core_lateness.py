"""Events that come late, too late or again: what counts, what is a dead letter, what is remembered how long."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import START, apply, click, feature, partition, source, states, tick, user

from forestay.core.event import NEVER
from forestay.core.partition import Partition
from forestay.core.record import SourceRecord
from forestay.core.rules import Rules
from forestay.core.state.event_ids import EventIds
from forestay.core.units import DAY, HOUR

LATENESS = 3 * DAY


def at(ts: int, offset: int = 1, event_id: str = "late", user_id: str = "u1") -> SourceRecord:
    return source(click(event_id, user_id, ts=ts), offset)


def ahead(rules: Rules | None = None) -> Partition:
    """Returns a partition whose newest event is another user's, ten days after the start."""
    core = partition(rules)
    apply(core, [at(START + 10 * DAY, 0, "e0", "other")])
    return core


@pytest.mark.parametrize(("behind", "late"), [(LATENESS, 0), (LATENESS + 1, 1)])
def test_an_event_behind_by_the_lateness_counts_and_by_a_millisecond_more_does_not(behind: int, late: int) -> None:
    core = ahead()
    applied = apply(core, [at(START + 10 * DAY - behind)])
    assert (applied.late, len(applied.dead_letters)) == (late, late)
    assert core.users.ids() == (["other"] if late else ["other", "u1"])
    assert core.positions == {"clickstream": 2}


def test_what_is_too_late_is_a_dead_letter_by_its_code_and_changes_nothing() -> None:
    core = ahead()
    apply(core, [at(START + 9 * DAY, 1, "e1")])
    before = states(core)
    applied = apply(core, [at(START + 6 * DAY, 2)])
    headers = dict(applied.dead_letters[0].headers)
    assert headers["forestay-error"] == b"too_late"
    assert headers["forestay-reason"] == b"the event came 1440 minutes after the allowed lateness had passed"
    assert applied.situations == []
    assert states(core) == before


def test_the_clock_alone_makes_no_event_too_late() -> None:
    """The clock is told by the wall; a backlog is not late because a worker was down."""
    core = ahead()
    apply(core, [tick(START + 300 * DAY)])
    assert apply(core, [at(START + 7 * DAY)]).dead_letters == []


def test_a_flood_of_late_events_stops_no_line() -> None:
    core = ahead(Rules(dead_letter_limit=0.1))
    applied = apply(core, [at(START, n) for n in range(1, 400)])
    assert (applied.late, applied.flood) == (399, None)
    # Broken records among them are still counted as what they are.
    broken = [source(b"{", n) for n in range(400, 600)]
    assert apply(core, broken).flood is not None


def test_late_events_are_counted_batch_by_batch() -> None:
    core = ahead()
    assert [apply(core, [at(START, n)]).late for n in (1, 2)] == [1, 1]
    assert apply(core, [at(START + 10 * DAY, 3)]).late == 0


def test_a_late_repeat_of_what_counted_is_a_repeat_while_it_is_remembered() -> None:
    core = partition()
    apply(core, [at(START, 0, "e0"), at(START + LATENESS, 1, "e1"), at(START, 2, "e0")])
    assert (user(core).applied, user(core).duplicates) == (2, 1)


def test_without_deduplication_every_event_counts() -> None:
    core = partition(Rules(deduplicate=False))
    assert apply(core, [at(START, n, "e0") for n in range(3)]).dead_letters == []
    assert (user(core).applied, user(core).duplicates) == (3, 0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, HOUR, DAY, LATENESS, LATENESS + 1]), st.integers(0, LATENESS), st.integers(0, 9)
        ),
        max_size=60,
    )
)
def test_a_repeat_within_the_lateness_is_always_recognised(steps: list[tuple[int, int, int]]) -> None:
    """Each step: how far the newest event moves on, how late this one is, and which earlier one comes again."""
    core, now = partition(Rules(dead_letter_limit=1.0)), START
    sent: dict[str, int] = {}
    counted: set[str] = set()
    for offset, (gap, late, again) in enumerate(steps):
        now += gap
        name = list(sent)[-1 - again % len(sent)] if sent and again < 5 else f"e{offset}"
        ts = sent.setdefault(name, now - late)
        if not apply(core, [at(ts, offset, name)]).dead_letters:
            counted.add(name)
        if counted:
            assert user(core).applied == len(counted)


def test_an_order_counts_at_its_earliest_line_whenever_that_comes() -> None:
    """The later line came first: a count in one window moves to another, and its money stays where it is."""
    core = partition()
    line: dict[str, Any] = {"event": "purchase", "order_id": "o", "price": 10}
    lines = [click("b", ts=START + 2 * DAY, **line), click("a", ts=START, **line), click("c", ts=START + DAY, **line)]
    apply(core, [source(event, n) for n, event in enumerate(lines)])
    state = user(core)
    found = {name: feature(state, name) for name in ("orders_total", "purchase_count_1d", "purchase_count_7d")}
    assert found == {"orders_total": 1, "purchase_count_1d": 0, "purchase_count_7d": 1}
    assert (feature(state, "spend_1d"), feature(state, "spend_7d")) == (10, 30)


@pytest.mark.parametrize(("apart", "orders"), [(LATENESS, 1), (LATENESS + 1, 2)])
def test_a_line_later_than_the_lateness_is_of_another_order(apart: int, orders: int) -> None:
    core = partition()
    lines = [click(f"e{n}", event="purchase", ts=START + n * apart, order_id="o", price=1) for n in range(2)]
    apply(core, [source(event, n) for n, event in enumerate(lines)])
    assert feature(user(core), "orders_total") == orders


@given(st.permutations(range(12)))
def test_orders_count_alike_in_whatever_order_their_lines_come(order: list[int]) -> None:
    lines = [
        click(f"e{n}", event=["purchase", "refund"][n % 2], ts=START + n * 5 * HOUR, order_id=f"o{n % 3}", price=n)
        for n in range(12)
    ]
    found = []
    for arrived in (lines, [lines[n] for n in order]):
        core = partition(Rules(score_on=frozenset()))
        apply(core, [source(event, n) for n, event in enumerate(arrived)])
        state = user(core)
        # What depends on arrival by its meaning: offset, order of ids, when silences came due.
        state.offset, state.event_ids = 0, EventIds()
        state.seen_clock = state.scored_ts = NEVER
        found.append(states(core))
    assert found[0] == found[1]
