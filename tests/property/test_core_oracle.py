"""The core against the oracle: every feature, step and silence, recomputed from the whole log of events."""

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support.builders import MODEL, Click, click, partition
from support.oracle import Truth, distinct, features, steps
from support.streams import Told, records, told

from forestay.core.event import from_contract
from forestay.core.features import FEATURE_NAMES, Vector, feature_vector
from forestay.core.partition import Partition
from forestay.core.rules import Rules
from forestay.core.situation import Situation
from forestay.core.units import DAY, HOUR, MINUTE
from forestay.core.user_state import UserState, apply_event
from forestay_schemas import ClickEvent

RULES = [Rules(), Rules(score_interval=0), Rules(score_interval=2 * DAY, score_on=frozenset({8}))]


@dataclass
class Played:
    core: Partition
    situations: list[Situation]
    truth: Truth


def play(stream: list[Told], rules: Rules) -> Played:
    """Tells the same stream to the core, record by record, and to the oracle."""
    played = Played(partition(rules), [], Truth(rules))
    for record, what in zip(records(stream), stream, strict=True):
        found = played.core.apply([record]).situations
        played.core.settle(found, {}, MODEL)
        played.situations += found
        if isinstance(what, int):
            played.truth.tell(what)
        else:
            played.truth.see(what)
    return played


def assert_features(found: Vector, expected: dict[str, float], where: str) -> None:
    assert set(expected) == set(FEATURE_NAMES)
    wanted = np.array([expected[name] for name in FEATURE_NAMES], dtype=np.float32)
    wrong = [
        f"{name}: {float(a)} is not {float(b)}"
        for name, a, b in zip(FEATURE_NAMES, found, wanted, strict=True)
        if not np.isclose(a, b, rtol=1e-6, atol=1e-9)
    ]
    assert not wrong, (where, wrong)


@given(told(), st.sampled_from(RULES))
def test_moments_and_their_features_are_the_oracles(stream: list[Told], rules: Rules) -> None:
    played = play(stream, rules)
    found = [(s.user_id, s.now, s.trigger.kind) for s in played.situations]
    assert found == [(m.user, m.now, m.kind) for m in played.truth.moments]
    for situation, moment in zip(played.situations, played.truth.moments, strict=True):
        assert_features(situation.input.features, moment.features, f"{moment.user} at {moment.now}")


@given(told(clock=False), st.integers(0, 60 * DAY))
def test_features_at_any_later_moment_are_the_oracles(stream: list[Told], later: int) -> None:
    played = play(stream, Rules())
    for user, state in played.core.users.items():
        now = state.last_ts + later
        assert_features(feature_vector(state, now), features(played.truth.arrived[user], now), user)


@given(told(clock=False))
def test_steps_counts_and_pending_silences_are_the_oracles(stream: list[Told]) -> None:
    played = play(stream, Rules())
    for user, arrived in played.truth.arrived.items():
        state, events = played.core.users[user], distinct(arrived)
        found = [(s.slot, s.kind, s.order, s.count, s.quantity, s.value) for s in state.steps]
        assert found == [step[:6] for step in steps(events)]
        assert [(s.dearest, s.item, s.category) for s in state.steps] == [step.dearest for step in steps(events)]
        assert (state.applied, state.duplicates) == (len(events), len(arrived) - len(events))
        assert state.silence_due == played.truth.due.get(user, -1)


def applied(clicks: list[Click]) -> UserState:
    state = UserState(partition=0)
    for event in clicks:
        apply_event(state, from_contract(ClickEvent.model_validate(event)))
    return state


@given(st.data())
def test_order_of_arrival_changes_neither_windows_nor_steps(data: st.DataObject) -> None:
    """As documented: the rhythm and the bucket of an order of several lines do depend on it."""
    kinds = st.sampled_from(["page_view", "purchase", "refund"])
    count = data.draw(st.integers(1, 90))
    events = [
        click(f"e{number}", event=data.draw(kinds), ts=data.draw(st.integers(0, 400)) * 2 * HOUR, price=number % 7)
        for number in range(count)
    ]
    shuffled = data.draw(st.permutations(events))
    one, other = applied(events), applied(shuffled)
    now = one.last_ts + data.draw(st.sampled_from([0, MINUTE, DAY]))
    assert one.steps == other.steps
    differing = [
        name
        for name, a, b in zip(FEATURE_NAMES, feature_vector(one, now), feature_vector(other, now), strict=True)
        if a != b
    ]
    assert set(differing) <= {"visits_total", "visit_gap_mean_hours", "visit_gap_deviation_hours", "silence_ratio"}


def test_a_repeat_is_recognised_among_the_last_128_events() -> None:
    others = [click(f"e{number}", ts=number) for number in range(128)]
    assert applied([*others, others[0]]).duplicates == 1
    assert applied([*others, click("new", ts=200), others[0]]).duplicates == 0


def test_a_visit_ends_after_more_than_thirty_minutes_and_gaps_are_whole_minutes() -> None:
    moments = [0, 30 * MINUTE, 60 * MINUTE + 1, 60 * MINUTE, 3 * HOUR + MINUTE - 1]
    state = applied([click(f"e{n}", ts=ts) for n, ts in enumerate(moments)])
    vector = dict(zip(FEATURE_NAMES, feature_vector(state, 5 * HOUR), strict=True))
    assert vector["visits_total"] == 3
    assert vector["visit_gap_mean_hours"] == np.float32((30 + 120) / 2 / 60)
    assert vector["visit_gap_deviation_hours"] == np.float32(45 / 60)


def test_the_long_windows_begin_with_the_half_hour_that_lies_their_days_back() -> None:
    state = applied([click("e1", event="purchase", ts=0, price=5), click("e2", event="purchase", ts=DAY, price=7)])
    at, later = (dict(zip(FEATURE_NAMES, feature_vector(state, 90 * DAY + n), strict=True)) for n in (0, 1))
    assert (at["orders_90d"], at["spend_90d"], at["orders_180d"]) == (2, 12, 2)
    assert (later["orders_90d"], later["spend_90d"], later["orders_180d"]) == (1, 7, 2)


def test_times_since_something_end_at_two_years_where_never_stands() -> None:
    vector = dict(zip(FEATURE_NAMES, feature_vector(applied([click(ts=0)]), 900 * DAY), strict=True))
    assert (
        vector["hours_since_page_view"] == vector["hours_since_last_event"] == vector["hours_since_login"] == 17_520
    )
    assert vector["tenure_hours"] == 900 * 24


def test_an_order_of_forty_lines_is_one_order_and_one_step() -> None:
    lines = [click(f"e{n}", event="purchase", ts=n, order_id="o1", price=0.1, quantity=3) for n in range(40)]
    state = applied(lines)
    vector = dict(zip(FEATURE_NAMES, feature_vector(state, 40), strict=True))
    assert (vector["orders_total"], vector["purchase_count_1h"], len(state.steps)) == (1, 1, 1)
    assert vector["spend_total"] == vector["average_basket"] == np.float32(12.0)


def test_a_refund_or_a_checkout_that_names_a_purchases_order_is_counted_beside_it() -> None:
    kinds = ["begin_checkout", "purchase", "refund", "purchase"]
    state = applied([click(f"e{n}", event=kind, order_id="o1", price=10) for n, kind in enumerate(kinds)])
    vector = dict(zip(FEATURE_NAMES, feature_vector(state, state.last_ts), strict=True))
    assert vector["begin_checkout_count_1h"] == vector["orders_total"] == vector["refunds_total"] == 1
    assert (vector["spend_total"], vector["refund_value_total"]) == (20, 10)
