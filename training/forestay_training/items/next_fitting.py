"""The item head: what is ordered next, fitted to what the frozen model had made of users right before their orders.

log p(item | user) = log share of the item + intercept + weights . signals, over the most ordered items, where the
signals are whitened principal components of the embedding: multinomial logistic regression with a Gaussian prior
(McFadden, 1974), an order of n new items counting 1/n for each. How strong the prior is, and how much the score of
what is ordered together counts beside it, is chosen on the last fifth of the orders by how often a list of ten has
something of an order; then all orders are fitted.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from forestay.core.errors import ForestayError
from forestay.core.items.items import ListKind
from forestay.core.items.next_item import NextItem
from forestay.core.policy.projection import Projection
from forestay.history.point_in_time import Tell
from forestay_training.items.fitting import Wished, fit_items
from forestay_training.items.judging import hits_of
from forestay_training.items.orders import Later, Orders
from forestay_training.policy.projecting import principal

Table = NDArray[np.float64]
#: Items told apart, and directions of the embedding looked at.
ITEMS: Final = 1_000
AXES: Final = 8
#: What is tried: the precision of the prior of each weight, and how much the score of `together` counts.
_PRIORS: Final = (30.0, 100.0, 300.0)
_TOGETHER: Final = (0.0, 1.0, 3.0, 6.0, 10.0)
#: The share of the orders, the earlier ones, that what is tried is fitted to.
_EARLIER: Final = 0.8
#: Items a list shows where what is tried is judged.
_SHOWN: Final = 10
#: Rows whose probabilities are held at once.
_BLOCK: Final = 2_048
#: Digits kept: what differs by less is a matter of how a machine sums.
_DIGITS: Final = 4


class Fitted(NamedTuple):
    """The head, how many orders it was fitted to, what was chosen, and how often its list hit on the last fifth."""

    head: NextItem
    orders: int
    prior: float
    hit_rate: float


class _Rows(NamedTuple):
    """Orders by signals (R, 1 + K), the first of them 1, and by items (R, M), what each counts; the items' names."""

    signals: Table
    ordered: csr_matrix
    names: list[str]
    log_shares: Table


def fit_next(orders: Sequence[Later], tell: Tell) -> Fitted:
    """Returns the head of orders in the order of time, some of which carry an embedding, all of one version.

    Raises:
        ForestayError: too few of them do, or their embeddings are all the same.
    """
    earlier, later = orders[: int(len(orders) * _EARLIER)], orders[int(len(orders) * _EARLIER) :]
    later = [one for one in later if one.embedding is not None and one.ordered - set(one.met)]
    if not later or not any(one.embedding for one in earlier):
        raise ForestayError(
            "too few orders of users whom the model had seen before: an item head needs some in the first four fifths"
            " of the time and in the last; fit without --next"
        )
    items = fit_items(_lines(earlier), Wished(), tell)
    tried: list[tuple[float, float, float]] = []
    for number, prior in enumerate(_PRIORS):
        tell("trying item heads", number, len(_PRIORS))
        head = _head(earlier, prior, 0.0)
        for together in _TOGETHER:
            some = items.model_copy(update={"next_item": head.model_copy(update={"together": together})})
            tried.append((float(hits_of(ListKind.NEXT, some, later, _SHOWN).mean()), prior, together))
    # Of what hits as often the one that is surest of the least.
    rate, prior, together = max(tried, key=lambda one: (one[0], one[1], -one[2]))
    tell("fitting the item head", 0, None)
    return Fitted(_head(orders, prior, together), sum(one.embedding is not None for one in orders), prior, rate)


def _lines(orders: Sequence[Later]) -> Orders:
    ids: dict[str, int] = {}
    pairs = [
        (number, ids.setdefault(item, len(ids))) for number, one in enumerate(orders) for item in sorted(one.ordered)
    ]
    lines = np.array(pairs, dtype=np.int32)
    return Orders(lines[:, 0], lines[:, 1], list(ids), {}, [one.country or "" for one in orders])


def _head(orders: Sequence[Later], prior: float, together: float) -> NextItem:
    projection = _projection(orders)
    rows = _rows(orders, projection)
    weights = _weights(rows, prior)
    weights[:, 0] += rows.log_shares
    rounded = np.round(weights, _DIGITS) + 0.0
    named = {name: tuple(row) for name, row in zip(rows.names, rounded.tolist(), strict=True)}
    return NextItem(projection=projection, weights=named, together=together)


def _projection(orders: Sequence[Later]) -> Projection:
    """Returns the first principal components, each of variance 1."""
    seen = [one.embedding for one in orders if one.embedding is not None]
    centre, directions, variances = principal(np.array([one.numbers for one in seen]))
    if not len(variances):
        raise ForestayError(f"all {len(seen):,} embeddings are the same: fit without --next")
    axes = np.round(directions[:AXES] / np.sqrt(variances[:AXES])[:, None], _DIGITS) + 0.0
    return Projection(
        version=seen[0].version,
        centre=tuple((np.round(centre, _DIGITS) + 0.0).tolist()),
        axes=tuple(tuple(row) for row in axes.tolist()),
    )


def _rows(orders: Sequence[Later], projection: Projection) -> _Rows:
    counts = Counter(item for one in orders for item in one.ordered)
    names = sorted(counts, key=lambda item: (-counts[item], item))[:ITEMS]
    place = {item: number for number, item in enumerate(names)}
    signals: list[Table] = []
    lines: list[tuple[int, int, float]] = []
    for one in orders:
        new = sorted(place[item] for item in one.ordered - set(one.met) if item in place)
        if one.embedding is not None and new:
            lines += [(len(signals), item, 1 / len(new)) for item in new]
            signals.append(np.concatenate(([1.0], projection.of(one.embedding))))
    if not signals:
        raise ForestayError("no order has an item that was new to its user: fit without --next")
    row, column, value = zip(*lines, strict=True)
    ordered = csr_matrix((value, (row, column)), shape=(len(signals), len(names)))
    shares = np.array([counts[item] for item in names], dtype=float)
    return _Rows(np.array(signals), ordered, names, np.log(shares / shares.sum()))


def _weights(rows: _Rows, prior: float) -> Table:
    """Returns the weights (M, 1 + K) of the highest posterior density; the prior's mean is the items' shares."""
    shape = (len(rows.names), rows.signals.shape[1])
    told = np.asarray(rows.ordered.T @ rows.signals)
    count = len(rows.signals)

    def loss(flat: Table) -> tuple[float, Table]:
        weights = flat.reshape(shape)
        value, slope = -float((told * weights).sum()), -told
        for start in range(0, count, _BLOCK):
            some = rows.signals[start : start + _BLOCK]
            scores = some @ weights.T + rows.log_shares
            most = scores.max(axis=1, keepdims=True)
            chances = np.exp(scores - most)
            sums = chances.sum(axis=1, keepdims=True)
            value += float((np.log(sums) + most).sum())
            slope = slope + (chances / sums).T @ some
        value += prior / 2 * float((weights**2).sum())
        return value / count, ((slope + prior * weights) / count).ravel()

    found = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 300})
    return np.asarray(found.x, dtype=np.float64).reshape(shape)
