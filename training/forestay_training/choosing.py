"""Rows that choices are made on: of no choice are test rows a part."""

import numpy as np

from forestay.core.errors import ForestayError
from forestay_training.evaluation.rows import Division, Rows, divide
from forestay_training.training_set import TrainingSet


def before_tests(rows: TrainingSet, horizon: int) -> Division:
    """Returns rows to fit on and, of other users, rows to choose by; those to test are none.

    They are cut as `forestay train` cuts them: test rows give the moment by which all labels have ended, and go.

    Raises:
        ForestayError: they are too few.
    """
    tests = rows.moments[rows.splits == "test"]
    until = int(tests.min()) if len(tests) else int(np.max(rows.moments)) + rows.horizons[-1] + 1
    found = divide(Rows.of(rows.where(rows.splits != "test"), horizon), until)
    for some, purpose in ((found.train, "fit"), (found.calibration, "choose by")):
        if not some.enough:
            raise ForestayError(
                f"{len(some):,} rows to {purpose}, {int(some.churned.sum()):,} of whom have left, are too few: take"
                " more cutoffs, or a shorter horizon"
            )
    return found
