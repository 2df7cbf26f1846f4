"""`scripts/bench model`: what is asked of both sides, and what comes of their turns."""

from pathlib import Path

import numpy as np
import pytest

from forestay.core.decision.model_input import NUMBER_COLUMNS, TOKEN_COLUMNS, ModelInput
from forestay.core.feature_set import FEATURE_COUNT
from forestay_bench.errors import BenchError
from forestay_bench.model_bench import Case, Compared
from forestay_bench.model_rows import CUTS, batches
from forestay_bench.model_served import Model
from forestay_bench.model_sides import Turn


def users(*steps: int) -> ModelInput:
    """Returns made-up users with so many steps, told apart by their first feature."""
    tokens = np.zeros((len(steps), 64, len(TOKEN_COLUMNS)), dtype=np.int32)
    for user, count in enumerate(steps):
        tokens[user, 64 - count :] = 1
    numbers = np.zeros((len(steps), 64, len(NUMBER_COLUMNS)), dtype=np.float32)
    features = np.repeat(np.arange(len(steps), dtype=np.float32)[:, None], FEATURE_COUNT, axis=1)
    return ModelInput(tokens, numbers, features)


@pytest.mark.parametrize("how", CUTS)
def test_however_it_is_sent_a_batch_asks_about_each_of_its_users_once(how: str) -> None:
    found = batches(users(*([1] * 70), 64, 2, 3), 71, CUTS[how])
    assert [batch.users for batch in found] == [71]
    asked = np.concatenate([request["features"][:, 0] for request in found[0].requests])
    assert sorted(asked) == list(range(71))
    steps = [request["step_tokens"].shape[1] for request in found[0].requests]
    assert steps == ([8, 64] if how == "by length" else [64])
    assert all(array.flags.c_contiguous for request in found[0].requests for array in request.values())


def test_fewer_users_than_a_batch_are_refused() -> None:
    with pytest.raises(BenchError, match="3 users are fewer than one batch of 4"):
        batches(users(1, 2, 3), 4, CUTS["whole"])


def turn(rate: float, cpu: float = 0.5, others: float = 0.0) -> Turn:
    return Turn(users=int(rate), seconds=1.0, cpu=cpu, others=others, seconds_of=[0.002] * 99 + [0.05])


def test_the_ratio_is_the_median_of_the_turns_own() -> None:
    # The machine was half as fast in the last turn, for both.
    pairs = [(turn(1000), turn(900)), (turn(1000), turn(950)), (turn(500), turn(400))]
    found = Compared.of(Case(32, "whole"), pairs)
    assert (found.ratio, found.ratio_low, found.ratio_high) == (0.9, 0.8, 0.95)
    assert (found.bare, found.served) == (1000, 900)
    assert (found.p50, found.p99) == (2.0, 50.0)
    assert not found.disturbed
    assert found.as_json()["size"] == 32
    assert Compared.of(Case(32, "whole"), [*pairs, (turn(1000), turn(900, others=0.2))]).disturbed


def lay(file: Path, config: str | None = None) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"")
    if config is not None:
        (file.parent / "config.pbtxt").write_text(f'name: "{config}"')


def test_the_newest_version_is_asked_with_its_own_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.pbtxt").write_text('name: "all"')
    lay(tmp_path / "9" / "model.onnx", "nine")
    lay(tmp_path / "10" / "model.onnx")
    assert [Model.of(tmp_path, None).file, Model.of(tmp_path, None).config.name] == [
        tmp_path / "10/model.onnx",
        "all",
    ]
    assert [Model.of(tmp_path, 9).file, Model.of(tmp_path, 9).config.name] == [tmp_path / "9/model.onnx", "nine"]
    with pytest.raises(BenchError, match="holds no version 3"):
        Model.of(tmp_path, 3)


def test_a_candidate_is_asked_as_it_was_trained(tmp_path: Path) -> None:
    lay(tmp_path / "model.onnx", "candidate")
    assert Model.of(tmp_path, None).config.name == "candidate"


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="holds no model"):
        Model.of(tmp_path, None)
