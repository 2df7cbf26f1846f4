"""The list `next`: ranked by the item head, from the embedding on the record, and popular without one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from support.builders import MODEL, START, apply, catalogue, click, offer, partition, source

from forestay.core.decision.answer import Answer, Embedding
from forestay.core.decision.catalogue import Catalogue
from forestay.core.hashing import hash64
from forestay.core.items.items import ITEM_BITS, Items, ListKind
from forestay.core.items.next_item import NextItem
from forestay.core.items.recommend import Taste, recommended
from forestay.core.units import HOUR
from forestay.rerun.scores import NoScores, ScoreBook
from forestay.why.explanation import explain
from forestay.why.words import told
from forestay_schemas.decision import Decision

PROJECTION = {"version": MODEL.version, "centre": [1.0, 0.0], "axes": [[1.0, 0.0], [0.0, 2.0]]}
HEAD = NextItem.model_validate(
    {
        "projection": PROJECTION,
        "weights": {"mug": [0.0, 1.0, 0.0], "pot": [0.0, 0.0, 1.0], "cup": [0.5, 0.0, 0.0]},
        "together": 2.0,
    }
)
ITEMS = Items(
    orders=9,
    popular=("cup", "mug", "jar", "pot"),
    together={"tea": (("pot", 0.5),)},
    next_item=HEAD,
)
#: The first direction is 2 above the centre, the second 0: mug 2, cup 0.5, pot 0.
FOR_MUGS = Embedding(MODEL.version, (3.0, 0.0))


def taste(*items: str, embedding: Embedding | None = FOR_MUGS) -> Taste:
    return Taste([hash64(item) & ITEM_BITS for item in items], None, embedding)


def test_what_the_embedding_speaks_for_comes_first_and_popularity_fills_the_rest() -> None:
    assert recommended(ListKind.NEXT, 9, taste(), ITEMS) == ["mug", "cup", "pot", "jar"]
    # What goes with tea counts beside it: pot 2 x 0.5.
    assert recommended(ListKind.NEXT, 3, taste("tea"), ITEMS) == ["mug", "pot", "cup"]
    assert recommended(ListKind.NEXT, 9, taste("mug"), ITEMS, {"cup"}) == ["pot", "jar"]


@pytest.mark.parametrize(
    "embedding", [None, FOR_MUGS._replace(version="8"), FOR_MUGS._replace(numbers=(3.0,))], ids=str
)
def test_without_an_embedding_it_can_read_it_is_popularity(embedding: Embedding | None) -> None:
    assert recommended(ListKind.NEXT, 9, taste("tea", embedding=embedding), ITEMS) == ["cup", "mug", "jar", "pot"]


@given(st.data())
def test_the_ranking_is_that_of_plain_sums(data: st.DataObject) -> None:
    """Whole numbers, so that equal scores come about; more items than are sorted at once."""
    small = st.integers(-2, 2).map(float)
    count = data.draw(st.sampled_from([1, 3, 64, 65, 200]), label="items")
    names = [f"i{number:03}" for number in range(count)]
    weights = {name: tuple(data.draw(small) for _ in range(3)) for name in names}
    weights = dict(data.draw(st.permutations(list(weights.items()))))
    head = NextItem.model_validate({"projection": PROJECTION, "weights": weights, "together": 3.0})
    embedding = Embedding(MODEL.version, (data.draw(small), data.draw(small)))
    near = data.draw(st.dictionaries(st.sampled_from([*names, "unknown"]), st.sampled_from([0.5, 1.0])))
    first, second = embedding.numbers[0] - 1.0, 2.0 * embedding.numbers[1]
    scores = {
        name: row[0] + row[1] * first + row[2] * second + 3.0 * near.get(name, 0.0) for name, row in weights.items()
    }
    assert list(head.ranked(embedding, near)) == sorted(names, key=lambda name: (-scores[name], name))


def shop(items: Items | None = ITEMS, **more: Any) -> Catalogue:
    made = offer("a", kind="recommendation", payload={"list": "next", "count": 2})
    content = catalogue().model_dump() | {"offers": [made], "items": items, "policy": {"exploration": 0}}
    return Catalogue.model_validate(content | more)


def decided(embedding: Embedding | None, book: ScoreBook | None = None) -> Decision:
    """Returns the decision on a user who bought tea, by a model that gives this embedding, or by what `book` has."""
    core = partition(shop=shop())
    buys = [click(f"e{n}", event="purchase", item_id="tea", price=9.0, ts=START + n * HOUR) for n in range(2)]
    (*_, asked) = apply(core, [source(one, place) for place, one in enumerate(buys)]).situations
    answer = Answer(0.9, MODEL, embedding=embedding) if book is None else book.answer([asked])[0]
    return core.settle([asked], {asked.decision_id: answer}, MODEL).decisions[-1]


def test_the_record_says_what_filled_the_list_and_a_rerun_makes_the_same_bytes() -> None:
    made = decided(FOR_MUGS)
    assert (made.items, made.items_by, made.embedding) == (("mug", "pot"), "next", FOR_MUGS.numbers)
    book = ScoreBook(NoScores())
    book.add(made.model_dump_json().encode())
    assert decided(None, book).model_dump_json() == made.model_dump_json()
    assert Decision.model_validate_json(made.model_dump_json()) == made


def test_popularity_stands_in_and_the_record_says_so() -> None:
    made = decided(None)
    assert (made.items, made.items_by) == (("cup", "mug"), "popular")
    assert "  shows by popularity, without an embedding to go by: cup, mug" in told(explain(made, None, shop()))
    assert "  shows by the model's item head: mug, pot" in told(explain(decided(FOR_MUGS), None, shop()))


def test_a_catalogue_with_the_list_asks_for_the_embedding_and_one_without_does_not() -> None:
    assert shop().reads_embedding
    other = offer("a", kind="recommendation", payload={"list": "popular", "count": 2})
    assert not shop(offers=[other]).reads_embedding


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (None, "the list next is filled from `items`: `forestay items fit --next` makes such a file"),
        (
            ITEMS.model_copy(update={"next_item": None}),
            "the offer a shows the list next, and the file has no item head",
        ),
    ],
    ids=["no file", "no head"],
)
def test_a_list_without_a_head_is_refused(items: Items | None, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        shop(items)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weights": {"mug": [0.0, 1.0]}}, "the item mug has 2 weights, not 3"),
        ({"weights": {}}, "at least 1"),
        ({"weights": {"mug": [float("nan"), 0.0, 0.0]}}, "finite"),
        ({"together": -1.0}, "greater than or equal to 0"),
    ],
)
def test_what_is_no_head_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        NextItem.model_validate({**HEAD.model_dump(), **change})


def test_a_file_keeps_the_head_and_one_without_says_nothing_of_it() -> None:
    assert Items.model_validate_json(ITEMS.model_dump_json()) == ITEMS
    assert "next_item" not in ITEMS.model_copy(update={"next_item": None}).model_dump_json()
