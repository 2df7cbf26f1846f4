"""A training set as arrays is the folder's rows, and what is none is refused in words."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.training_sets import table

from forestay.core.units import DAY
from forestay_training.training_set import TrainingSet, TrainingSetError

pytestmark = pytest.mark.training


def test_arrays_are_the_rows_of_the_folder(folder: Path, rows: TrainingSet) -> None:
    written = table(folder)
    assert rows.users.tolist() == written["user_id"].to_pylist()
    assert rows.inputs.step_tokens.shape == (len(rows), 64, 4)
    assert rows.inputs.features[3].tolist() == written["features"].to_pylist()[3]
    expected = [np.nan if value is None else value for value in written["churned_7d"].to_pylist()]
    np.testing.assert_array_equal(rows.churned(7 * DAY), np.array(expected, dtype=np.float32))
    spent = [np.nan if value is None else value for value in written["spend_7d"].to_pylist()]
    np.testing.assert_array_equal(rows.spent[:, rows.horizons.index(7 * DAY)], np.array(spent, dtype=np.float32))
    np.testing.assert_array_equal(np.isnan(rows.spent), np.isnan(rows.left))
    assert np.nanmax(rows.spent) > 0
    test = rows.split("test")
    assert test.spent.shape == test.left.shape == (len(test), len(rows.horizons))
    assert 0 < len(test) == written["split"].to_pylist().count("test")
    assert test.moments.min() > rows.split("train").moments.max()


def test_a_horizon_that_is_not_there_is_told_with_those_that_are(rows: TrainingSet) -> None:
    with pytest.raises(TrainingSetError, match="horizon of 60d: the training set has 1d, 3d, 7d, 14d"):
        rows.churned(60 * DAY)


@pytest.mark.parametrize("key", ["format", "input_digest"])
def test_sets_of_another_format_or_input_are_refused(folder: Path, tmp_path: Path, key: str) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    manifest = json.loads((other / "manifest.json").read_text()) | {key: "another"}
    (other / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(TrainingSetError, match=f"has {key} another, this version has .*forestay dataset"):
        TrainingSet.load(other)


def test_what_is_no_training_set_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingSetError, match="is no training set"):
        TrainingSet.load(tmp_path)
    shutil.copy(folder / "manifest.json", tmp_path)
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "part-000.parquet").write_bytes(b"PAR1")
    with pytest.raises(TrainingSetError, match="cannot be read"):
        TrainingSet.load(tmp_path)
