"""Budgets as the catalogue states them, shares, and the price that makes a budget last."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from forestay.core.budget.account_key import AccountKey
from forestay.core.budget.book import STAYS_OPEN, Book
from forestay.core.budget.budget import Budget
from forestay.core.budget.lease import share_of
from forestay.core.budget.pacing import Pace, Plan
from forestay.core.budget.records import decode_reservation, encode_reservation
from forestay.core.errors import StateError
from forestay.core.units import DAY, HOUR

START = 20_000 * DAY  # 2024-10-04
DAILY = Budget(id="daily", limit=100)
CAMPAIGN = {"id": "c", "period": "campaign", "limit": 90, "starts": "2024-10-04", "ends": "2024-10-05"}


@given(st.integers(0, 10**15), st.integers(1, 64))
def test_the_shares_make_the_limit_to_the_unit(limit: int, partitions: int) -> None:
    shares = [share_of(limit, number, partitions) for number in range(partitions)]
    assert sum(shares) == limit
    assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"limit": 10.5}, "valid integer"),
        ({"limit": -1}, "greater than or equal to 0"),
        ({"ends": "2024-10-05"}, "a campaign has a first and a last day"),
        ({**CAMPAIGN, "ends": "2024-10-03"}, "ends before it starts"),
        # The moment at which it is over must be one.
        ({**CAMPAIGN, "ends": "9999-12-31"}, "ends with the calendar"),
        ({"hours": [1.0]}, "24 weights"),
        ({"hours": [0.0] * 24}, "not all of them 0"),
        ({"arms": {"a": 60, "b": 41}}, "the arms have 101 together, the budget 100"),
        ({"worth": 0.5}, "`worth` is for points"),
    ],
)
def test_a_budget_that_cannot_be_meant_is_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Budget.model_validate({"id": "daily", "limit": 100} | wrong)


def test_a_day_begins_at_midnight_in_utc_and_a_campaign_lasts_to_the_end_of_its_last_day() -> None:
    campaign = Budget.model_validate(CAMPAIGN)
    assert DAILY.span_at(START + DAY - 1) == ("2024-10-04", START, START + DAY)
    assert campaign.span_at(START - 1) is None
    assert campaign.span_at(START + 2 * DAY - 1) == ("campaign", START, START + 2 * DAY)
    assert campaign.span_at(START + 2 * DAY) is None


def test_a_day_that_is_long_over_is_not_drawn_from_again() -> None:
    book = Book([DAILY], 0, 1)
    book.observe(START + STAYS_OPEN)
    assert book.draw("daily", 1, START) is not None
    book.observe(START + DAY + STAYS_OPEN)
    assert book.draw("daily", 1, START) is None


def test_an_arm_gets_what_is_its_own_and_others_nothing() -> None:
    book = Book([Budget(id="daily", limit=100, arms={"a": 70, "b": 30})], 0, 1)
    assert [book.draw("daily", 31, START, arm) is not None for arm in ("a", "b", "c", None)] == [True, *[False] * 3]


def test_a_limit_that_is_raised_counts_at_once_and_a_lowered_one_too() -> None:
    book = Book([DAILY], 0, 1)
    draw = book.draw("daily", 100, START)
    assert draw is not None
    book.book("action", [draw], None)
    _, mark = book.checkpoint()
    for limit, more in ((120, 20), (80, 0)):
        again = Book([Budget(id="daily", limit=limit)], 0, 1)
        again.restore([], mark)
        assert again.draw("daily", more + 1, START) is None
        assert (again.draw("daily", more, START) is None) == (limit == 80)


def test_a_damaged_reservation_is_no_reservation() -> None:
    book = Book([DAILY], 0, 1)
    draw = book.draw("daily", 7, START)
    assert draw is not None
    book.book("action", [draw], START + DAY)
    (reservation,) = book.reservations.values()
    record = encode_reservation(reservation)
    assert decode_reservation(record) == reservation
    for damaged in (b"", b"\x02" + record[1:], record[:-1], record.replace(b"\x07", b"\x00", 1)):
        with pytest.raises(StateError):
            decode_reservation(damaged)


def test_the_plan_follows_the_hours() -> None:
    span = DAILY.span_at(START)
    assert span is not None
    plan = Plan([0.0] * 12 + [1.0] * 6 + [3.0] * 6)
    passed = [plan.progress(span, START + hour * HOUR) for hour in (-1, 6, 12, 15, 18, 21, 24, 30)]
    assert passed == pytest.approx([0, 0, 0, 0.125, 0.25, 0.625, 1, 1])


def test_the_price_rises_where_spending_runs_ahead_of_the_plan_and_falls_to_one_where_it_lags() -> None:
    pace = Pace()
    spent = 0.0
    for minute in range(720):
        pace.observe(minute / 1_440, round(spent), 1_440_000)
        # At a price of 1 the budget would be gone in an hour and a half.
        spent += 16_000 / pace.price**2
    assert pace.price == pytest.approx(4, rel=0.1)
    assert spent == pytest.approx(720_000, rel=0.05)
    for minute in range(720, 1_440):
        pace.observe(minute / 1_440, round(spent), 1_440_000)
    assert pace.price == 1


def test_a_new_day_begins_at_the_usual_price_of_the_last() -> None:
    book = Book([DAILY], 0, 1)
    for minute in range(20):
        book.observe(START + minute * 60_000)
        draw = book.draw("daily", 2, START)
        assert draw is not None
        book.book(f"a{minute}", [draw], None)
    (account,) = book.accounts.values()
    assert 1 < account.pace.usual < book.price("daily", START)
    book.observe(START + DAY)
    assert book.price("daily", START + DAY) == account.pace.usual


def test_accounts_are_told_by_day_and_forgotten_once_nothing_can_come_of_them() -> None:
    book = Book([DAILY], 0, 1)
    draw = book.draw("daily", 2, START)
    assert draw is not None
    book.observe(START)
    book.book("held", [draw], START + 9 * DAY)
    book.observe(START + 5 * DAY)
    book.checkpoint()
    days = [AccountKey("daily", day, None) for day in ("2024-10-04", "2024-10-09")]
    assert list(book.accounts) == days
    assert book.release("held")
    assert not book.confirm("held")
    book.checkpoint()
    assert list(book.accounts) == days[1:]
