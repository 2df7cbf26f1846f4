"""Rows cut for their purposes: nothing learnt from has seen what is judged, whichever horizon is asked for."""

import numpy as np
import pytest

from forestay_training.choosing import before_tests
from forestay_training.evaluation.baselines import Fit, Trees
from forestay_training.evaluation.contenders import finish
from forestay_training.evaluation.importance import report
from forestay_training.evaluation.rows import Division, Rows, divide, known_until
from forestay_training.training_set import TrainingSet

pytestmark = pytest.mark.training


def first_judged(rows: TrainingSet) -> int:
    return int(rows.moments[rows.splits == "test"].min())


def divisions(rows: TrainingSet) -> list[Division]:
    return [divide(Rows.of(rows, horizon), first_judged(rows)) for horizon in rows.horizons]


def test_no_label_of_any_horizon_looks_into_what_is_tested(rows: TrainingSet) -> None:
    """Heads learn from all horizons: the curve of a model for 3 days from labels of 14."""
    until = first_judged(rows)
    for division in divisions(rows):
        for some in (division.train, division.calibration):
            ends = some.moments[:, None] + np.array(some.set.horizons)
            assert (ends[~np.isnan(some.set.left)] <= until).all()
            assert (ends[~np.isnan(some.set.spent)] <= until).all()
            assert known_until(some.set) <= until


def test_what_was_known_in_time_stays_known(rows: TrainingSet) -> None:
    was = {(user, at): left for user, at, left in zip(rows.users, rows.moments, rows.left, strict=True)}
    for division in divisions(rows):
        train = division.train.set
        before = np.array([was[one] for one in zip(train.users, train.moments, strict=True)])
        in_time = train.moments[:, None] + np.array(train.horizons) <= first_judged(rows)
        np.testing.assert_array_equal(train.left[in_time], before[in_time])
        assert not np.isnan(division.train.churned).any()
        np.testing.assert_array_equal(division.train.churned, train.churned(division.train.horizon))


def test_without_a_test_there_is_nothing_to_be_blind_for(rows: TrainingSet) -> None:
    whole = rows.where(rows.splits != "test")
    train = before_tests(whole, rows.horizons[0]).train.set
    newest = train.moments == train.moments.max()
    assert not np.isnan(train.left[newest]).any()


def test_features_are_not_chosen_by_the_rows_the_choice_is_judged_on(rows: TrainingSet) -> None:
    """Where too few are left to choose by, the test rows say what groups are worth, and nothing is chosen."""
    division = divide(Rows.of(rows, rows.horizons[-1]), first_judged(rows))
    trees = Trees(4, 100, 0.5, 20)
    contenders = {"lightgbm": finish(Fit(trees.fit(division.train)), division)}
    told = [
        report(division._replace(calibration=some), contenders, trees, 20, lambda *_told: None)
        for some in (
            division.calibration,
            division.calibration.where(np.zeros(len(division.calibration), dtype=bool)),
        )
    ]
    assert told[0]["selection"] is not None
    assert told[1]["rows"] == len(division.test)
    assert told[1]["selection"] is None
