"""What a set is asked to be: spans, series of cutoffs, splits."""

import pytest

from forestay.core.errors import ForestayError
from forestay.core.units import DAY, HOUR
from forestay.dataset.plan import Plan, Split, every, parse_span, span_text, split_of


@pytest.mark.parametrize(("text", "span"), [("14d", 14 * DAY), ("36h", 36 * HOUR), ("48h", 2 * DAY), ("1h", HOUR)])
def test_a_span_is_a_number_of_days_or_hours(text: str, span: int) -> None:
    assert parse_span(text, "--obs") == span
    assert parse_span(span_text(span), "--obs") == span


@pytest.mark.parametrize("text", ["14", "d", "1.5d", "-1d", "0d", "2w", "99999d", "1000000h", "", "\u0661d"])
def test_what_is_no_span_is_refused_by_its_flag(text: str) -> None:
    with pytest.raises(ForestayError, match=r"--horizon .*: write a span of days or hours"):
        parse_span(text, "--horizon")


def test_a_series_has_both_ends_and_a_bound() -> None:
    assert every(2 * DAY, 10 * DAY, 14 * DAY) == [10 * DAY, 12 * DAY, 14 * DAY]
    assert every(2 * DAY, 10 * DAY, 13 * DAY) == [10 * DAY, 12 * DAY]
    assert every(2 * DAY, 10 * DAY, 9 * DAY) == []
    with pytest.raises(ForestayError, match="--every 1h makes more than 4,096 cutoffs"):
        every(HOUR, 0, 4_096 * HOUR)


@pytest.mark.parametrize(
    ("validate", "test", "expected"),
    [
        (None, None, "train train train train train train"),
        (None, 40, "train train train gap test test"),
        (40, None, "train train train gap validation validation"),
        (20, 40, "train gap validation gap test test"),
    ],
)
def test_a_row_whose_longest_label_meets_a_bound_is_for_nothing(
    validate: int | None, test: int | None, expected: str
) -> None:
    bounds = [None if day is None else day * DAY for day in (validate, test)]
    # A label that ends at the bound, its end left out, looks at nothing beyond it.
    plan = Plan(tuple(day * DAY for day in (10, 19, 30, 31, 40, 90)), (DAY, 10 * DAY), DAY, test_from=bounds[1])
    plan = plan._replace(validate_from=bounds[0])
    assert [split_of(plan, cutoff) for cutoff in plan.cutoffs] == [Split(name) for name in expected.split()]
