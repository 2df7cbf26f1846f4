"""Parts of the test rows that a shop would look at: by orders, tenure, silence and spend."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forestay.core.feature_set import FEATURE_NAMES
from forestay_training.evaluation.rows import Rows

_DAY_HOURS: Final = 24


class _By(NamedTuple):
    """A division by one feature: bounds, and what lies below, between and above them is called."""

    name: str
    feature: str
    scale: float
    bounds: tuple[float, ...]
    parts: tuple[str, ...]


_DIVISIONS: Final = (
    _By("orders", "orders_total", 1, (2, 4), ("1", "2 or 3", "4 and more")),
    _By("tenure", "tenure_hours", _DAY_HOURS, (90, 180), ("below 90d", "90d to 180d", "180d and more")),
    _By("silence", "hours_since_purchase", _DAY_HOURS, (14, 45), ("below 14d", "14d to 45d", "45d and more")),
)
_SPEND: Final = FEATURE_NAMES.index("spend_total")


def segments(rows: Rows) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Yields division, part and the mask (N,) of its rows; parts without rows are left out."""
    for by in _DIVISIONS:
        values = rows.features[:, FEATURE_NAMES.index(by.feature)] / by.scale
        place = np.searchsorted(by.bounds, values, side="right")
        for number, part in enumerate(by.parts):
            if (place == number).any():
                yield by.name, part, place == number
    spend = rows.features[:, _SPEND]
    place = np.searchsorted(np.quantile(spend, (1 / 3, 2 / 3)), spend, side="right")
    for number, part in enumerate(("lowest third", "middle third", "highest third")):
        if (place == number).any():
            yield "spend", part, place == number


def months(rows: Rows) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yields each month with cutoffs, as 2010-10, and the mask (N,) of its rows."""
    names = np.array([f"{datetime.fromtimestamp(at / 1_000, UTC):%Y-%m}" for at in rows.moments.tolist()])
    for month in np.unique(names).tolist():
        yield month, names == month
