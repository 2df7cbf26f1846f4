"""Checks of finished parts: what was written is counted, and looked through for what no row may know."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from forestay.core.feature_set import FEATURE_NAMES
from forestay.dataset.plan import Plan, Split, moment_text
from forestay.dataset.rows import LeakError
from forestay.dataset.tables import array_of, label_columns, read_batches

#: Rows looked at for features that tell the label: 33 MB of them.
_LOOKED_AT: Final = 50_000
#: 2^64 divided by the golden ratio.
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
#: Of either label in them: below, a feature may separate them by chance.
_FEW: Final = 30


class Counted(NamedTuple):
    """What the parts hold: rows by split, and of each label's column and split who is labelled and who has left."""

    rows: Counter[Split]
    labelled: Counter[tuple[str, Split]]
    churned: Counter[tuple[str, Split]]


class Separation(NamedTuple):
    """How well the best single feature tells a label: the area under the ROC curve, of either direction."""

    feature: str
    label: str
    auc: float


def count(parts: Sequence[Path], plan: Plan) -> Counted:
    """Counts what was written, and sees that no label looks into what others are judged on.

    Raises:
        LeakError: one does.
    """
    found = Counted(Counter(), Counter(), Counter())
    names = label_columns(plan)
    for batch in _batches(parts, ["at", "split", *names]):
        splits = batch.column("split").to_pylist()
        _check_windows(plan, batch.column("at").cast(pa.int64()).to_numpy(), splits)
        found.rows.update(map(Split, splits))
        for name in names:
            for split, label in zip(splits, batch.column(name).to_pylist(), strict=True):
                if label is not None:
                    found.labelled[name, Split(split)] += 1
                    found.churned[name, Split(split)] += int(label)
    return found


def _check_windows(plan: Plan, moments: NDArray[np.int64], splits: Sequence[str]) -> None:
    """Compares the windows of labels with the bounds themselves, not with how the split was made."""
    names = np.array(splits)
    bounds = [(Split.TRAIN, plan.validate_from), (Split.TRAIN, plan.test_from), (Split.VALIDATION, plan.test_from)]
    for split, bound in bounds:
        cutoffs = moments[names == split]
        if bound is None or not cutoffs.size:
            continue
        end = int(cutoffs.max()) + max(plan.horizons)
        if end > bound:
            raise LeakError(
                f"a label of {split} looks up to {moment_text(end)}, beyond {moment_text(bound)}, from where on"
                " models are judged"
            )


def separations(parts: Sequence[Path], plan: Plan, rows: int) -> list[Separation]:
    """Returns of each label the feature that tells it best, in a sample spread over the `rows` outside the gap.

    A label with too few rows of either kind is left out.
    """
    step = max(-(-rows // _LOOKED_AT), 1)
    names = label_columns(plan)
    features, labels = _sample(_batches(parts, ["split", *names, "features"]), names, step)
    found = []
    for name in names:
        known = ~np.isnan(labels[name])
        left = labels[name][known] == 1
        if min(left.sum(), (~left).sum()) >= _FEW:
            areas = [_area(column[known], left) for column in features.T]
            # Telling who stays is telling as much.
            best = int(np.argmax([max(area, 1 - area) for area in areas]))
            area = areas[best]
            found.append(Separation(FEATURE_NAMES[best], name, round(max(area, 1 - area), 6)))
    return found


def check_separations(found: Iterable[Separation], most: float) -> None:
    """Names features that tell a label too well to be honest.

    Raises:
        LeakError: there is one with an area above `most`.
    """
    told = [f"{one.feature} tells {one.label} with an AUC of {one.auc:.4f}" for one in found if one.auc > most]
    if told:
        raise LeakError(
            f"{'; '.join(told)}: such a feature knows the label. If it may, raise --suspicious-auc above it"
        )


def _sample(
    batches: Iterator[pa.RecordBatch], names: Sequence[str], step: int
) -> tuple[NDArray[np.float32], Mapping[str, NDArray[np.float32]]]:
    """Returns features (N, number of features) and labels (N,), nan where there is none, of one row in `step`."""
    features: list[NDArray[np.float32]] = []
    labels: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    passed = 0
    for batch in batches:
        places = np.flatnonzero(np.array(batch.column("split").to_pylist()) != Split.GAP)
        chosen = places[_spread(passed + np.arange(places.size), step)]
        passed += places.size
        features.append(array_of(batch, "features")[chosen])
        for name in names:
            labels[name].append(_numbers(batch.column(name))[chosen])
    return np.concatenate(features), {name: np.concatenate(some) for name, some in labels.items()}


def _spread(numbers: NDArray[np.int64], step: int) -> NDArray[np.bool_]:
    """Says of each row whether it is one in `step`; every `step`-th would be the same cutoff of each user.

    Multiples of the golden ratio spread evenly and meet no period (Knuth, The Art of Computer Programming 3, 6.4).
    """
    return numbers.astype(np.uint64) * _GOLDEN <= np.uint64((2**64 - 1) // step)


def _numbers(column: Any) -> NDArray[np.float32]:
    # Null becomes nan.
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float32)


def _area(values: NDArray[np.float32], left: NDArray[np.bool_]) -> float:
    """Returns the area under the ROC curve by ranks (Mann-Whitney), equal values with the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    positives = int(left.sum())
    negatives = left.size - positives
    return float((ranks[left].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _batches(parts: Sequence[Path], columns: list[str]) -> Iterator[pa.RecordBatch]:
    for part in parts:
        with part.open("rb") as file:
            yield from read_batches(file, columns)
