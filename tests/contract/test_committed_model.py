"""The model in the repository belongs to this code. Runs without torch, so `make test-serving` has it too."""

from pathlib import Path

from support.served import check_served

MODEL = Path(__file__).parents[2] / "model_repository" / "churn_transformer"


def test_the_committed_model_is_one_that_this_code_serves() -> None:
    check_served(MODEL)
