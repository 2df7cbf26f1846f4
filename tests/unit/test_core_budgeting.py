"""Offers and budgets: what is not covered is cut before chance, what is scarce costs more, what is taken is told."""

import json
from typing import Any

import pytest
from support.builders import (
    NO_BUDGETS,
    SOURCES,
    START,
    catalogue,
    click,
    offer,
    partition,
    settle,
    situation,
    stream,
    tick,
)

from forestay.core.budget.book import GRACE, Book
from forestay.core.decision.budgeting import afford
from forestay.core.decision.guardrail_settings import Switches
from forestay.core.partition import Partition
from forestay.core.record import SourceRecord
from forestay.core.state.mark import PartitionMark
from forestay.core.state.state_codec import MARK_KEY, decode_mark
from forestay.core.units import HOUR, to_milliseconds
from forestay_schemas import Decision

RICH = {"spend_180d": 100_000.0, "tenure_hours": 4_400.0, "average_basket": 30.0}
CALL = offer("call", kind="outreach", cost={"fixed": 2}, budgets=["daily"])
COUPON = offer("coupon", kind="promotion", cost={"basket_share": 0.1}, budgets=["daily"], expires_after_hours=10)
POINTS = offer("points", kind="loyalty", cost={"fixed": 1, "points": 150}, budgets=["points", "daily"])
BUDGETS = [{"id": "daily", "limit": 300}, {"id": "points", "unit": "points", "limit": 100}]


def shop(*offers: dict[str, Any], budgets: list[dict[str, Any]] | None = None) -> Any:
    return catalogue(*offers, policy={"exploration": 0}, budgets=BUDGETS if budgets is None else budgets)


def buying(count: int) -> list[dict[str, Any]]:
    """So many users buy for a lot, an hour apart."""
    return [
        click(f"e{n}", f"u{n}", "purchase", START + n * HOUR, price=5_000, quantity=1, order_id=f"o{n}")
        for n in range(count)
    ]


def checkpoint(core: Partition) -> tuple[dict[str, bytes], PartitionMark]:
    """Returns what a commit would leave of a partition that begins now."""
    kept = {record.key: record.value for record in core.checkpoint(0, 1)}
    mark = decode_mark(kept.pop(MARK_KEY) or b"")
    return {(key or b"").decode(): value for key, value in kept.items() if value is not None}, mark


def test_an_offer_that_no_budget_covers_is_cut_with_its_reason() -> None:
    market = shop(CALL, COUPON, POINTS)
    found = afford(market.offers, situation(RICH), market, Book(market.budgets, 0, 1))
    assert [one.id for one in found.offers] == ["call", "coupon"]
    assert [(one.offer_id, one.code) for one in found.suppressed] == [("points", "budget_exhausted")]
    (draw,) = found.draws("coupon")
    assert (draw.budget, draw.period, draw.amount, draw.price) == ("daily", "2026-01-01", 300, 1)
    assert draw.held_until is not None
    assert to_milliseconds(draw.held_until) == situation(RICH).now + 10 * HOUR
    assert found.draws("call")[0].held_until is None


def test_a_partition_has_its_share_alone() -> None:
    market = shop(CALL)
    covered = [
        afford(market.offers, situation(RICH), market, Book(market.budgets, number, 2)).offers for number in range(2)
    ]
    assert covered == [[], []]
    richer = shop(CALL, budgets=[{"id": "daily", "limit": 400}])
    assert afford(richer.offers, situation(RICH), richer, Book(richer.budgets, 1, 2)).offers == richer.offers


def test_an_arm_has_its_own() -> None:
    market = shop(CALL, budgets=[{"id": "daily", "limit": 400, "arms": {"call": 200}}])
    book = Book(market.budgets, 0, 1)
    assert [len(afford(market.offers, situation(RICH), market, book, arms).offers) for arms in (("call",), ())] == [
        1,
        0,
    ]


def test_a_budget_is_spent_to_the_unit_and_then_nobody_gets_of_it() -> None:
    core = partition(shop=shop(CALL, budgets=[{"id": "daily", "limit": 450}]))
    decisions = settle(core, stream(*buying(4))).decisions
    assert [decision.offer_id for decision in decisions] == ["call", "call", None, None]
    codes = [[one.code for one in decision.suppressed] for decision in decisions]
    assert codes == [[], [], ["budget_exhausted"], ["budget_exhausted"]]
    assert [sum(draw.amount for draw in decision.budgets) for decision in decisions] == [200, 200, 0, 0]
    assert [one.offer_id for one in decisions[2].candidates] == [None]


def test_what_is_scarce_is_worth_less_to_the_one_who_spends_it() -> None:
    core = partition(shop=shop(CALL, budgets=[{"id": "daily", "limit": 3_000}]))
    decisions = settle(core, stream(*buying(10))).decisions
    prices = [decision.budgets[0].price for decision in decisions]
    assert prices[0] == 1
    assert max(prices) > 1
    for decision in decisions:
        (draw,) = decision.budgets
        gain, free = decision.candidates[1].expected_value, decisions[0].candidates[1].expected_value
        assert abs(free - gain - (draw.price - 1) * draw.amount * 0.01) < 1e-5


