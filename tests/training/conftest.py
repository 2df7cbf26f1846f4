"""One small training run for all tests of this folder; nothing of it is imported under `-m "not training"`."""

from pathlib import Path

import pytest
from training.quick import RECORDING, Trained

from forestay.recording import RecordedMessage, open_recording

#: Needs no torch: it judges what is committed.
_ALWAYS = "test_committed_model.py"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Importing the tests needs torch: where they are deselected they are not imported either."""
    deselected = "not training" in config.option.markexpr
    ours = collection_path.parent == Path(__file__).parent and collection_path.name.startswith("test_")
    return True if deselected and ours and collection_path.name != _ALWAYS else None


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A model from a quick run of everything."""
    from forestay_training.run import QUICK, train  # noqa: PLC0415 - needs torch

    folder = tmp_path_factory.mktemp("repository") / "churn_transformer"
    return Trained(folder, train(RECORDING, folder, 7, QUICK, lambda _text: None))


@pytest.fixture(scope="session")
def some_users() -> list[RecordedMessage]:
    """The recording's messages of one user in fifty."""
    from forestay_training.dataset import share_of_users  # noqa: PLC0415 - its package may be left out

    return share_of_users(open_recording(RECORDING), 0.02)
