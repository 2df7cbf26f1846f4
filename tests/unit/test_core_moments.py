"""Pairs of a moment and an item in a flat `vec`, against a sorted list of tuples."""

from hypothesis import given
from hypothesis import strategies as st
from librt.vecs import vec
from mypy_extensions import i64

from forestay.core.patterns.moments import added, later, newer, place, without

Pair = tuple[int, int]
PAIRS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=20)


def flat(pairs: list[Pair]) -> "vec[i64]":
    made = vec[i64]()
    for moment, item in pairs:
        made = added(made, moment, item)
    return made


def told(pairs: "vec[i64]") -> list[Pair]:
    return list(zip(pairs[::2], pairs[1::2], strict=True))


@given(PAIRS)
def test_pairs_stand_in_order_whatever_the_order_of_adding(pairs: list[Pair]) -> None:
    assert told(flat(pairs)) == sorted(pairs)


@given(PAIRS, st.integers(0, 19), st.integers(-1, 10))
def test_pairs_go_by_place_and_by_moment(pairs: list[Pair], at: int, moment: int) -> None:
    left = sorted(pairs)
    assert told(later(flat(pairs), moment)) == [pair for pair in left if pair[0] > moment]
    if at < len(pairs):
        del left[at]
        assert told(without(flat(pairs), 2 * at)) == left


@given(PAIRS, st.integers(0, 3), st.integers(1, 4))
def test_an_items_pairs_are_found_from_the_newest(pairs: list[Pair], item: int, number: int) -> None:
    made = flat(pairs)
    places = [2 * at for at, pair in enumerate(sorted(pairs)) if pair[1] == item]
    assert place(made, item, number) == (places[-number] if number <= len(places) else -1)
    assert [newer(made, at) for at in reversed(places)] == list(range(len(places)))
