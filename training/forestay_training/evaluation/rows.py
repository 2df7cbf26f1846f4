"""Rows with a known label, and the row sets that an evaluation is made of."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forestay.core.decision.model_input import ModelInput
from forestay.core.hashing import unit_interval
from forestay.core.units import DAY
from forestay_training.training_set import TrainingSet

#: Share of the customers nothing is fitted on: calibration and early stopping need strangers.
HELD_OUT: Final = 0.2
#: Calibration takes their rows at the newest cutoffs, until there are so many.
_CALIBRATING: Final = 1_000
#: Choices are judged on cutoffs up to this much older than the newest.
_NEWEST: Final = 42 * DAY
#: Fewer rows than these, or fewer of one class, fit nothing that is worth a line.
FEWEST_ROWS: Final = 200
FEWEST_OF_CLASS: Final = 20
_FOLDS: Final = 5


@dataclass(frozen=True)
class Rows:
    """N rows of a training set at one horizon (milliseconds), all with a known label (`churned`, 1.0 or 0.0)."""

    set: TrainingSet
    churned: NDArray[np.float32]
    horizon: int

    @classmethod
    def of(cls, rows: TrainingSet, horizon: int) -> "Rows":
        """Returns those of `rows` whose label is known."""
        churned = rows.churned(horizon)
        known = ~np.isnan(churned)
        return cls(rows.where(known), churned[known], horizon)

    def where(self, mask: NDArray[np.bool_]) -> "Rows":
        """Returns the rows that `mask` (N,) selects."""
        return Rows(self.set.where(mask), self.churned[mask], self.horizon)

    def given(self, inputs: ModelInput) -> "Rows":
        """Returns the same rows with other inputs, N first."""
        return replace(self, set=replace(self.set, inputs=inputs))

    @property
    def users(self) -> NDArray[np.str_]:
        """Returns whom each row is about, (N,)."""
        return self.set.users

    @property
    def moments(self) -> NDArray[np.int64]:
        """Returns the cutoff of each row in milliseconds, (N,)."""
        return self.set.moments

    @property
    def inputs(self) -> ModelInput:
        """Returns what a model is given, N first."""
        return self.set.inputs

    @property
    def features(self) -> NDArray[np.float32]:
        """Returns the rolling features, (N, FEATURE_COUNT)."""
        return self.set.inputs.features

    @property
    def has_both(self) -> bool:
        """Says whether some have left and some have not."""
        return 0 < self.churned.sum() < len(self)

    @property
    def enough(self) -> bool:
        """Says whether there is something to fit."""
        left = int(self.churned.sum())
        return len(self) >= FEWEST_ROWS and min(left, len(self) - left) >= FEWEST_OF_CLASS

    def __len__(self) -> int:
        """Returns N."""
        return len(self.churned)


class Division(NamedTuple):
    """The rows of each purpose: `train` and `calibration` are of different users, `test` of later cutoffs."""

    train: Rows
    calibration: Rows
    test: Rows


def divide(rows: Rows, test_from: int) -> Division:
    """Cuts `rows` by cutoff and user; labels of what is before `test_from` end by then, those of all horizons.

    A row whose label at the main horizon ends in time may have others that do not: these are not known then.
    """
    test = rows.moments >= test_from
    before = ~test & (rows.moments + rows.horizon <= test_from)
    strange = np.array([_is_held_out(user) for user in rows.users.tolist()], dtype=np.bool_)
    return Division(
        train=_known_by(rows.where(before & ~strange), test_from),
        calibration=_newest(_known_by(rows.where(before & strange), test_from)),
        test=rows.where(test),
    )


def known_until(rows: TrainingSet) -> int:
    """Returns the moment (milliseconds) up to which the labels of `rows`, of which there are some, tell anything."""
    return int(_ends(rows)[~np.isnan(rows.left)].max())


def _known_by(rows: Rows, moment: int) -> Rows:
    """Returns the rows with what was known of them by `moment`: later labels and spends are nan."""
    late = _ends(rows.set) > moment
    left, spent = (np.where(late, np.float32(np.nan), told) for told in (rows.set.left, rows.set.spent))
    return replace(rows, set=replace(rows.set, left=left, spent=spent))


def _ends(rows: TrainingSet) -> NDArray[np.int64]:
    """Returns when the windows of all labels end, (N, H)."""
    return rows.moments[:, None] + np.array(rows.horizons, dtype=np.int64)


def _newest(rows: Rows) -> Rows:
    """Returns the rows at the newest cutoffs, of so many as give enough rows: base rates move."""
    moments, counts = np.unique(rows.moments, return_counts=True)
    enough = np.cumsum(counts[::-1]) >= _CALIBRATING
    first = moments[::-1][int(enough.argmax())] if enough.any() else 0
    return rows.where(rows.moments >= first)


def checks(train: Rows) -> list[tuple[Rows, Rows]]:
    """Returns pairs of rows to fit on and rows to judge a choice by.

    One pair in time, if it can be had: the newest cutoffs, and those whose labels end before; else pairs by user.
    """
    judged = train.moments > train.moments.max() - _NEWEST
    earlier = train.moments + train.horizon <= train.moments[judged].min()
    pair = train.where(earlier), train.where(judged)
    if all(rows.enough for rows in pair):
        return [pair]
    pairs = [(train.where(~out), train.where(out)) for out in user_folds(train.users)]
    # Without both labels in both nothing can be judged; with this few rows there is little to choose anyway.
    return [pair for pair in pairs if all(rows.has_both for rows in pair)] or [(train, train)]


def user_folds(users: NDArray[np.str_]) -> Iterator[NDArray[np.bool_]]:
    """Yields masks of rows, each row in one: a user's rows are in one fold, always the same."""
    distinct, place = np.unique(users, return_inverse=True)
    fold = np.array([int(unit_interval("fold", user) * _FOLDS) for user in distinct.tolist()], dtype=np.int64)
    for number in range(_FOLDS):
        yield fold[place] == number


def _is_held_out(user: str) -> bool:
    return unit_interval("held out", user) < HELD_OUT