@pytest.mark.parametrize(("kind", "spent"), [("redeemed", 5_000), ("failed", 0), ("opened", None)])
def test_a_coupon_is_held_and_its_reservation_ends_by_feedback_or_by_time(kind: str, spent: int | None) -> None:
    coupon = offer("c", kind="promotion", cost={"fixed": 50}, budgets=["daily"])
    core = partition(shop=shop(coupon, budgets=RICHER))
    (decision,) = settle(core, stream(*buying(1))).decisions
    (account,) = core.book.accounts.values()
    assert (account.reserved, account.spent) == (5_000, 0)
    assert decision.action_id is not None
    told = [(kind, START + HOUR), ("clicked", START + 72 * HOUR + GRACE - 1), ("clicked", START + 72 * HOUR + GRACE)]
    found = []
    for offset, (what, ts) in enumerate(told):
        feedback = {"action_id": decision.action_id, "user_id": "u0", "ts": ts, "kind": what}
        record = SourceRecord(SOURCES.feedback, 0, offset, ts, b"u0", json.dumps(feedback).encode())
        core.apply(SOURCES.feedback, [record])
        found.append((account.reserved, account.spent))
    assert found == ([(5_000, 0), (5_000, 0), (0, 0)] if spent is None else [(0, spent)] * 3)


RICHER = [{"id": "daily", "limit": 100_000}]


def test_a_decision_in_the_log_has_drawn_even_what_is_no_longer_there() -> None:
    """Its action may be out: who comes after a crash, with another catalogue even, counts it."""
    (decision,) = settle(partition(shop=shop(CALL)), stream(*buying(1))).decisions
    again = partition(shop=shop(CALL, budgets=[{"id": "daily", "limit": 1}]))
    again.restore({}, None, [decision, decision])
    assert [account.spent for account in again.book.accounts.values()] == [200]


def test_reservations_are_durable_beside_the_users_and_come_back_with_them() -> None:
    core = partition(shop=shop(COUPON))
    (decision,) = settle(core, stream(*buying(1))).decisions
    assert decision.budgets == (), "10 % of 5,000 is more than there is"
    core = partition(shop=shop(COUPON, budgets=RICHER))
    (decision,) = settle(core, stream(*buying(1))).decisions
    users, mark = checkpoint(core)
    assert len(users) == 2
    assert mark.users == 1
    again = partition(shop=shop(COUPON, budgets=RICHER))
    again.restore(users, mark)
    assert dict(again.book.reservations) == dict(core.book.reservations)
    assert [account.taken for account in again.book.accounts.values()] == [50_000]
    assert len(again.users) == 1


def test_a_reservation_that_is_lost_counts_as_spent() -> None:
    core = partition(shop=shop(COUPON, budgets=RICHER))
    settle(core, stream(*buying(1)))
    users, mark = checkpoint(core)
    again = partition(shop=shop(COUPON, budgets=RICHER))
    again.restore({name: record for name, record in users.items() if name[0] != "\0"}, mark)
    assert [(account.reserved, account.spent) for account in again.book.accounts.values()] == [(0, 50_000)]


def test_a_catalogue_without_budgets_writes_what_it_wrote() -> None:
    core = partition(shop=shop(offer("a"), budgets=[]))
    decision = settle(core, stream(*buying(1))).decisions[0]
    assert decision.budgets == ()
    users, mark = checkpoint(core)
    assert (list(users), mark.budgets) == (["u0"], None)
    assert afford(catalogue().offers, situation(RICH), catalogue(), NO_BUDGETS).bills == {}


def test_a_decision_of_before_budgets_can_be_read() -> None:
    decision = settle(partition(), stream(*buying(1))).decisions[0]
    told = json.loads(decision.model_dump_json())
    del told["budgets"]
    assert Decision.model_validate_json(json.dumps(told)) == decision


QUIET = {"quiet_hours": {"from": "00:00", "until": "08:00"}, "timezone": "UTC"}


@pytest.mark.parametrize("kind", ["promotion", "message"])
@pytest.mark.parametrize("goes", [True, False])
def test_what_waits_for_the_morning_has_taken_its_cost_and_gives_it_back_if_it_is_dropped(
    kind: str, goes: bool
) -> None:
    waiting = offer("a", kind=kind, cost={"fixed": 2}, budgets=["daily"])
    market = catalogue(waiting, policy={"exploration": 0}, budgets=RICHER, **QUIET)
    core = partition(shop=market)
    (night,) = settle(core, stream(*buying(1))).decisions
    (account,) = core.book.accounts.values()
    assert night.held_until is not None
    assert (account.reserved, account.spent) == (200, 0)
    users, mark = checkpoint(core)
    stopped = market.model_copy(update={"switches": Switches(paused=frozenset({"a"}))})
    again = partition(shop=market if goes else stopped)
    again.restore(users, mark)
    (morning,) = settle(again, [tick(START + 9 * HOUR)]).decisions
    assert (morning.releases, morning.action_id) == (night.decision_id, night.action_id if goes else None)
    (account,) = again.book.accounts.values()
    spent = 200 if goes and kind == "message" else 0
    assert (account.reserved, account.spent) == (200 - spent if goes else 0, spent)


def test_what_waited_and_was_never_heard_of_again_counts_as_spent() -> None:
    """Its user may have moved to another partition with it, and it may be out."""
    book = Book(catalogue(CALL, budgets=RICHER).budgets, 0, 1)
    draw = book.draw("daily", 200, START)
    assert draw is not None
    book.book("a", [draw], START + HOUR, lapses=False)
    book.expire(START + HOUR + GRACE)
    assert [(account.reserved, account.spent) for account in book.accounts.values()] == [(0, 200)]
