"""The shipped model tells what it has made of a user, where a policy reads that, and nobody else is asked for it."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from support.model_users import users

from forestay.core.decision.answer import EMBEDDING_DIGITS
from forestay.core.decision.model_input import stack
from forestay.embedded.triton import EmbeddedTriton
from forestay.settings import TritonSettings
from forestay.shell.scorer import TritonScorer
from forestay.shell.scoring.asked import Question

pytestmark = pytest.mark.embedded
REPOSITORY = Path(__file__).parents[2] / "model_repository"


async def test_users_are_told_their_own_embedding_if_it_is_asked_for(tmp_path: Path) -> None:
    inputs = users()
    asked = [Question(f"u{number}", one) for number, one in enumerate(inputs)]
    newest = max((REPOSITORY / "churn_transformer").glob("*/model.onnx"), key=lambda path: int(path.parent.name))
    alone = onnxruntime.InferenceSession(newest, providers=["CPUExecutionProvider"])
    (expected,) = alone.run(["user_embedding"], stack(inputs)._asdict())
    async with EmbeddedTriton(model_repository=REPOSITORY, log=tmp_path / "log") as server:
        settings = TritonSettings(url=server.grpc_address, deadline_seconds=10)
        async with TritonScorer(settings, embedding=lambda: True) as scorer:
            told = await scorer.score(asked)
        async with TritonScorer(settings) as scorer:
            untold = await scorer.score(asked)
    assert {answer.embedding for answer in untold} == {None}
    numbers = np.array([answer.embedding.numbers for answer in told if answer.embedding is not None])
    assert numbers.shape == (len(inputs), expected.shape[1])
    np.testing.assert_allclose(numbers, expected, atol=0.51 * 10**-EMBEDDING_DIGITS)
    assert np.array_equal(numbers, np.round(numbers, EMBEDDING_DIGITS))
    assert {answer.embedding.version for answer in told if answer.embedding} == {told[0].model.version}
    # What is asked beside it is the same (Triton may have joined other requests into one run).
    one, other = (
        np.array([answer.probability for answer in answers], dtype=np.float64) for answers in (told, untold)
    )
    np.testing.assert_allclose(one, other, atol=1e-6)
