"""What every scorer promises: the suite runs on the fake and, marked `embedded`, on a real Triton."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from support.builders import START, click, lived
from support.churn_model import HORIZON_DAYS, NAME, VERSION, lay_churn_model
from support.fakes import FakeScorer, hashing_model

from forestay.core.decision.answer import Answer, ModelIdentity
from forestay.core.decision.model_input import INPUT_DIGEST, model_input
from forestay.core.errors import ConfigurationError
from forestay.core.feature_set import DEFAULT_FEATURES
from forestay.core.units import DAY
from forestay.embedded.ports import free_ports
from forestay.embedded.triton import EmbeddedTriton
from forestay.settings import TritonSettings
from forestay.shell.scorer import MAX_ROWS, UNKNOWN_MODEL, Scorer, TritonScorer, identity
from forestay.shell.scoring.asked import Question

pytestmark = pytest.mark.asyncio(loop_scope="module")

IDENTITY = ModelIdentity(NAME, VERSION, HORIZON_DAYS)
#: Opens a scorer whose model answers, or one whose model does not.
Open = Callable[[], AbstractAsyncContextManager[Scorer]]


class Places:
    """One implementation of the seam: how to get a scorer with a model, and one without."""

    def __init__(self, answering: Open, silent: Open) -> None:
        self.answering = answering
        self.silent = silent


def fake() -> Places:
    @asynccontextmanager
    async def open_fake(answers: bool) -> AsyncIterator[Scorer]:
        yield FakeScorer(IDENTITY, hashing_model("contract") if answers else lambda _: None)

    return Places(lambda: open_fake(True), lambda: open_fake(False))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    folder = tmp_path_factory.mktemp("triton")
    lay_churn_model(folder / "repository")
    async with EmbeddedTriton(model_repository=folder / "repository", log=folder / "triton.log") as server:
        yield server.grpc_address


@pytest.fixture(params=["fake", pytest.param("triton", marks=pytest.mark.embedded)])
def places(request: pytest.FixtureRequest) -> Places:
    if request.param == "fake":
        return fake()
    url = request.getfixturevalue("address")
    return Places(
        lambda: TritonScorer(TritonSettings(url=url, deadline_seconds=10)),
        lambda: TritonScorer(TritonSettings(url=nowhere(), deadline_seconds=0.5)),
    )


def nowhere() -> str:
    return f"127.0.0.1:{free_ports(1)[0]}"


def questions(count: int) -> list[Question]:
    """Returns questions whose inputs all differ."""
    made = []
    for number in range(count):
        steps = [
            click(f"e{step}", event="purchase", ts=START + (number + step) * DAY, price=number, item_id=f"i{step}")
            for step in range(1 + number % 3)
        ]
        given = model_input(lived(*steps), DEFAULT_FEATURES, START + (number + 5) * DAY)
        made.append(Question(f"u{number}", given))
    return made


def probabilities(answers: Sequence[Answer]) -> list[float]:
    assert None not in [answer.probability for answer in answers]
    return [answer.probability or 0.0 for answer in answers]


async def test_each_input_gets_its_own_answer_in_order(places: Places) -> None:
    asked = questions(7)
    async with places.answering() as scorer:
        together = await scorer.score(asked)
        alone = [(await scorer.score([one]))[0] for one in asked]
        backwards = await scorer.score(asked[::-1])
    answers = probabilities(together)
    assert len(set(answers)) == len(asked)
    assert all(0 <= answer <= 1 for answer in answers)
    np.testing.assert_allclose(answers, probabilities(alone), atol=1e-6)
    np.testing.assert_allclose(answers, probabilities(backwards[::-1]), atol=1e-6)


async def test_each_answer_carries_the_model_that_gave_it(places: Places) -> None:
    async with places.answering() as scorer:
        answers = await scorer.score(questions(3))
    assert {answer.model for answer in answers} == {IDENTITY}
    # The model tells neither factors nor a curve.
    assert {(answer.factors, answer.survival) for answer in answers} == {((), None)}


@pytest.mark.parametrize("count", [0, 1, MAX_ROWS, MAX_ROWS + 1, 2 * MAX_ROWS + 1])
async def test_as_many_answers_as_inputs_whatever_the_number(places: Places, count: int) -> None:
    async with places.answering() as scorer:
        answers = await scorer.score(questions(count))
    assert len(probabilities(answers)) == count


async def test_a_scorer_says_which_model_answers(places: Places) -> None:
    async with places.answering() as scorer:
        model = scorer.model
    assert (model.name, model.version, model.horizon_days) == (NAME, VERSION, HORIZON_DAYS)


async def test_a_model_that_does_not_answer_is_no_error_and_takes_no_longer_than_the_deadline(places: Places) -> None:
    async with places.silent() as scorer:
        started = time.monotonic()
        for _ in range(8):
            assert await scorer.score(questions(3)) == [Answer(None, scorer.model)] * 3
        assert await scorer.score([]) == []
        # Five failures open the circuit; what comes then does not wait at all.
        assert time.monotonic() - started < 5 * 0.5 + 1


async def test_without_a_server_decisions_are_stamped_as_of_an_unknown_model() -> None:
    async with TritonScorer(TritonSettings(url=nowhere(), deadline_seconds=0.2)) as scorer:
        assert scorer.model is UNKNOWN_MODEL


@pytest.mark.embedded
async def test_a_model_trained_on_another_input_is_refused_at_the_start(tmp_path: Path) -> None:
    lay_churn_model(tmp_path / "repository", digest="0" * 32)
    async with EmbeddedTriton(model_repository=tmp_path / "repository", log=tmp_path / "log") as server:
        with pytest.raises(ConfigurationError, match=f"0{{32}}.*{INPUT_DIGEST}"):
            async with TritonScorer(TritonSettings(url=server.grpc_address)):
                pass


@pytest.mark.embedded
async def test_a_server_that_comes_later_is_used_and_one_that_goes_is_done_without(tmp_path: Path) -> None:
    lay_churn_model(tmp_path / "repository")
    port = free_ports(1)[0]
    settings = TritonSettings(url=f"127.0.0.1:{port}", deadline_seconds=2, breaker_failures=1, breaker_seconds=0.1)
    async with TritonScorer(settings) as scorer:
        assert await scorer.score(questions(1)) == [Answer(None, UNKNOWN_MODEL)]
        assert scorer.model is UNKNOWN_MODEL
        async with EmbeddedTriton(model_repository=tmp_path / "repository", log=tmp_path / "log", grpc_port=port):
            assert await answered(scorer)
            assert scorer.model.version == VERSION
        assert [answer.probability for answer in await scorer.score(questions(1))] == [None]


async def answered(scorer: Scorer) -> bool:
    """Asks until there is an answer; gRPC waits up to 20 s before it tries a lost connection again."""
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        if (await scorer.score(questions(1)))[0].probability is not None:
            return True
    return False


@pytest.mark.parametrize("missing", ["model_version", "horizon_days"])
async def test_a_model_that_does_not_say_what_it_is_is_refused(missing: str) -> None:
    parameters = {"input_digest": INPUT_DIGEST, "model_version": "1", "horizon_days": "60"}
    config = {"parameters": {name: {"string_value": value} for name, value in parameters.items()}}
    assert identity(config, "m").horizon_days == 60
    del config["parameters"][missing]
    with pytest.raises(ConfigurationError, match=missing):
        identity(config, "m")
    config["parameters"][missing] = {"string_value": ""}
    if missing == "horizon_days":
        with pytest.raises(ConfigurationError, match="horizon_days"):
            identity(config, "m")
