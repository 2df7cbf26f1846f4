"""Lists of items from orders and titles.

Items ordered together: the cosine of their orders, n_ij / sqrt(n_i n_j), shrunk by n_ij / (n_ij + shrinkage), since a
pair seen twice tells little (Bell and Koren, 2007, Improved Neighborhood-based Collaborative Filtering, 2.2).
Items alike: the cosine of TF-IDF weights of the words of their titles (scikit-learn's TfidfVectorizer).
"""

from typing import Any, Final, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer

from forestay.core.items.items import Items, Neighbour
from forestay.history.point_in_time import Tell
from forestay_training.items.orders import Orders

#: Rows of the items' matrix multiplied at once: memory is bounded by them, not by all pairs.
_BLOCK: Final = 512
_DIGITS: Final = 4
_LEAST_SCORE: Final = 10.0**-_DIGITS
#: Countries with fewer orders have no list of their own.
LEAST_ORDERS: Final = 50


class Wished(NamedTuple):
    """How many items and neighbours to keep, and how many orders of a pair count half."""

    items: int = 5_000
    neighbours: int = 10
    shrinkage: float = 10.0
    by_country: int = 50


def fit_items(orders: Orders, wished: Wished, tell: Tell) -> Items:
    """Returns the lists of the most ordered items; the same orders give the same lists."""
    counts = np.bincount(orders.item, minlength=len(orders.ids))
    kept = sorted(range(len(orders.ids)), key=lambda place: (-counts[place], orders.ids[place]))[: wished.items]
    ids = [orders.ids[place] for place in kept]
    matrix = _matrix(orders, kept)
    return Items(
        orders=len(orders.countries),
        popular=tuple(ids),
        countries=_by_country(orders, kept, wished.by_country),
        together=_together(matrix, ids, wished, tell),
        similar=_similar(ids, orders.titles, wished, tell),
    )


def _matrix(orders: Orders, kept: list[int]) -> csr_matrix:
    """Returns orders by items (O, I), 1 where the order has the item."""
    place = np.full(len(orders.ids), -1, dtype=np.int64)
    place[kept] = np.arange(len(kept))
    inside = place[orders.item] >= 0
    rows, columns = orders.order[inside], place[orders.item[inside]]
    return csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(orders.countries), len(kept)))


def _by_country(orders: Orders, kept: list[int], most: int) -> dict[str, tuple[str, ...]]:
    of_order = np.array(orders.countries)
    found = {}
    for country, count in zip(*np.unique(of_order, return_counts=True), strict=True):
        if not country or count < LEAST_ORDERS:
            continue
        counts = np.bincount(orders.item[of_order[orders.order] == country], minlength=len(orders.ids))
        best = sorted(
            (place for place in kept if counts[place]), key=lambda place: (-counts[place], orders.ids[place])
        )
        found[str(country)] = tuple(orders.ids[place] for place in best[:most])
    return found


def _together(matrix: csr_matrix, ids: list[str], wished: Wished, tell: Tell) -> dict[str, tuple[Neighbour, ...]]:
    counts = np.asarray(matrix.sum(axis=0)).ravel()
    other = matrix.T.tocsr()
    found: dict[str, tuple[Neighbour, ...]] = {}
    for begin in range(0, len(ids), _BLOCK):
        tell("items ordered together", begin, len(ids))
        block: Any = (other[begin : begin + _BLOCK] @ matrix).tocsr()
        for row in range(block.shape[0]):
            at = slice(block.indptr[row], block.indptr[row + 1])
            places, pairs, place = block.indices[at], block.data[at], begin + row
            scores = pairs / np.sqrt(counts[place] * counts[places]) * pairs / (pairs + wished.shrinkage)
            found[ids[place]] = _nearest(place, places, scores, ids, wished.neighbours)
    return {item: nearest for item, nearest in found.items() if nearest}


def _similar(ids: list[str], titles: dict[str, str], wished: Wished, tell: Tell) -> dict[str, tuple[Neighbour, ...]]:
    titled = [place for place, item in enumerate(ids) if item in titles]
    if not titled:
        return {}
    words = TfidfVectorizer(sublinear_tf=True)
    try:
        weights = words.fit_transform([titles[ids[place]] for place in titled]).tocsr()
    except ValueError:
        # No title has a word.
        return {}
    found: dict[str, tuple[Neighbour, ...]] = {}
    names = [ids[place] for place in titled]
    for begin in range(0, len(names), _BLOCK):
        tell("items titled alike", begin, len(names))
        block = (weights[begin : begin + _BLOCK] @ weights.T).tocsr()
        for row in range(block.shape[0]):
            at = slice(block.indptr[row], block.indptr[row + 1])
            place = begin + row
            found[names[place]] = _nearest(place, block.indices[at], block.data[at], names, wished.neighbours)
    return {item: nearest for item, nearest in found.items() if nearest}


def _nearest(place: int, places: Any, scores: Any, ids: list[str], most: int) -> tuple[Neighbour, ...]:
    """Returns the best neighbours but the item itself; of equal scores the earlier id."""
    rounded = np.minimum(np.round(scores, _DIGITS), 1.0)
    told = [
        (float(score), ids[other])
        for score, other in zip(rounded, places, strict=True)
        if other != place and score >= _LEAST_SCORE
    ]
    return tuple((name, score) for score, name in sorted(told, key=lambda one: (-one[0], one[1]))[:most])
