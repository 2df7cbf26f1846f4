"""Data checks before training: what is found, what is an error, and what is only told."""

from dataclasses import replace

import numpy as np
import pytest

from forestay.core.decision.model_input import NUMBER_COLUMNS, TOKEN_COLUMNS, ModelInput
from forestay.core.feature_set import FEATURE_COUNT, FEATURE_NAMES
from forestay.core.units import DAY
from forestay_training.data_checks import check, psi
from forestay_training.training_set import TrainingSet

pytestmark = pytest.mark.training

HORIZON = 14 * DAY


def made_up(rows: int, seed: int, shift: float = 0.0) -> TrainingSet:
    """Rows of users of their own, features of noise; the first feature moved by `shift`, the second always 0."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(rows, FEATURE_COUNT)).astype(np.float32)
    features[:, 0] += shift
    features[:, 1] = 0
    tokens = np.zeros((rows, 64, len(TOKEN_COLUMNS)), dtype=np.int32)
    numbers = np.zeros((rows, 64, len(NUMBER_COLUMNS)), dtype=np.float32)
    return TrainingSet(
        manifest={},
        users=np.array([f"u{seed}-{row}" for row in range(rows)]),
        moments=np.zeros(rows, dtype=np.int64),
        splits=np.full(rows, "train"),
        horizons=(HORIZON,),
        left=(generator.uniform(size=(rows, 1)) < 0.4).astype(np.float32),
        spent=np.zeros((rows, 1), dtype=np.float32),
        inputs=ModelInput(tokens, numbers, features),
    )


def test_good_data_are_told_nothing_but_what_is_constant() -> None:
    found = check(made_up(2_000, 1), HORIZON, made_up(1_500, 2))
    assert (found.errors, found.missing, found.shifted, found.duplicates) == ((), (), (), 0)
    assert found.constant == (FEATURE_NAMES[1],)
    assert found.warnings == (f"1 of {FEATURE_COUNT} features are the same in all rows, and tell nothing",)


def test_a_moved_feature_is_named_with_its_index() -> None:
    found = check(made_up(2_000, 1), HORIZON, made_up(1_500, 2, shift=1.0))
    assert [shift.feature for shift in found.shifted] == [FEATURE_NAMES[0]]
    assert found.shifted[0].psi > 0.5 > found.shifted[0].threshold
    assert any(FEATURE_NAMES[0] in warning for warning in found.warnings)
    assert found.as_json()["shifted"][0]["feature"] == FEATURE_NAMES[0]


def test_few_rows_shift_by_chance_and_are_not_blamed() -> None:
    """A hundred users against as many: an index above 0.1, by rule of thumb a shift, is what chance makes."""
    before, after = made_up(100, 1), made_up(100, 2)
    indices = [psi(one, other) for one, other in zip(before.inputs.features.T, after.inputs.features.T, strict=True)]
    assert sum(index > 0.1 for index in indices) > 20
    assert check(before, HORIZON, after).shifted == ()


def test_what_makes_fitting_useless_is_an_error() -> None:
    rows = made_up(300, 1)
    broken = rows.inputs.features.copy()
    broken[5, 7] = np.nan
    twice = replace(rows, users=np.where(np.arange(300) < 2, rows.users[0], rows.users))
    assert check(replace(rows, left=np.zeros((300, 1), dtype=np.float32)), HORIZON).errors == (
        "0 rows have left, 300 have not: fewer than 20 of either fit nothing",
    )
    missing = check(replace(rows, inputs=rows.inputs._replace(features=broken)), HORIZON)
    assert missing.errors == (f"{FEATURE_NAMES[7]} hold values that are no finite numbers",)
    assert check(twice, HORIZON).errors == ("1 rows are of a user and a cutoff that another row is of",)


@pytest.mark.parametrize("later", [False, True])
def test_a_step_number_that_is_none_is_an_error_wherever_it_stands(later: bool) -> None:
    """A network that meets one answers nan, and so does its log-loss."""
    sets = [made_up(2_000, 1), made_up(1_500, 2)]
    sets[later].inputs.step_numbers[3, 7, 0] = np.nan
    found = check(sets[0], HORIZON, sets[1])
    assert found.errors == ("1 of 3,500 rows hold numbers of steps that are not finite: make the set again",)


def test_a_feature_that_tells_the_label_and_labels_to_come_are_told() -> None:
    rows = made_up(600, 1)
    left = rows.left.copy()
    left[:40] = np.nan
    manifest = {"leakage": {"best_single_feature": {"churned_14d": {"feature": "spend_30d", "auc": 0.997}}}}
    warnings = check(replace(rows, left=left, manifest=manifest), HORIZON).warnings
    assert "40 rows have no label yet, and are left out" in warnings
    assert warnings[-1] == "spend_30d alone tells churned_14d with an AUC of 0.9970: does it know the label?"
