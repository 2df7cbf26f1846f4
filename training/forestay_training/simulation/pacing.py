"""How a daily budget is spent over the afternoons in which the made-up shop decides."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from forestay.core.units import DAY, HOUR
from forestay_training.simulation.closed_loop import Judged

_HOURS: Final = 24


class Paced(NamedTuple):
    """Days counted, those on which more than the limit was spent, and the share of the limit spent a day.

    `curve` is the share of the day's spending by the end of each hour.
    """

    limit: int
    days: int
    overspent: int
    used: float
    curve: list[float]


def paced(judged: Sequence[Judged], limit: int) -> Paced:
    """Returns how decisions spent `limit` hundredths a day."""
    spent: dict[int, np.ndarray[tuple[int], np.dtype[np.float64]]] = defaultdict(lambda: np.zeros(_HOURS))
    for one in judged:
        spent[one.decided_at // DAY][one.decided_at % DAY // HOUR] += round(100 * one.spent)
    days = [hours for hours in spent.values() if hours.any()]
    total = np.array([hours.sum() for hours in days])
    curve = np.mean([hours.cumsum() / hours.sum() for hours in days], axis=0) if days else np.zeros(_HOURS)
    used = float(total.mean() / limit) if days else 0.0
    return Paced(limit, len(days), int((total > limit).sum()), used, curve.tolist())
