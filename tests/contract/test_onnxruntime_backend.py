"""The stand-in for Triton's native onnxruntime backend gives what ONNX Runtime gives, request by request."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import pytest_asyncio
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from support import toy_model
from tritonclient.utils import InferenceServerException

from forestay.embedded.errors import ProcessFailedError
from forestay.embedded.triton import EmbeddedTriton

pytestmark = [pytest.mark.embedded, pytest.mark.asyncio(loop_scope="module")]

Feed = dict[str, np.ndarray[Any, Any]]
TOLERANCE = 1e-6
UNBATCHED = "unbatched"
TUNED = "tuned"
_TUNED_CONFIG = """
default_model_filename: "weights.onnx"
instance_group [ { kind: KIND_CPU count: 2 } ]
optimization { graph { level: 1 } }
parameters { key: "intra_op_thread_count" value: { string_value: "1" } }
parameters { key: "inter_op_thread_count" value: { string_value: "1" } }
parameters { key: "execution_mode" value: { string_value: "0" } }
parameters { key: "enable_mem_arena" value: { string_value: "false" } }
parameters { key: "enable_mem_pattern" value: { string_value: "0" } }
"""


#: One instance of one thread leaves a core of two or more: then batches come and answers go while one is computed.
_ONE_THREAD = """
instance_group [ { kind: KIND_CPU count: 1 } ]
parameters { key: "intra_op_thread_count" value: { string_value: "1" } }
"""


@pytest.fixture(scope="module", params=["", _ONE_THREAD], ids=["in_turn", "side_by_side"])
def repository(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    # A delay of 20 ms, so that requests sent together are in one batch for sure.
    toy_model.lay_toy_model(folder, delay=20_000, more=request.param)
    toy_model.lay_toy_model(folder, name=UNBATCHED, max_batch=0)
    toy_model.lay_toy_model(folder, name=TUNED, file="weights.onnx", more=_TUNED_CONFIG)
    return folder


@pytest.fixture(scope="module")
def reference(repository: Path) -> ort.InferenceSession:
    return ort.InferenceSession(repository / toy_model.NAME / "1" / "model.onnx", providers=["CPUExecutionProvider"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    log = tmp_path_factory.mktemp("log") / "triton.log"
    async with EmbeddedTriton(model_repository=repository, log=log) as server:
        one_thread = _ONE_THREAD in (repository / toy_model.NAME / "config.pbtxt").read_text(encoding="utf-8")
        way = "while one is computed" if one_thread and len(os.sched_getaffinity(0)) > 1 else "in turn"
        assert f"{toy_model.NAME}: batches come and answers go {way}" in log.read_text(encoding="utf-8")
        yield server.grpc_address


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(address: str) -> AsyncIterator[triton_aio.InferenceServerClient]:
    async with triton_aio.InferenceServerClient(address) as connected:
        yield connected


def feed(rows: int, seed: int, length: int = toy_model.EVENTS) -> Feed:
    random = np.random.default_rng(seed)
    return {
        "features": random.normal(size=(rows, toy_model.FEATURES)).astype(np.float32),
        "events": random.integers(0, toy_model.VOCABULARY, size=(rows, length)),
    }


async def infer(
    client: triton_aio.InferenceServerClient,
    arrays: Feed,
    *,
    model: str = toy_model.NAME,
    outputs: tuple[str, ...] = (),
) -> Any:
    inputs = []
    for name, array in arrays.items():
        tensor = triton.InferInput(name, array.shape, "FP32" if array.dtype == np.float32 else "INT64")
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    wanted = [triton.InferRequestedOutput(name) for name in outputs] or None
    return await client.infer(model, inputs, outputs=wanted)


def assert_same(answer: Any, reference: ort.InferenceSession, arrays: Feed) -> None:
    names = ["probability", "embedding"]
    for name, expected in zip(names, reference.run(names, arrays), strict=True):
        np.testing.assert_allclose(answer.as_numpy(name), expected, rtol=TOLERANCE, atol=TOLERANCE)


async def executions(client: triton_aio.InferenceServerClient, model: str = toy_model.NAME) -> tuple[int, int]:
    """Return how many rows and how many runs the model has had."""
    statistics = (await client.get_inference_statistics(model)).model_stats[0]
    return statistics.inference_count, statistics.execution_count


async def test_looks_like_the_native_backend(client: triton_aio.InferenceServerClient) -> None:
    metadata = await client.get_model_metadata(toy_model.NAME)
    assert metadata.platform == "onnxruntime_onnx"
    config = (await client.get_model_config(toy_model.NAME)).config
    assert config.backend == "onnxruntime"


@pytest.mark.parametrize("model", [toy_model.NAME, UNBATCHED, TUNED])
async def test_every_batch_size_gives_the_numbers_of_onnx_runtime(
    client: triton_aio.InferenceServerClient, reference: ort.InferenceSession, model: str
) -> None:
    for rows in range(1, toy_model.MAX_BATCH + 1):
        arrays = feed(rows, seed=rows)
        assert_same(await infer(client, arrays, model=model), reference, arrays)


async def test_concurrent_clients_get_their_own_rows(
    client: triton_aio.InferenceServerClient, reference: ort.InferenceSession, address: str
) -> None:
    async def one(seed: int) -> None:
        random = np.random.default_rng(seed)
        async with triton_aio.InferenceServerClient(address) as own:
            for step in range(40):
                arrays = feed(int(random.integers(1, 9)), seed=1_000 * seed + step)
                assert_same(await infer(own, arrays), reference, arrays)

    _, before = await executions(client)
    await asyncio.gather(*(one(seed) for seed in range(8)))
    _, after = await executions(client)
    assert after - before < 8 * 40, "the dynamic batcher joined nothing"


async def test_requests_of_different_lengths_and_outputs_in_one_moment(
    client: triton_aio.InferenceServerClient, reference: ort.InferenceSession
) -> None:
    many = [feed(rows, seed=rows, length=length) for rows, length in ((1, 3), (5, 3), (2, 9), (7, 9), (3, 1))]
    wanted = [("probability",), ("embedding",), ("embedding", "probability"), (), ("probability",)]
    answers = await asyncio.gather(
        *(infer(client, arrays, outputs=outputs) for arrays, outputs in zip(many, wanted, strict=True))
    )
    for arrays, outputs, answer in zip(many, wanted, answers, strict=True):
        for name in outputs or ("probability", "embedding"):
            expected = reference.run([name], arrays)[0]
            np.testing.assert_allclose(answer.as_numpy(name), expected, rtol=TOLERANCE, atol=TOLERANCE)
        for name in {"probability", "embedding"} - set(outputs or ("probability", "embedding")):
            assert answer.as_numpy(name) is None


async def test_a_request_that_fails_in_the_model_harms_no_neighbour(
    client: triton_aio.InferenceServerClient, reference: ort.InferenceSession
) -> None:
    good = [feed(rows, seed=rows) for rows in (1, 4, 9)]
    bad = feed(2, seed=99)
    bad["events"][1, 0] = toy_model.VOCABULARY + 1
    answers = await asyncio.gather(
        *(infer(client, arrays) for arrays in (good[0], bad, good[1], good[2])), return_exceptions=True
    )
    refused = answers.pop(1)
    assert isinstance(refused, InferenceServerException)
    assert "indices element out of data bounds" in str(refused)
    for arrays, answer in zip(good, answers, strict=True):
        assert_same(answer, reference, arrays)


@pytest.mark.parametrize(
    ("name", "shape", "reason"),
    [
        ("features", (2, toy_model.FEATURES + 1), "unexpected shape"),
        ("features", (3, toy_model.FEATURES), "batch size"),
        ("features", (toy_model.MAX_BATCH + 1, toy_model.FEATURES), "batch size"),
    ],
)
async def test_a_bad_shape_is_that_requests_error(
    client: triton_aio.InferenceServerClient,
    reference: ort.InferenceSession,
    name: str,
    shape: tuple[int, ...],
    reason: str,
) -> None:
    good, bad = feed(2, seed=1), feed(2, seed=2)
    bad[name] = np.zeros(shape, dtype=np.float32)
    answers = await asyncio.gather(infer(client, good), infer(client, bad), return_exceptions=True)
    assert_same(answers[0], reference, good)
    refused = answers[1]
    assert isinstance(refused, InferenceServerException)
    assert reason in str(refused)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            ('name: "features" data_type: TYPE_FP32', 'name: "features" data_type: TYPE_FP64'),
            "input 'features' is TYPE_FP64",
        ),
        (('name: "features"', 'name: "traits"'), "unexpected input 'traits'"),
        (('name: "embedding"', 'name: "vector"'), "unexpected output 'vector'"),
        (("dynamic_batching", 'default_model_filename: "absent.onnx"\ndynamic_batching'), "absent.onnx"),
        (
            (
                "dynamic_batching",
                'parameters { key: "execution_mode" value: { string_value: "2" } }\ndynamic_batching',
            ),
            "execution_mode must be one of 0, 1, not 2",
        ),
    ],
)
async def test_a_configuration_that_contradicts_the_model_is_refused_with_the_reason(
    tmp_path: Path, change: tuple[str, str], reason: str
) -> None:
    toy_model.lay_toy_model(tmp_path / "repository")
    config = tmp_path / "repository" / toy_model.NAME / "config.pbtxt"
    text = config.read_text(encoding="utf-8")
    assert change[0] in text
    config.write_text(text.replace(*change), encoding="utf-8")
    server = EmbeddedTriton(model_repository=tmp_path / "repository", log=tmp_path / "triton.log")
    with pytest.raises(ProcessFailedError, match=reason):
        await server.start()


async def test_what_was_asked_before_an_unload_is_answered(
    client: triton_aio.InferenceServerClient, reference: ort.InferenceSession
) -> None:
    many = [feed(8, seed=seed) for seed in range(30)]
    asked = [asyncio.create_task(infer(client, arrays)) for arrays in many]
    first = await asked[0]
    await client.unload_model(toy_model.NAME)
    answers = await asyncio.gather(*asked[1:], return_exceptions=True)
    await client.load_model(toy_model.NAME)
    answered = 0
    for arrays, answer in zip(many, [first, *answers], strict=True):
        if isinstance(answer, InferenceServerException):
            # It came when the model was gone already, and says so.
            assert "unavailable" in str(answer) or "not ready" in str(answer)
            continue
        assert_same(answer, reference, arrays)
        answered += 1
    assert answered > 0
    arrays = feed(3, seed=77)
    assert_same(await infer(client, arrays), reference, arrays)
