"""The population stability index, and how large it gets by chance alone.

PSI = sum over bins of (a - e) ln(a / e), for the shares a of what is seen and e of the reference (Lewis, An
Introduction to Credit Scoring, 1994): the Jeffreys divergence. Where nothing has changed, n rows seen and m of the
reference have a PSI that is distributed as (1/n + 1/m) times chi-squared, with a degree of freedom less than there
are bins (Yurdakul and Naranjo, Statistical properties of the population stability index, Journal of Risk Model
Validation, 2020). The customary bounds 0.1 and 0.25 know no sample size: for 100 rows they are far too low.
"""

from math import sqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

#: The 99.99 % quantile of a standard normal distribution. It is looked at 720 times a month, and looks an hour apart
#: share most of their rows: at 99.9 % one column in 12 has two false alarms in a month (simulated), so one in 200.
NORMAL: Final = 3.719016
#: A change that is beyond chance and still no alarm: below it, custom says, nothing has changed.
LEAST_PSI: Final = 0.1
#: Counts that every bin is given, so that an empty one has a logarithm (Jeffreys' prior).
_PRIOR: Final = 0.5


def psi(seen: NDArray[Any], reference: NDArray[Any]) -> float:
    """Returns the PSI of two rows of counts by bin, each of shape (bins,)."""
    a = (seen + _PRIOR) / (seen.sum() + _PRIOR * len(seen))
    e = (reference + _PRIOR) / (reference.sum() + _PRIOR * len(reference))
    return float(((a - e) * np.log(a / e)).sum())


def psi_by_chance(bins: int, rows: float, reference_rows: float) -> float:
    """Returns what the PSI of so many rows exceeds once in ten thousand times where nothing has changed."""
    return chi_squared(bins - 1) * (1 / rows + 1 / reference_rows)


def chi_squared(degrees: int) -> float:
    """Returns the 99.99 % quantile of chi-squared, at most 8 % too high (Wilson and Hilferty, PNAS 17, 1931)."""
    spread = 2 / (9 * degrees)
    root: float = 1 - spread + NORMAL * sqrt(spread)
    return degrees * root * root * root
