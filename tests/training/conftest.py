"""One small training set for all tests of this folder; nothing is imported under `-m "not training"`."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.builders import START
from support.made_up_shop import shop
from support.training_sets import made, write_events

from forestay.core.units import DAY
from forestay.dataset.plan import Plan

if TYPE_CHECKING:
    from forestay_training.training_set import TrainingSet

#: Needs no torch: it judges what is committed.
_ALWAYS = "test_committed_model.py"
HORIZONS = tuple(days * DAY for days in (1, 3, 7, 14))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Importing the tests needs torch: where they are deselected they are not imported either."""
    deselected = "not training" in config.option.markexpr
    ours = collection_path.parent == Path(__file__).parent and collection_path.name.startswith("test_")
    return True if deselected and ours and collection_path.name != _ALWAYS else None


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training set of the made-up shop: weekly cutoffs, tested on the last."""
    place = tmp_path_factory.mktemp("training")
    cutoffs = tuple(START + week * 7 * DAY for week in range(7, 23))
    plan = Plan(cutoffs, HORIZONS, 60 * DAY, test_from=cutoffs[-2], partitions=2)
    made(write_events(place / "events.jsonl", shop(250)), plan, place / "set")
    return place / "set"


@pytest.fixture(scope="session")
def rows(folder: Path) -> "TrainingSet":
    """Its rows."""
    from forestay_training.training_set import TrainingSet  # noqa: PLC0415 - its package may be left out

    return TrainingSet.load(folder)
