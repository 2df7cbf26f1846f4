"""How often a list has something of the user's next order, on orders it was not learned from."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forestay.core.hashing import hash64
from forestay.core.items.items import ITEM_BITS, Items, ListKind
from forestay.core.items.recommend import Taste, recommended
from forestay_training.items.orders import Later

_DRAWS: Final = 400
_LEVEL: Final = 0.95


def judge(items: Items, later: Sequence[Later], shown: int, seed: int) -> dict[str, Any]:
    """Returns for each list the share of orders with at least one of the items `shown`, and for those with a taste.

    An order counts only with items the user had not just met, which no list shows. Intervals of 95 % are by
    percentiles of bootstrap samples of users, `seed` is theirs.
    """
    orders = [one for one in later if one.ordered - set(one.met)]
    users = np.unique([one.user for one in orders], return_inverse=True)[1] if orders else np.zeros(0, dtype=int)
    warm = np.array([bool(one.met) for one in orders], dtype=bool)
    found: dict[str, Any] = {"orders": len(orders), "with_taste": int(warm.sum()), "shown": shown, "lists": {}}
    for kind in ListKind:
        if kind is ListKind.NEXT and items.next_item is None:
            continue
        hits = hits_of(kind, items, orders, shown)
        found["lists"][str(kind)] = {
            "all": _rate(hits, users, seed),
            "with_taste": _rate(hits[warm], users[warm], seed),
        }
    return found


def hits_of(kind: ListKind, items: Items, orders: Sequence[Later], shown: int) -> NDArray[np.float64]:
    """Returns 1 for each order (N,) that has at least one of the items a list shows, 0 for the others."""
    return np.array([_hit(kind, one, items, shown) for one in orders], dtype=float)


def _hit(kind: ListKind, one: Later, items: Items, shown: int) -> bool:
    taste = Taste([hash64(item) & ITEM_BITS for item in one.met], one.country, one.embedding)
    return not one.ordered.isdisjoint(recommended(kind, shown, taste, items))


def _rate(hits: Any, users: Any, seed: int) -> dict[str, Any]:
    if not len(hits):
        return {"value": None, "interval": None}
    sums, sizes = np.bincount(users, weights=hits), np.bincount(users)
    some = np.flatnonzero(sizes)
    drawn = np.random.default_rng(seed).choice(some, (_DRAWS, len(some)))
    rates = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    tail = (1 - _LEVEL) / 2
    low, high = np.quantile(rates, [tail, 1 - tail]).tolist()
    return {"value": float(hits.mean()), "interval": [low, high]}
