"""The core against the oracle: every feature and every silence, recomputed from the whole log of events."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support.builders import START, Click, click, source
from support.histories import LATE, WITHIN, baskets, told
from support.oracle import LATENESS, SATURATED, WINDOWS, counting, differing, features
from support.oracle_truth import Truth
from support.restarting import Restarting
from support.streams import Told, records

from forestay.core.feature_set import DEFAULT_FEATURES, FEATURE_NAMES, Vector
from forestay.core.rules import Rules
from forestay.core.units import DAY, HOUR, MINUTE, SECOND

PURCHASE = 8
RULES = [
    Rules(),
    Rules(score_interval=0, live_users=1),
    Rules(score_interval=2 * DAY, score_on=frozenset({PURCHASE})),
]
#: Where batches are cut, and after which records the partition is restored from what is durable.
CUTS = st.lists(st.integers(0, 40), max_size=12)


def play(
    stream: Sequence[Told], rules: Rules = RULES[1], restarts: Sequence[int] = (), cuts: Sequence[int] = ()
) -> Restarting:
    """Feeds the stream in batches that end at `cuts`, with a restart at `restarts`."""
    core, sources = Restarting(rules), records(stream)
    for start, stop in pairwise(sorted({0, len(sources), *(n for n in [*cuts, *restarts] if n < len(sources))})):
        core.apply(sources[start:stop])
        if stop in restarts:
            core.restart()
    return core


def vector(core: Restarting, user: str, silence: int = 0) -> Vector:
    """Returns the core's features after a silence of so many milliseconds."""
    state = core.partition.users.get(user)
    assert state is not None
    return DEFAULT_FEATURES.vector(state.parts, state.last_ts + silence, state.last_ts)


def assert_features(found: Vector, expected: dict[str, float], where: str) -> None:
    wrong = differing(found, expected)
    assert not wrong, (where, wrong)


def told_all(stream: Sequence[Told], rules: Rules) -> Truth:
    """Tells the oracle the same stream."""
    truth = Truth(rules)
    for what in stream:
        if isinstance(what, int):
            truth.tell(what)
        else:
            truth.see(what)
    return truth


@given(told(), st.sampled_from(RULES), CUTS, CUTS)
def test_moments_and_their_features_are_the_oracles(
    stream: list[Told], rules: Rules, cuts: list[int], restarts: list[int]
) -> None:
    core, truth = play(stream, rules, restarts, cuts), told_all(stream, rules)
    found = [(s.user_id, s.now, s.trigger.kind) for s in core.situations]
    assert found == [(m.user, m.now, m.kind) for m in truth.moments]
    for situation, moment in zip(core.situations, truth.moments, strict=True):
        assert_features(situation.input.features, moment.features, f"{moment.user} at {moment.now}")


@given(
    told(clock=False), st.integers(0, 200 * DAY) | st.sampled_from([0, 30 * DAY, 30 * DAY + 1, 90 * DAY, 800 * DAY])
)
def test_features_at_any_later_moment_are_the_oracles(stream: list[Told], later: int) -> None:
    core, truth = play(stream), told_all(stream, RULES[1])
    for user, arrived in truth.arrived.items():
        state, events = core.partition.users.get(user), counting(arrived)
        if state is None:
            assert core.partition.clock - events[-1].ts > RULES[1].idle
        else:
            assert_features(vector(core, user, later), features(events, events[-1].ts + later), user)


@given(told(most=25))
def test_a_restart_after_every_record_changes_nothing(stream: list[Told]) -> None:
    core, truth = play(stream, restarts=range(1, len(stream) + 1)), told_all(stream, RULES[1])
    assert [(s.user_id, s.now) for s in core.situations] == [(m.user, m.now) for m in truth.moments]
    for situation, moment in zip(core.situations, truth.moments, strict=True):
        assert_features(situation.input.features, moment.features, f"{moment.user} at {moment.now}")


