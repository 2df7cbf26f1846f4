"""A model that takes any number of steps is sent no padding to speak of, and says the same."""

import asyncio
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import tritonclient.grpc.aio as triton
from support.churn_model import NAME, lay_churn_model
from support.model_users import users

from forestay.core.decision.model_input import stack
from forestay.embedded.triton import EmbeddedTriton
from forestay.settings import TritonSettings
from forestay.shell.scorer import TritonScorer
from forestay.shell.scoring.asked import Question

pytestmark = pytest.mark.embedded


async def counted(address: str, users: int) -> tuple[int, int]:
    """Returns how many requests and users Triton answered, once it has counted `users`: it answers, then counts."""
    async with asyncio.timeout(10), triton.InferenceServerClient(address) as client:
        while True:
            told = (await client.get_inference_statistics(NAME)).model_stats[0]
            if told.inference_count >= users:
                return told.inference_stats.success.count, told.inference_count


async def test_the_short_are_asked_about_without_the_long_and_all_are_told_their_own(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    lay_churn_model(repository, any_length=True)
    inputs = users()
    alone = onnxruntime.InferenceSession(repository / NAME / "1" / "model.onnx", providers=["CPUExecutionProvider"])
    (expected,) = alone.run(["churn_probability"], stack(inputs)._asdict())
    async with EmbeddedTriton(model_repository=repository, log=tmp_path / "log") as server:
        async with TritonScorer(TritonSettings(url=server.grpc_address, deadline_seconds=10)) as scorer:
            answers = await scorer.score([Question(f"u{number}", one) for number, one in enumerate(inputs)])
        # 68 users with up to 8 steps in one request, two with up to 64 in another.
        assert await counted(server.grpc_address, users=70) == (2, 70)
    assert {answer.embedding for answer in answers} == {None}
    found = np.array([answer.probability for answer in answers], dtype=np.float32)
    assert len(set(found)) == len(inputs)
    np.testing.assert_allclose(found, expected[:, 0], atol=1e-6)
