"""What of a model's input is watched, column by column, and into which bins it falls."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forestay.core.decision.model_input import NUMBER_COLUMNS, TOKEN_COLUMNS, ModelInput
from forestay.core.feature_set import FEATURE_NAMES

#: Features watched unless others are named: of each family those that models lean on.
WATCHED: Final[tuple[str, ...]] = (
    "hours_since_last_event",
    "hours_since_purchase",
    "hours_since_view_item",
    "hours_since_add_to_cart",
    "session_gap_mean_hours",
    "silence_ratio",
    "sessions_total",
    "session_count_7d",
    "session_count_30d",
    "session_minutes_mean",
    "tenure_hours",
    "events_total",
    "orders_total",
    "orders_90d",
    "spend_total",
    "spend_90d",
    "average_basket",
    "cart_value",
    "view_item_count_7d",
    "add_to_cart_count_7d",
    "purchase_count_30d",
    "distinct_items_30d",
    "newest_kind",
    "newest_category",
    "newest_log_value",
)
#: The column of the model's answers.
SCORE: Final = "score"
#: Bins of a column, of about equal shares in the reference.
BINS: Final = 10
#: A bin has at least this share of the reference, else it goes with its neighbour: rarer ones have no chi-squared.
_LEAST_SHARE: Final = 0.02

_FEATURES: Final = {name: index for index, name in enumerate(FEATURE_NAMES)}
_TOKENS: Final = {f"newest_{name}": index for index, name in enumerate(TOKEN_COLUMNS)}
_NUMBERS: Final = {f"newest_{name}": index for index, name in enumerate(NUMBER_COLUMNS)}


class Column(NamedTuple):
    """One watched column: bins of numbers between `edges`, or one bin for each of `values` and one for all others.

    A number that is an edge falls above it. Both rise.
    """

    name: str
    edges: tuple[float, ...] = ()
    values: tuple[int, ...] = ()

    @property
    def bins(self) -> int:
        """Returns how many bins there are."""
        return 1 + (len(self.values) or len(self.edges))

    def bin(self, numbers: NDArray[np.float64]) -> NDArray[np.intp]:
        """Returns the bins of `numbers` (N,)."""
        if not self.values:
            return np.searchsorted(self.edges, numbers, side="right")
        at = np.searchsorted(self.values, numbers)
        known = np.append(self.values, np.inf)[at] == numbers
        return np.where(known, at, len(self.values))


def is_column(name: str) -> bool:
    """Says whether there is such a column of the input."""
    return name in _FEATURES or name in _TOKENS or name in _NUMBERS


def numbers_of(inputs: ModelInput, names: Sequence[str]) -> NDArray[np.float64]:
    """Returns the named columns of inputs with N first, as (N, columns)."""
    numbers = np.empty((len(inputs.features), len(names)))
    for at, name in enumerate(names):
        numbers[:, at] = _column(inputs, name)
    return numbers


def _column(inputs: ModelInput, name: str) -> NDArray[np.float64]:
    if name in _FEATURES:
        return np.asarray(inputs.features[:, _FEATURES[name]], np.float64)
    if name in _TOKENS:
        return np.asarray(inputs.step_tokens[:, -1, _TOKENS[name]], np.float64)
    return np.asarray(inputs.step_numbers[:, -1, _NUMBERS[name]], np.float64)


def fitted(name: str, numbers: NDArray[np.float64]) -> Column | None:
    """Returns the column with bins that split `numbers` (N,) evenly, None where they are all the same."""
    distinct, counts = np.unique(numbers, return_counts=True)
    column = _of_values(name, distinct, counts) if name in _TOKENS else _of_numbers(name, distinct, counts)
    return column if column.bins > 1 else None


def _of_values(name: str, distinct: NDArray[np.float64], counts: NDArray[np.intp]) -> Column:
    order = np.argsort(-counts, kind="stable")
    least = _LEAST_SHARE * counts.sum()
    common = sorted(int(distinct[index]) for index in order[: BINS - 1] if counts[index] >= least)
    # With every value known the bin of the others is empty: it has one value less, and no chance of being empty.
    return Column(name, values=tuple(common if len(common) < len(distinct) else common[:-1]))


def _of_numbers(name: str, distinct: NDArray[np.float64], counts: NDArray[np.intp]) -> Column:
    """Takes value after value into a bin until it has its share: one that is very frequent has a bin of its own."""
    rows, full = counts.sum(), counts.sum() / BINS
    edges: list[float] = []
    held, left = 0, rows
    for index in range(len(distinct) - 1):
        held += counts[index]
        left -= counts[index]
        if (held >= full or counts[index + 1] >= full) and min(held, left) >= _LEAST_SHARE * rows:
            edges.append(_between(float(distinct[index]), float(distinct[index + 1])))
            held = 0
    return Column(name, edges=tuple(edges))


def _between(low: float, high: float) -> float:
    """Returns the number of fewest digits above `low` and not above `high`."""
    for digits in range(1, 17):
        shortest = float(f"{(low + high) / 2:.{digits}g}")
        if low < shortest <= high:
            return shortest
    return high
