"""What comes of a decision: the outcome is joined from the stream, and told once the horizon is over."""

import json
from typing import Any

import pytest
from support.builders import (
    FEEDBACK_TOPIC,
    SOURCES,
    START,
    apply,
    catalogue,
    click,
    offer,
    partition,
    settle,
    source,
    tick,
    user,
)

from forestay.core.decision.deciding import Settled
from forestay.core.partition import Partition
from forestay.core.record import SourceRecord
from forestay.core.rewards.pending import MAX_PENDING
from forestay.core.rules import Rules
from forestay.core.units import DAY, HOUR
from forestay_schemas import DecisionOutcome

RULES = Rules(reward_horizon=7 * DAY, lateness=1 * DAY, score_interval=30 * DAY)
SHOP = catalogue(offer("a", cost={"fixed": 2.5}), policy={"exploration": 0, "margin": 0.4})
WAIT = 8 * DAY


def buys(offset: int, day: float, price: float = 50, **more: Any) -> SourceRecord:
    return source(click(f"e{offset}", ts=START + round(day * DAY), event="purchase", price=price, **more), offset)


def feedback(action_id: str, kind: str = "clicked", offset: int = 0, key: bytes = b"u1", **more: Any) -> SourceRecord:
    told = {"action_id": action_id, "user_id": "u1", "ts": START + HOUR, "kind": kind, **more}
    return SourceRecord(FEEDBACK_TOPIC, 0, offset, START + HOUR, key, json.dumps(told).encode())


def acted(rules: Rules = RULES) -> tuple[Partition, Settled]:
    """Returns a partition in which a first order has just led to an action."""
    core = partition(rules, SHOP)
    first = settle(core, [buys(0, 0)])
    assert len(first.actions) == 1
    return core, first


def outcomes(settled: Settled) -> list[DecisionOutcome]:
    return [DecisionOutcome.model_validate_json(record.value or b"") for record in settled.outcomes]


def closed(core: Partition, offset: int = 0) -> DecisionOutcome:
    (found,) = outcomes(settle(core, [tick(START + WAIT, offset)]))
    return found


def test_orders_and_refunds_within_the_horizon_are_the_reward() -> None:
    core, first = acted()
    later = [buys(1, 3, 100), source(click("r", ts=START + 5 * DAY, event="refund", price=20), 2), buys(3, 7.5, 999)]
    assert outcomes(settle(core, later)) == []
    found = closed(core)
    assert (found.decision_id, found.offer_id) == (first.decisions[0].decision_id, "a")
    assert (found.matured_at - found.decided_at).days == found.horizon_days == 7
    told = found.fragments
    assert (told.returned, told.orders, told.revenue, told.refunded) == (True, 1, 100, 20)
    assert (told.margin, told.cost, found.reward) == (32, 2.5, 29.5)
    assert found.complete


def test_nothing_that_comes_is_an_outcome_too() -> None:
    core, _ = acted()
    found = closed(core)
    assert (found.fragments.returned, found.fragments.orders, found.reward) == (False, 0, -2.5)


def test_it_is_told_once_and_not_before_late_events_are_too_late() -> None:
    core, _ = acted()
    assert outcomes(settle(core, [tick(START + WAIT - 1)])) == []
    assert len(outcomes(settle(core, [tick(START + WAIT, 1)]))) == 1
    assert user(core).pending is None
    assert outcomes(settle(core, [tick(START + 13 * DAY, 2)])) == []


def test_a_late_order_counts_for_the_decision_it_came_after() -> None:
    core, _ = acted()
    settle(core, [source(click("seen", ts=START + 8 * DAY - 1), 1), buys(2, 7)])
    assert closed(core).fragments.orders == 1


def test_an_order_has_several_lines_and_counts_once_at_the_earliest() -> None:
    core, _ = acted()
    settle(core, [buys(1, 7.2, 10, order_id="o"), buys(2, 6.9, 5, order_id="o")])
    found = closed(core).fragments
    assert (found.orders, found.revenue) == (1, 5)


def test_feedback_of_a_kind_counts_once() -> None:
    core, first = acted()
    name = first.actions[0].action_id
    applied = apply(core, [feedback(name, "clicked", 0), feedback(name, "clicked", 1), feedback(name, "redeemed", 2)])
    assert applied.dead_letters == []
    assert closed(core).fragments.feedback == {"clicked": 1, "redeemed": 1}


def test_an_action_that_failed_costs_nothing() -> None:
    core, first = acted()
    apply(core, [feedback(first.actions[0].action_id, "failed")])
    assert closed(core).reward == 0


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (feedback("strange"), "unknown_action"),
        (feedback("strange", user_id="u2", key=b"u2"), "unknown_action"),
        (feedback("strange", key=b"u2"), "wrong_key"),
        (feedback("strange", "loved"), "contract"),
        (feedback("strange", ts=START + DAY), "in_the_future"),
        (SourceRecord(FEEDBACK_TOPIC, 0, 0, START, b"u1", b"{"), "not_json"),
        (SourceRecord(FEEDBACK_TOPIC, 0, 0, START, b"u1", None), "not_json"),
    ],
)
def test_feedback_that_cannot_be_taken_is_a_dead_letter_with_its_reason(record: SourceRecord, code: str) -> None:
    core, _ = acted()
    (letter,) = apply(core, [record]).dead_letters
    assert dict(letter.headers)["forestay-error"] == code.encode()


def test_feedback_on_actions_long_over_does_not_stop_the_line() -> None:
    core, _ = acted()
    strangers = [feedback(f"a{offset}", offset=offset) for offset in range(2_000)]
    applied = apply(core, strangers)
    assert (len(applied.dead_letters), applied.flood) == (2_000, None)


def test_what_waits_survives_a_restart() -> None:
    core, first = acted()
    apply(core, [feedback(first.actions[0].action_id)])
    settle(core, [buys(1, 3, 100)])
    users = {(record.key or b"").decode(): record.value or b"" for record in core.checkpoint(0, 1)[:-1]}
    fresh = Partition(0, SOURCES, RULES, SHOP)
    fresh.restore(users, None)
    assert closed(fresh) == closed(core)


def test_a_decision_found_in_the_log_is_waited_for() -> None:
    _, first = acted()
    fresh = Partition(0, SOURCES, RULES, SHOP)
    fresh.restore({}, None, first.decisions)
    settle(fresh, [buys(0, 0), buys(1, 3, 100)])
    assert (closed(fresh).fragments.orders, closed(acted()[0]).fragments.cost) == (1, 2.5)


def test_a_user_who_is_forgotten_first_has_an_outcome_that_says_so() -> None:
    core, _ = acted(RULES._replace(idle=3 * DAY))
    (found,) = outcomes(settle(core, [buys(1, 4)]))
    assert not found.complete


def test_it_can_be_switched_off() -> None:
    core, _ = acted(RULES._replace(reward_horizon=0))
    assert user(core).pending is None
    assert outcomes(settle(core, [tick(START + 400 * DAY)])) == []


def test_so_many_wait_at_once_and_no_more() -> None:
    core = partition(RULES._replace(score_interval=1), SHOP)
    settle(core, [buys(offset, offset / 100) for offset in range(MAX_PENDING + 5)])
    assert len(user(core).pending or ()) == MAX_PENDING
    assert len(outcomes(settle(core, [tick(START + 13 * DAY)]))) == MAX_PENDING
