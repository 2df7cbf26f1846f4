"""The curve of a silence: probabilities of later moments follow from it, as a naive count of survivors gives them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forestay.core.errors import StateError
from forestay.core.survival import MAX_HOURS, PARTS, Survival

EDGES = st.lists(st.integers(1, MAX_HOURS), min_size=1, max_size=32, unique=True).map(sorted)


@st.composite
def curves(draw: st.DrawFn) -> Survival:
    hours = draw(EDGES)
    shares = draw(st.lists(st.integers(0, PARTS), min_size=len(hours), max_size=len(hours)))
    return Survival(tuple(hours), tuple(sorted(shares, reverse=True)))


@given(curves())
def test_at_the_edges_it_is_the_share_that_is_left(curve: Survival) -> None:
    curve.check()
    for hours, share in zip(curve.hours, curve.shares, strict=True):
        assert curve.lasting(0, hours) == pytest.approx(max(share, 0.5) / PARTS)
    for early, late in zip(curve.hours, curve.hours[1:], strict=False):
        left = [max(curve.shares[curve.hours.index(edge)], 0.5) for edge in (early, late)]
        assert curve.lasting(early, late - early) == pytest.approx(left[1] / left[0])


@given(curves(), st.floats(0, 1e5), st.floats(0, 1e5), st.floats(0, 1e5))
def test_a_silence_of_two_parts_is_both_and_never_grows(
    curve: Survival, silent: float, one: float, two: float
) -> None:
    whole = curve.lasting(silent, one + two)
    assert 0 <= whole <= 1
    assert whole == pytest.approx(curve.lasting(silent, one) * curve.lasting(silent + one, two), abs=1e-9)


def test_between_edges_and_beyond_the_last_the_hazard_is_constant() -> None:
    curve = Survival((10, 20), (5_000, 2_500))
    assert curve.lasting(0, 5) == pytest.approx(0.5**0.5)
    assert curve.lasting(15, 10) == pytest.approx(0.5)
    assert curve.lasting(1_000, 10) == pytest.approx(0.5)


@pytest.mark.parametrize(
    "curve",
    [
        Survival((), ()),
        Survival((1, 2), (5_000,)),
        Survival((2, 2), (5_000, 4_000)),
        Survival((0,), (5_000,)),
        Survival((1, 2), (4_000, 5_000)),
        Survival((1,), (PARTS + 1,)),
        Survival((1,), (-1,)),
        Survival((MAX_HOURS + 1,), (1,)),
        Survival(tuple(range(1, 34)), (1,) * 33),
    ],
)
def test_what_is_no_curve_is_refused(curve: Survival) -> None:
    with pytest.raises(StateError, match="no curve of survival"):
        curve.check()