@given(told(clock=False, late=WITHIN), st.data())
def test_arrival_within_the_lateness_and_repeats_change_no_bit(stream: list[Told], data: st.DataObject) -> None:
    """Events arrive up to the lateness after the newest, some twice: the vectors are those of the order of time."""
    events = [what for what in stream if isinstance(what, dict)]
    delays = st.sampled_from([late for late in LATE if late <= LATENESS])
    arriving = [(one["ts"] + data.draw(delays), number, one) for number, one in enumerate(events)]
    arriving += [(at, number, data.draw(st.sampled_from(events))) for at, number, _ in arriving if number % 5 == 0]
    newest, accepted = -1, list[Click]()
    for _at, _, one in sorted(arriving, key=lambda arrival: arrival[:2]):
        if one["ts"] >= newest - LATENESS:
            accepted.append(one)
            newest = max(newest, one["ts"])
    in_order = sorted({one["event_id"]: one for one in accepted}.values(), key=lambda one: one["ts"])
    disordered, ordered = play(accepted), play(in_order)
    for user in {one["user_id"] for one in in_order}:
        if ordered.partition.users.get(user) is not None:
            assert vector(disordered, user).tolist() == vector(ordered, user).tolist()


@given(told(clock=False), CUTS)
def test_what_came_too_late_is_a_dead_letter_and_counts_nowhere(stream: list[Told], restarts: list[int]) -> None:
    core, truth = play(stream), told_all(stream, RULES[1])
    assert play(stream, restarts=restarts).dead_letters == core.dead_letters
    assert {dict(letter.headers)["forestay-error"] for letter in core.dead_letters} <= {b"too_late"}
    counted = {click["event_id"] for arrived in truth.arrived.values() for click in arrived}
    letters = [json.loads(letter.value or b"")["event_id"] for letter in core.dead_letters]
    assert [name for name in letters if name not in counted] == [click["event_id"] for click in truth.too_late]
    for user, arrived in truth.arrived.items():
        if core.partition.users.get(user) is not None:
            assert vector(core, user)[FEATURE_NAMES.index("events_total")] == len(counting(arrived))


