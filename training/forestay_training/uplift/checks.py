"""Was the treatment drawn by chance? Without that, what follows is no effect.

The counts are told by a chi-square test (sample ratio mismatch: Fabijan et al., KDD 2019, p < .001). The features are
told by an F-test of whether all together foretell the arm, and by standardised differences (Austin, 2009, |d| > .1).
A column that the treatment itself moved, as a visit after the mail, foretells the arm too: the same test finds it.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy import stats

from forestay_training.uplift.campaign import Campaign, Matrix, Vector

#: Below this it is no chance: a sound campaign fails one of two tests twice in a thousand.
ALARM: Final = 0.001
#: A difference in standard deviations that is worth a word.
NOTABLE: Final = 0.1


class Balance(NamedTuple):
    """One treatment against the control: `p` of the F-test, and the features' standardised differences."""

    p: float
    differences: dict[str, float]

    @property
    def worst(self) -> tuple[str, float]:
        """The feature that differs most."""
        return max(self.differences.items(), key=lambda one: abs(one[1]))


def ratio_p(counts: Sequence[int], expected: Sequence[float]) -> float:
    """Returns the p-value of the arms' `counts` where `expected` shares (of any sum) were meant."""
    meant = np.asarray(expected, dtype=np.float64)
    return float(stats.chisquare(counts, meant / meant.sum() * sum(counts)).pvalue)


def balance(campaign: Campaign, arm: int) -> Balance:
    """Compares the features of `arm` with the control's."""
    pair = campaign.only((campaign.arm == 0) | (campaign.arm == arm))
    treated = (pair.arm == arm).astype(np.float64)
    columns, owners = _design(pair)
    if not columns.shape[1]:
        return Balance(1.0, dict.fromkeys(campaign.names, 0.0))
    apart = _standardised(columns, treated)
    largest: dict[str, float] = dict.fromkeys(campaign.names, 0.0)
    for owner, one in zip(owners, apart.tolist(), strict=True):
        if abs(one) > abs(largest[owner]):
            largest[owner] = one
    return Balance(_joint_p(columns, treated), largest)


def _design(pair: Campaign) -> tuple[Matrix, list[str]]:
    """Returns columns that vary, a category as one column a value, and whose each is; unknown has a column too."""
    columns: list[Vector] = []
    owners: list[str] = []
    for name, categorical, values in zip(pair.names, pair.categorical, pair.features.T, strict=True):
        unknown = np.isnan(values)
        made = [unknown.astype(np.float64)]
        if categorical:
            made += [(values == one).astype(np.float64) for one in np.unique(values[~unknown])]
        elif not unknown.all():
            made.append(np.where(unknown, values[~unknown].mean(), values))
        varying = [column for column in made if np.ptp(column) > 0]
        columns += varying
        owners += [name] * len(varying)
    return (np.stack(columns, axis=1) if columns else np.empty((pair.size, 0))), owners


def _standardised(columns: Matrix, treated: Vector) -> Vector:
    ours, theirs = columns[treated == 1], columns[treated == 0]
    spread = np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / 2)
    difference = ours.mean(axis=0) - theirs.mean(axis=0)
    return np.divide(difference, spread, out=np.zeros_like(difference), where=spread > 0)


def _joint_p(columns: Matrix, treated: Vector) -> float:
    """Returns the p-value of a linear regression of the arm on all features (the two-sample Hotelling test)."""
    scaled = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    centred = treated - treated.mean()
    answer, _, rank, _ = np.linalg.lstsq(scaled, centred, rcond=1e-9)
    left = float(((centred - scaled @ answer) ** 2).sum())
    explained = max(float((centred**2).sum()) - left, 0.0)
    freedom = len(treated) - int(rank) - 1
    if freedom <= 0:
        return 1.0
    return float(stats.f.sf(explained / int(rank) / max(left / freedom, 1e-300), int(rank), freedom))
