"""Which of several estimates to take, of falling bias and rising spread: SLOPE, by what the log itself shows.

The narrowest estimate that still agrees with all wider ones: Su, Srinath and Krishnamurthy, Adaptive Estimator
Selection for Off-Policy Evaluation (ICML 2020), in the form of Tucker and Lee (2021), which asks for no monotone
order but sorts by width.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Final

import numpy as np
from scipy.stats import t as student

from forestay_training.offpolicy.log import Vector, Whole

#: The allowance for the wider estimate's own error, of the proof of SLOPE.
_ALLOWED: Final = sqrt(6) - 1
_LEVEL: Final = 0.95


def slope(candidates: Sequence[Vector], user: Whole) -> int:
    """Returns the number of the chosen one; each candidate is (N,), its estimate its mean, `user` (N,) from 0."""
    values = [float(rows.mean()) for rows in candidates]
    widths = [half_width(rows, user) for rows in candidates]
    # Stable and falling: of equal widths the later candidate comes first, which is the less biased.
    order = np.argsort(widths, kind="stable")[::-1]
    agreed: list[int] = []
    for number in map(int, order):
        if any(abs(values[other] - values[number]) > widths[number] + _ALLOWED * widths[other] for other in agreed):
            break
        agreed.append(number)
    return agreed[-1]


def half_width(rows: Vector, user: Whole) -> float:
    """Returns how far the mean of `rows` (N,) may be off, one-sided 95 %, by Student's t over users."""
    sums = np.bincount(user, rows - rows.mean())
    users = len(sums)
    if users < 2:  # noqa: PLR2004 - one user shows no spread
        return float("inf")
    spread = sqrt(users / (users - 1) * float(sums @ sums)) / len(rows)
    return spread * float(student.ppf(_LEVEL, users - 1))