@given(baskets(), st.sampled_from([0, HOUR, 9 * DAY, 30 * DAY]), st.booleans())
def test_carts_and_looks_beyond_what_is_remembered_are_the_oracles(
    events: list[Click], later: int, restart: bool
) -> None:
    core = play(events, restarts=[len(events) // 2] if restart else ())
    assert_features(vector(core, "u1", later), features(counting(events), events[-1]["ts"] + later), "u1")


@given(st.integers(0, 300), st.integers(1, 200))
def test_long_histories_are_the_oracles(seed: int, minutes: int) -> None:
    """More sessions, steps, orders, items and categories than are remembered, some of each at the edge."""
    events: list[Click] = [
        click(
            f"e{n}",
            event=("purchase", "view_item", "refund", "add_to_cart")[(n * seed) % 4],
            ts=START + n * minutes * MINUTE + (n * seed * 7_919) % 1_000 * SECOND,
            item_id=f"i{n * seed % 200}",
            category=f"c{n * seed % 97}",
            price=n % 13,
        )
        for n in range(260)
    ]
    events.sort(key=lambda one: int(one["ts"]))
    core, counted = play(events, restarts=[100]), counting(events)
    for later in (0, DAY, 20 * DAY):
        assert_features(vector(core, "u1", later), features(counted, counted[-1].ts + later), "u1")


def value(events: Sequence[Click], name: str, silence: int = 0) -> float:
    """Returns one feature of u1 after these events and a silence, by the core, which must be the oracle's."""
    core, counted = play(events), counting(events)
    found = vector(core, "u1", silence)
    assert_features(found, features(counted, counted[-1].ts + silence), name)
    return float(found[FEATURE_NAMES.index(name)])


def test_a_session_ends_after_1800_seconds() -> None:
    for gap, sessions in ((1_800 * SECOND, 1), (1_800 * SECOND + 999, 1), (1_801 * SECOND, 2)):
        events = [click("a", ts=START), click("b", ts=START + gap)]
        assert value(events, "sessions_total") == sessions


def test_a_late_event_joins_two_sessions() -> None:
    events = [click(f"e{at}", ts=START + at * MINUTE) for at in (0, 50, 25)]
    assert value(events[:2], "sessions_total") == 2
    assert value(events, "sessions_total") == 1
    assert value(events, "session_minutes_last") == 50


def test_a_window_reaches_back_between_its_length_less_a_bucket_and_its_length() -> None:
    for window, (bucket, buckets) in WINDOWS.items():
        first = START // bucket * bucket
        events = [click("a", ts=first)]
        assert value(events, f"page_view_count_{window}", bucket * buckets - 1) == 1
        assert value(events, f"page_view_count_{window}", bucket * buckets) == 0
        late_in_bucket = [click("a", ts=first + bucket - 1)]
        assert value(late_in_bucket, f"page_view_count_{window}", bucket * (buckets - 1)) == 1
        assert value(late_in_bucket, f"page_view_count_{window}", bucket * (buckets - 1) + 1) == 0


def test_the_long_windows_begin_with_the_half_hour_that_lies_their_days_back() -> None:
    events = [click("a", event="purchase", ts=START, price=5), click("b", event="purchase", ts=START + DAY, price=7)]
    assert [value(events, "orders_90d", 89 * DAY + more) for more in (0, 1)] == [2, 1]
    assert [value(events, "spend_180d", 179 * DAY + more) for more in (0, 1)] == [12, 7]


def test_an_order_of_forty_lines_is_one_at_the_moment_of_its_earliest_line() -> None:
    lines = [
        click(f"e{n}", event="purchase", ts=START + (40 - n) * HOUR, order_id="o1", price=0.1, quantity=3)
        for n in range(40)
    ]
    assert value(lines, "orders_total") == 1
    assert value(lines, "purchase_count_30d") == 1
    assert value(lines, "purchase_count_1d") == 0
    assert value(lines, "average_basket") == 12


def test_an_order_bought_and_the_same_given_back_are_two() -> None:
    kinds = ["begin_checkout", "purchase", "refund", "purchase"]
    events = [click(f"e{n}", event=kind, order_id="o1", price=10, ts=START + n) for n, kind in enumerate(kinds)]
    assert [value(events, name) for name in ("orders_total", "refunds_total", "begin_checkout_count_1h")] == [1, 1, 1]
    assert [value(events, name) for name in ("spend_total", "refund_value_total")] == [20, 10]


def test_a_purchase_empties_the_cart_and_a_removal_never_owes_it_anything() -> None:
    def did(event_id: str, event: str, ts: int, **more: Any) -> Click:
        return click(event_id, event=event, ts=START + ts, item_id="i1", **more)

    added = [did("a", "add_to_cart", 0, price=3, quantity=2)]
    assert value(added, "cart_value") == 6
    assert value([*added, did("b", "remove_from_cart", 1)], "cart_value") == 3
    assert value([*added, did("b", "remove_from_cart", 1, quantity=9)], "cart_quantity") == 0
    assert value([*added, did("b", "purchase", 0)], "cart_quantity") == 0
    assert value([did("b", "purchase", 0), did("a", "add_to_cart", 1)], "cart_quantity") == 1
    assert [value(added, "cart_quantity", 30 * DAY + more) for more in (0, 1)] == [2, 0]


def test_who_was_silent_for_more_than_two_years_begins_anew() -> None:
    idle = RULES[1].idle
    for gap, counted in ((idle, 2), (idle + 1, 1)):
        assert value([click("a", ts=START), click("b", ts=START + gap)], "events_total") == counted


def test_sums_that_no_word_holds_are_saturated() -> None:
    item = {"item_id": "i1", "price": 1e9, "quantity": 1_000_000}
    events = [click(f"e{n}", event="purchase", ts=START + n, items=[item] * 200) for n in range(3)]
    assert value(events, "spend_total") == np.float32(SATURATED / 100)


def test_an_id_counts_once_for_each_user() -> None:
    core = Restarting(Rules())
    core.apply([source(click("e1", user), offset) for offset, user in enumerate(("u1", "u2", "u1"))])
    assert [vector(core, user)[FEATURE_NAMES.index("events_total")] for user in ("u1", "u2")] == [1, 1]
