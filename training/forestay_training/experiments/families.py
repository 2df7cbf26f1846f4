"""Many questions to one experiment: which answers still hold, and whether the arms are what they should be."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from scipy.stats import chisquare, false_discovery_control

#: Below this chance the arms' sizes are no accident (the customary limit: Fabijan et al., KDD 2019).
SAMPLE_RATIO_LIMIT: Final = 0.001


def sample_ratio(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Returns the p-value of the arms' sizes if users were dealt by `shares` (chi-squared)."""
    expected = np.asarray(shares) * sum(counts)
    if not expected.all():
        return 1.0
    return float(chisquare(counts, expected).pvalue)


def benjamini_hochberg(p_values: Mapping[str, float]) -> dict[str, float]:
    """Returns adjusted p-values: those below a level are false in a share of at most that level on average."""
    if not p_values:
        return {}
    adjusted = false_discovery_control(list(p_values.values()), method="bh")
    return dict(zip(p_values, map(float, adjusted), strict=True))


def holm(arms: Sequence[str], found: Callable[[str, float], bool], alpha: float) -> dict[str, float]:
    """Returns the level each arm is judged at, so that the chance of finding any wrongly is at most alpha.

    `found` says whether an arm is found at a level. What one arm does not need any more goes to the others: Holm's
    procedure, which holds for group-sequential tests whose bounds fall with alpha (Maurer and Bretz, Statistics in
    Biopharmaceutical Research 5, 2013).
    """
    levels: dict[str, float] = {}
    left = list(arms)
    while left:
        level = alpha / len(left)
        levels |= dict.fromkeys(left, level)
        still = [arm for arm in left if not found(arm, level)]
        if still == left:
            break
        left = still
    return levels
