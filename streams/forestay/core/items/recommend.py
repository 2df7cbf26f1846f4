"""Which items a user is shown: what is near to what they met lately, or likely to come next; then what is popular."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Final, NamedTuple

from forestay.core.decision.answer import Embedding
from forestay.core.hashing import hash64
from forestay.core.items.items import ITEM_BITS, Items, ListKind, Neighbour

#: The newest items count; each counts this much of what the next newer one does.
MOST_SEEDS: Final = 20
_FADING: Final = 0.9


class Taste(NamedTuple):
    """What is known of a user: hashes of items they met in the last 30 days, the newest last, and their country.

    `embedding` is what the model has made of them, to the digits on the decision's record; None where none answered.
    """

    recent: Sequence[int]
    country: str | None
    embedding: Embedding | None = None


def recommended(
    kind: ListKind, count: int, taste: Taste, items: Items, unavailable: Collection[str] = frozenset()
) -> list[str]:
    """Returns at most `count` items, the best first: never one of `unavailable`, nor one the user just met.

    What is left open is filled by popularity, in the user's country first. Equal scores go by item id.
    """
    met = set(taste.recent)
    ranked = _ranked(kind, taste, items)
    fitting = (one for one in ranked if one not in unavailable and hash64(one) & ITEM_BITS not in met)
    return list(islice(fitting, count))


def listed_by(kind: ListKind, taste: Taste, items: Items) -> ListKind:
    """Returns the list that the user is shown: popularity in the place of `next` without an embedding it can read."""
    head = items.next_item
    if kind is ListKind.NEXT and (head is None or not head.reads(taste.embedding)):
        return ListKind.POPULAR
    return kind


def _ranked(kind: ListKind, taste: Taste, items: Items) -> Iterator[str]:
    """Yields items, each once, the best first."""
    told: set[str] = set()
    # Chained, not put together: a list has 100,000 items, and a decision looks at a few.
    for item in chain(
        _first(listed_by(kind, taste, items), taste, items),
        items.countries.get(taste.country or "", ()),
        items.popular,
    ):
        if item not in told:
            told.add(item)
            yield item


def _first(kind: ListKind, taste: Taste, items: Items) -> Iterable[str]:
    """Returns the items that come before the popular ones."""
    if kind is ListKind.POPULAR:
        return ()
    if kind is ListKind.NEXT and items.next_item is not None:
        return items.next_item.ranked(taste.embedding, near(items.together, taste, items))
    scores = near(items.similar if kind is ListKind.SIMILAR else items.together, taste, items)
    return sorted(scores, key=lambda item: (-round(scores[item], 9), item))


def near(neighbours: Mapping[str, Sequence[Neighbour]], taste: Taste, items: Items) -> dict[str, float]:
    """Returns the scores of the neighbours of what the user met lately."""
    scores: dict[str, float] = {}
    weight = 1.0
    for hashed in list(reversed(taste.recent))[:MOST_SEEDS]:
        for item, score in neighbours.get(items.by_hash.get(hashed, ""), ()):
            scores[item] = scores.get(item, 0.0) + weight * score
        weight *= _FADING
    return scores
