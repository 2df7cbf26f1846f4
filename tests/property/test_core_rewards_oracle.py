"""Outcomes are those a plain look at the log finds, however the stream is cut into batches and packed in between."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.builders import MODEL, START, answered, catalogue, click, offer, partition, source, tick

from forestay.core.rules import Rules
from forestay.core.units import DAY, HOUR, to_milliseconds
from forestay_schemas import Decision, DecisionOutcome

HORIZON = 5 * DAY
RULES = Rules(reward_horizon=HORIZON, lateness=2 * DAY, score_interval=12 * HOUR, live_users=1)
SHOP = catalogue(offer("a", cost={"fixed": 1.25}), policy={"margin": 0.5})
KINDS = ("purchase", "refund", "page_view")

Click = dict[str, Any]
#: Hours to the event before, how many of them it comes late, its kind, user, order and price.
STEP = st.tuples(
    st.integers(0, 60),
    st.integers(0, 40),
    st.sampled_from(KINDS),
    st.integers(1, 3),
    st.integers(0, 3),
    st.integers(1, 9),
)


def clicks(steps: Sequence[tuple[int, int, str, int, int, int]]) -> list[Click]:
    now, made = START, list[Click]()
    for number, (gap, late, kind, who, order, price) in enumerate(steps):
        now += gap * HOUR
        # An hour and a number a user: no two events of one user are of the same moment.
        ts = now - late * HOUR + number
        named = {"order_id": f"o{who}-{order}"} if order and kind != "page_view" else {}
        made.append(click(f"e{number}", f"u{who}", kind, ts, price=price, quantity=1, **named))
    return made


def lived(made: Sequence[Click], cuts: Sequence[int]) -> tuple[list[Decision], list[DecisionOutcome]]:
    """Takes the events through a core in batches of the sizes of `cuts`, and then the time to the end of all."""
    core, decisions, outcomes = partition(RULES, SHOP), list[Decision](), list[DecisionOutcome]()
    records = [source(one, offset) for offset, one in enumerate(made)]
    batches, start = list[Any](), 0
    for size in [*cuts, len(records)]:
        batches.append(records[start : start + size])
        start += size
    for batch in [*filter(None, batches), [tick(START + 2_000 * DAY)]]:
        applied = core.apply(batch[0].topic, batch)
        found = core.settle(applied.situations, answered({one.decision_id: 0.6 for one in applied.situations}), MODEL)
        decisions += found.decisions
        outcomes += [DecisionOutcome.model_validate_json(record.value or b"") for record in found.outcomes]
        core.checkpoint(0, 0)
    return decisions, outcomes


def accepted(made: Sequence[Click]) -> list[Click]:
    """Returns the events that are not too late."""
    newest, found = 0, list[Click]()
    for one in made:
        if one["ts"] >= newest - RULES.lateness:
            found.append(one)
        newest = max(newest, one["ts"])
    return found


def order_moments(own: Sequence[Click]) -> list[int]:
    """Returns when each order counts: at its earliest line. One later by more than the lateness is another order."""
    moments, newest = list[int](), dict[str, int]()
    for one in own:
        if one["event"] != "purchase":
            continue
        name = str(one.get("order_id", one["event_id"]))
        if name in newest and one["ts"] <= moments[newest[name]] + RULES.lateness:
            moments[newest[name]] = min(moments[newest[name]], one["ts"])
        else:
            newest[name] = len(moments)
            moments.append(one["ts"])
    return moments


def plain(decision: Decision, made: Sequence[Click]) -> tuple[bool, int, float, float]:
    """Returns what a look at all events finds: return, orders, revenue, refunds."""
    start = to_milliseconds(decision.decided_at)
    own = [one for one in made if one["user_id"] == decision.user_id]
    inside = [one for one in own if start < one["ts"] <= start + HORIZON]
    orders = sum(start < ts <= start + HORIZON for ts in order_moments(own))
    revenue, refunded = (sum(one["price"] for one in inside if one["event"] == kind) for kind in KINDS[:2])
    return bool(inside), orders, revenue, refunded


@settings(max_examples=30, deadline=None)
@given(st.lists(STEP, max_size=40), st.lists(st.integers(1, 9), max_size=12))
def test_outcomes_are_those_of_the_log(steps: list[tuple[int, int, str, int, int, int]], cuts: list[int]) -> None:
    made = clicks(steps)
    decisions, outcomes = lived(made, cuts)
    found = {one.decision_id: one for one in outcomes}
    assert len(found) == len(outcomes)
    assert found.keys() == {one.decision_id for one in decisions}
    for decision in decisions:
        told = found[decision.decision_id]
        fragments = told.fragments
        counted = (fragments.returned, fragments.orders, fragments.revenue, fragments.refunded)
        assert counted == plain(decision, accepted(made))
        assert told.offer_id == decision.offer_id
        assert fragments.cost == (1.25 if decision.offer_id else 0)
    at_once, others = lived(made, [])
    assert at_once == decisions
    assert {one.decision_id: one for one in others} == found
