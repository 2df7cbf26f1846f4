"""A real Triton takes versions and gives them back while it is asked all the time: no request fails."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import pytest_asyncio
import tritonclient.grpc.aio as triton
from support.churn_model import NAME, lay_candidate, lay_first_version
from support.versions import questions
from tritonclient.utils import np_to_triton_dtype

from forestay.core.decision.model_input import stack
from forestay.embedded.triton import EmbeddedTriton
from forestay.settings import TritonSettings
from forestay.shell.scorer import TritonScorer
from forestay.shell.scoring.served import OUTPUT
from forestay.shipping.changes import Conditions, Shipping, rollout_of
from forestay.shipping.errors import ShippingError
from forestay.shipping.folder import ModelFolder
from forestay.shipping.gates.files import graph_version
from forestay.shipping.gates.graph import open_graph, sample
from forestay.shipping.triton_server import TritonServer

pytestmark = [pytest.mark.embedded, pytest.mark.asyncio(loop_scope="module")]


class Served(NamedTuple):
    """A folder and the Triton that serves it."""

    folder: ModelFolder
    settings: TritonSettings

    def shipping(self, force: str | None = None) -> Shipping:
        return Shipping(self.folder, TritonServer(self.settings), Conditions(force))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    place = tmp_path_factory.mktemp("shipping")
    folder = ModelFolder(lay_first_version(place / "repository"))
    async with EmbeddedTriton(model_repository=folder.path.parent, log=place / "triton.log") as server:
        # What a busy machine is late with is no failure.
        yield Served(folder, TritonSettings(url=server.grpc_address, deadline_seconds=30))


@asynccontextmanager
async def traffic(settings: TritonSettings) -> AsyncIterator[Counter[str]]:
    """Asks all the time, for the newest version and for the first; counts answers by version, raises what fails."""
    answered: Counter[str] = Counter()
    going = True

    async def ask() -> None:
        tensors = []
        for name, array in sample(3)._asdict().items():
            tensor = triton.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
            tensor.set_data_from_numpy(array)
            tensors.append(tensor)
        outputs = [triton.InferRequestedOutput(OUTPUT)]
        async with triton.InferenceServerClient(settings.url) as client:
            while going:
                for asked in ("", "1"):
                    answer = await client.infer(NAME, tensors, model_version=asked, outputs=outputs)
                    answered[answer.get_response().model_version] += 1

    asking = asyncio.create_task(ask())
    try:
        yield answered
    finally:
        going = False
        await asking


@asynccontextmanager
async def scoring(served: Served) -> AsyncIterator[Counter[str]]:
    """Scores as a worker does; each answer must be what the version says that it is stamped with."""
    asked, stamped, going = questions(8), Counter[str](), True
    inputs = stack([one.input for one in asked])

    def truth(version: str) -> "np.ndarray[Any, Any]":
        folders = [served.folder.version(number) for number in served.folder.versions()]
        return next(open_graph(one).run(inputs, [OUTPUT])[0] for one in folders if graph_version(one) == version)

    async def score() -> None:
        known: dict[str, np.ndarray[Any, Any]] = {}
        async with TritonScorer(served.settings) as scorer:
            while going:
                for row, answer in enumerate(await scorer.score(asked)):
                    version = answer.model.version
                    stamped[version] += 1
                    expected = known.setdefault(version, truth(version))[row]
                    assert answer.probability == pytest.approx(float(expected[0]), abs=1e-6)

    asking = asyncio.create_task(score())
    try:
        yield stamped
    finally:
        going = False
        await asking


async def test_promotion_and_rollback_under_traffic(served: Served, tmp_path: Path) -> None:
    version = lay_candidate(tmp_path / "new", 4)
    async with traffic(served.settings) as answered, scoring(served) as stamped:
        assert (await asyncio.to_thread(served.shipping().promote, str(tmp_path / "new"))).current == 2
        assert (await asyncio.to_thread(served.shipping().rollback)).current == 1
        assert (await asyncio.to_thread(served.shipping().canary, "2", 0.1)).canary == 2
        assert (await asyncio.to_thread(served.shipping().promote, "2")).current == 2
        assert (await asyncio.to_thread(served.shipping().rollback)).current == 1
    assert min(answered["1"], answered["2"]) > 10
    assert stamped[version] > 10
    assert len(stamped) == 2


async def test_what_triton_cannot_load_is_taken_back(served: Served, tmp_path: Path) -> None:
    lay_candidate(tmp_path / "bad", 5)
    config = tmp_path / "bad" / "config.pbtxt"
    # The output is not in the graph: a gate sees it, and is overruled.
    config.write_text(config.read_text() + 'output [ { name: "no_such" data_type: TYPE_FP32 dims: [1] } ]\n')
    before, versions = rollout_of(served.folder), served.folder.versions()
    async with traffic(served.settings):
        with pytest.raises(ShippingError, match=r"did not take it: .*no_such"):
            await asyncio.to_thread(served.shipping("to see").promote, str(tmp_path / "bad"))
        assert (rollout_of(served.folder), served.folder.versions()) == (before, versions)
        lay_candidate(tmp_path / "new", 6)
        assert (await asyncio.to_thread(served.shipping().shadow, str(tmp_path / "new"))).shadow == versions[-1] + 1


async def test_another_folder_than_the_servers_is_noticed(served: Served, tmp_path: Path) -> None:
    elsewhere = served._replace(folder=ModelFolder(lay_first_version(tmp_path / "elsewhere")))
    lay_candidate(tmp_path / "new", 4)
    with pytest.raises(ShippingError, match="does it serve this folder"):
        await asyncio.to_thread(elsewhere.shipping().promote, str(tmp_path / "new"))
    assert elsewhere.folder.versions() == [1]
