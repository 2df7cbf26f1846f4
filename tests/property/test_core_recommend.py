"""Recommendations against a plain reading of what they promise."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from forestay.core.decision.answer import Embedding
from forestay.core.hashing import hash64
from forestay.core.items.items import ITEM_BITS, Items, ListKind
from forestay.core.items.next_item import NextItem
from forestay.core.items.recommend import MOST_SEEDS, Taste, recommended

NAMES = [f"i{number}" for number in range(12)]
names = st.sampled_from(NAMES)
lists = st.lists(names, unique=True, max_size=12).map(tuple)
small = st.integers(-4, 4).map(lambda number: number / 4)
PROJECTION = {"version": "7", "centre": [0.0], "axes": [[2.0]]}
heads = st.builds(
    NextItem,
    projection=st.just(PROJECTION),
    weights=st.dictionaries(names, st.tuples(small, small), min_size=1),
    together=st.sampled_from([0.0, 3.0]),
)
embeddings = st.builds(Embedding, st.sampled_from(["7", "8"]), small.map(lambda number: (number,)))
neighbours = st.lists(st.tuples(names, st.floats(0.01, 1)), max_size=4, unique_by=lambda one: one[0]).map(tuple)


@given(
    items=st.builds(
        Items,
        orders=st.just(1),
        popular=lists,
        countries=st.dictionaries(st.sampled_from(["FR", "GB"]), lists),
        together=st.dictionaries(names, neighbours),
        similar=st.dictionaries(names, neighbours),
        next_item=st.none() | heads,
    ),
    kind=st.sampled_from(ListKind),
    met=st.lists(names, unique=True),
    country=st.sampled_from([None, "FR"]),
    embedding=st.none() | embeddings,
    gone=st.sets(names),
    count=st.integers(1, 12),
)
def test_what_is_shown_is_what_a_plain_reading_gives(  # noqa: PLR0917 - as many as are given
    items: Items,
    kind: ListKind,
    met: list[str],
    country: str | None,
    embedding: Embedding | None,
    gone: set[str],
    count: int,
) -> None:
    taste = Taste([hash64(one) & ITEM_BITS for one in met], country, embedding)
    found = recommended(kind, count, taste, items, gone)
    expected = [one for one in plainly(items, kind, met, country, embedding) if one not in gone and one not in met]
    assert found == expected[:count]


def test_no_more_of_a_long_list_is_read_than_is_shown() -> None:
    popular: Any = iter(NAMES)
    items = Items.model_construct(orders=1, popular=popular, countries={}, together={}, similar={})
    assert recommended(ListKind.POPULAR, 3, Taste([], None), items, {NAMES[0]}) == NAMES[1:4]
    assert next(popular) == NAMES[4]


def plainly(
    items: Items, kind: ListKind, met: list[str], country: str | None, embedding: Embedding | None
) -> list[str]:
    known = {*items.popular, *items.together, *items.similar}
    lists = {ListKind.TOGETHER: items.together, ListKind.SIMILAR: items.similar, ListKind.NEXT: items.together}
    near = lists.get(kind, {})
    scores: dict[str, float] = {}
    for age, item in enumerate(met[::-1][:MOST_SEEDS]):
        for other, score in near.get(item, ()) if item in known else ():
            scores[other] = scores.get(other, 0) + 0.9**age * score
    if kind is ListKind.NEXT:
        head = items.next_item
        if head is None or embedding is None or embedding.version != "7":
            scores = {}
        else:
            scores = {
                item: level + slope * 2.0 * embedding.numbers[0] + head.together * scores.get(item, 0.0)
                for item, (level, slope) in head.weights.items()
            }
    first = sorted(scores, key=lambda one: (-round(scores[one], 9), one))
    rest = [*items.countries.get(country or "", ()), *items.popular]
    return list(dict.fromkeys([*first, *rest]))
