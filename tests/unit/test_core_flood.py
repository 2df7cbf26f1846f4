"""The flood guard: a hundred failures and more than the limit's share stop the line; a trickle never does."""

from hypothesis import given
from hypothesis import strategies as st
from support.builders import apply, click, partition, source

from forestay.core.flood import FloodGuard
from forestay.core.rules import Rules


def stopped_at(outcomes: list[bool], limit: float) -> int | None:
    """Returns how many records passed before the guard stopped the line, None if it did not."""
    guard = FloodGuard(limit)
    for number, failed in enumerate(outcomes):
        if failed and guard.failed() is not None:
            return number
        if not failed:
            guard.passed()
    return None


def test_nothing_but_failures_stops_at_the_hundredth() -> None:
    assert stopped_at([True] * 99, 0.5) is None
    assert stopped_at([True] * 200, 0.5) == 99


def test_exactly_the_limit_is_no_flood_and_more_is() -> None:
    assert stopped_at([False, True] * 5_000, 0.5) is None
    assert stopped_at([True, False, True] * 1_000, 0.5) is not None


def test_a_limit_of_one_never_stops() -> None:
    assert stopped_at([True] * 10_000, 1.0) is None


def test_a_flood_after_a_long_good_time_is_noticed_soon() -> None:
    """A million good records do not buy half a million bad ones."""
    start = 100_000
    stop = stopped_at([False] * start + [True] * 5_000, 0.5)
    assert stop is not None
    assert stop - start <= 2_000


@given(st.lists(st.booleans(), max_size=3_000), st.sampled_from([0.1, 0.5, 0.9]))
def test_the_line_stops_only_on_a_failure_and_only_after_a_hundred(outcomes: list[bool], limit: float) -> None:
    stop = stopped_at(outcomes, limit)
    if stop is not None:
        assert outcomes[stop]
        assert sum(outcomes[: stop + 1]) >= 100


@given(st.integers(0, 400), st.integers(0, 400))
def test_in_a_short_stream_the_share_is_exact(failed: int, fine: int) -> None:
    outcomes = [False] * fine + [True] * failed
    expected = next(
        (n for n in range(len(outcomes)) if n >= fine and n + 1 - fine >= 100 and n + 1 - fine > 0.5 * (n + 1)), None
    )
    assert stopped_at(outcomes, 0.5) == expected


def test_the_error_says_what_to_do_and_the_batch_is_not_applied_further() -> None:
    core = partition(Rules(dead_letter_limit=0.5))
    records = [source(b"{", number) for number in range(150)]
    applied = apply(core, [*records, source(click(), 150)])
    assert "100 of the last 100" in str(applied.flood)
    assert "`forestay tail dead-letters`" in str(applied.flood)
    assert len(applied.dead_letters) == 100
    assert core.positions == {"clickstream": 100}
    assert core.users.ids() == []
