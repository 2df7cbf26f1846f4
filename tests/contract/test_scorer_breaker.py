"""The circuit breaker: opens after failures in a row, leaves the server alone, tries again, closes on success."""

from hypothesis import given
from hypothesis import strategies as st

from forestay.shell.breaker import CircuitBreaker


def test_it_opens_after_failures_in_a_row_and_only_then() -> None:
    breaker = CircuitBreaker(3, 5)
    assert [breaker.failed(0), breaker.failed(0)] == [False, False]
    assert breaker.allows(0)
    assert breaker.failed(0)
    assert not breaker.allows(0)
    assert not breaker.allows(4.999)
    assert breaker.allows(5)


def test_a_success_between_failures_starts_the_count_anew() -> None:
    breaker = CircuitBreaker(2, 5)
    for _ in range(10):
        assert not breaker.failed(0)
        assert not breaker.succeeded()
        assert breaker.allows(0)


def test_a_failed_trial_opens_it_again_and_is_not_told_again() -> None:
    breaker = CircuitBreaker(1, 5)
    assert breaker.failed(0)
    assert not breaker.failed(5)
    assert not breaker.allows(9.9)
    assert breaker.allows(10)
    assert breaker.succeeded()
    assert breaker.allows(10)
    assert not breaker.succeeded()


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 3)), max_size=60))
def test_it_is_open_exactly_while_the_last_failure_of_a_row_is_fresh(calls: list[tuple[bool, float]]) -> None:
    breaker, now, row, opened = CircuitBreaker(3, 2.0), 0.0, 0, float("-inf")
    for fails, pause in calls:
        now += pause
        assert breaker.allows(now) == (now >= opened + 2.0)
        row = row + 1 if fails else 0
        if fails:
            assert breaker.failed(now) == (row == 3)
            opened = now if row >= 3 else opened
        else:
            breaker.succeeded()
            opened = float("-inf")
