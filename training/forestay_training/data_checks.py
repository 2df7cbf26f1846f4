"""Checks of a training set before anything is fitted: what is missing, constant, shifted, twice, or too little.

What makes fitting useless is an error, what a person should know of is a warning.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from forestay.core.feature_set import FEATURE_NAMES
from forestay_training.training_set import TrainingSet

#: Of either label: below the first nothing is fitted, below the second figures are of chance.
FEWEST: Final = 20
FEW: Final = 200
_BINS: Final = 10
#: A population stability index beyond chance at this level, and beyond this size, is a shift (see `_threshold`).
_CHANCE: Final = 0.999
_SMALL: Final = 0.1
_TELLING: Final = 0.99
_SHOWN: Final = 8

Features = NDArray[np.float32]


class Shift(NamedTuple):
    """A feature whose distribution is another in the later rows: its PSI, and what chance would leave."""

    feature: str
    psi: float
    threshold: float


class Checked(NamedTuple):
    """What was found. `errors` and `warnings` are sentences; names are of features."""

    rows: int
    later_rows: int
    missing: tuple[str, ...]
    constant: tuple[str, ...]
    shifted: tuple[Shift, ...]
    duplicates: int
    errors: tuple[str, ...]
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Returns it in plain values."""
        return self._asdict() | {"shifted": [shift._asdict() for shift in self.shifted]}


def check(train: TrainingSet, horizon: int, later: TrainingSet | None = None) -> Checked:
    """Looks through `train`, and compares it with `later` rows: those that a model is judged on.

    `horizon` is that of the label in milliseconds.
    """
    features = train.inputs.features
    missing = _named(~np.isfinite(features).all(axis=0)) if len(features) else ()
    constant = _named((features == features[:1]).all(axis=0)) if len(features) else ()
    shifted = tuple(shifts(train, later)) if later is not None and len(later) and len(train) else ()
    duplicates = len(train.users) - len(set(zip(train.users.tolist(), train.moments.tolist(), strict=True)))
    return Checked(
        rows=len(train.users),
        later_rows=0 if later is None else len(later.users),
        missing=missing,
        constant=constant,
        shifted=shifted,
        duplicates=duplicates,
        errors=(*_errors(train.churned(horizon), missing, duplicates), *_broken_steps(train, later)),
        warnings=tuple(_warnings(train, horizon, constant, shifted)),
    )


def shifts(train: TrainingSet, later: TrainingSet) -> Iterator[Shift]:
    """Yields the features that are distributed otherwise in `later`, the most shifted first."""
    threshold = _threshold(len(np.unique(train.users)), len(np.unique(later.users)))
    columns = zip(train.inputs.features.T, later.inputs.features.T, strict=True)
    found = [Shift(FEATURE_NAMES[number], psi(*pair), threshold) for number, pair in enumerate(columns)]
    yield from sorted((shift for shift in found if shift.psi > max(threshold, _SMALL)), key=lambda shift: -shift.psi)


def psi(before: Features, after: Features) -> float:
    """Returns the population stability index of two samples over tenths of the first; equal values share a bin."""
    edges = np.unique(np.quantile(before, np.linspace(0, 1, _BINS + 1)[1:-1]))
    # Half a row more in each bin: an empty one would count without bound.
    counts = (np.bincount(np.searchsorted(edges, some), minlength=len(edges) + 1) + 0.5 for some in (before, after))
    first, second = (count / count.sum() for count in counts)
    return round(float(((second - first) * np.log(second / first)).sum()), 4)


def _threshold(before: int, after: int) -> float:
    """Returns what the index of two samples of one distribution exceeds once in a thousand.

    Without a change it is about (1/n + 1/m) times a chi-square of bins - 1 degrees of freedom. Users are counted, as
    one user's rows are alike.
    """
    return round(float(chi2.ppf(_CHANCE, _BINS - 1) * (1 / before + 1 / after)), 4)


def _named(mask: Any) -> tuple[str, ...]:
    return tuple(FEATURE_NAMES[number] for number in np.flatnonzero(mask))


def _errors(churned: NDArray[np.float32], missing: tuple[str, ...], duplicates: int) -> Iterator[str]:
    left, stayed = int((churned == 1).sum()), int((churned == 0).sum())
    if min(left, stayed) < FEWEST:
        yield f"{left:,} rows have left, {stayed:,} have not: fewer than {FEWEST} of either fit nothing"
    if missing:
        yield f"{_list(missing)} hold values that are no finite numbers"
    if duplicates:
        yield f"{duplicates:,} rows are of a user and a cutoff that another row is of"


def _broken_steps(train: TrainingSet, later: TrainingSet | None) -> Iterator[str]:
    """Looks at the numbers of the steps of all rows: one that is nan makes a row's answer, and the mean loss, nan."""
    numbers = [train.inputs.step_numbers, *(() if later is None else (later.inputs.step_numbers,))]
    broken = sum(int((~np.isfinite(some).all(axis=(1, 2))).sum()) for some in numbers)
    if broken:
        rows = sum(map(len, numbers))
        yield f"{broken:,} of {rows:,} rows hold numbers of steps that are not finite: make the set again"


def _warnings(
    train: TrainingSet, horizon: int, constant: tuple[str, ...], shifted: tuple[Shift, ...]
) -> Iterator[str]:
    churned = train.churned(horizon)
    fewest = min(int((churned == 1).sum()), int((churned == 0).sum()))
    if FEWEST <= fewest < FEW:
        yield f"only {fewest:,} rows of one label: figures will be of chance"
    unknown = int(np.isnan(churned).sum())
    if unknown:
        yield f"{unknown:,} rows have no label yet, and are left out"
    if constant:
        yield f"{len(constant)} of {len(FEATURE_NAMES)} features are the same in all rows, and tell nothing"
    if shifted:
        names = tuple(f"{shift.feature} (PSI {shift.psi:.2f})" for shift in shifted)
        yield f"{len(shifted)} features are distributed otherwise in the rows that are judged: {_list(names)}"
    for label, best in train.manifest.get("leakage", {}).get("best_single_feature", {}).items():
        if best["auc"] > _TELLING:
            yield f"{best['feature']} alone tells {label} with an AUC of {best['auc']:.4f}: does it know the label?"


def _list(names: tuple[str, ...]) -> str:
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest
