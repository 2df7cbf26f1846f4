"""The exported graph in the forms it is served in: with padding cut off, taken apart by length, and in 8 bits."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from google.protobuf import text_format
from numpy.typing import NDArray
from tritonclient.grpc import model_config_pb2

from forestay.core.decision.length_buckets import BUCKETS, by_length, together, trimmed
from forestay.core.decision.model_input import ModelInput
from forestay.core.families.sequence import MAX_STEPS
from forestay.core.feature_set import FEATURE_COUNT
from forestay.shipping.changes import current_metrics
from forestay.shipping.gates.graph import answers
from forestay.shipping.gates.verdict import Outcome
from forestay_training.calibrate import Platt
from forestay_training.export import OUTPUT, Served, export, run
from forestay_training.network import ChurnNetwork, Shape
from forestay_training.quantise import quantised
from forestay_training.scaling import FeatureScaler
from forestay_training.triton_config import config_text

pytestmark = pytest.mark.training

EDGES, MAIN_EDGE = 3, 2
STEPS = (0, 1, 3, 8, 9, 64)


@pytest.fixture(scope="module")
def users() -> ModelInput:
    """90 made-up users: most have a few steps, one in six has all 64."""
    generator = np.random.default_rng(5)
    tokens = np.zeros((90, MAX_STEPS, 4), dtype=np.int32)
    numbers = np.zeros((90, MAX_STEPS, 9), dtype=np.float32)
    for user, count in enumerate(STEPS * 15):
        own = slice(MAX_STEPS - count, MAX_STEPS)
        tokens[user, own] = generator.integers(1, 20, (count, 4))
        numbers[user, own] = generator.uniform(0, 5, (count, 9))
    features = generator.uniform(0, 50, (90, FEATURE_COUNT)).astype(np.float32)
    return ModelInput(tokens, numbers, features)


@pytest.fixture(scope="module")
def served(users: ModelInput) -> Served:
    """A network of random weights, large enough that every part of it is heard."""
    torch.manual_seed(3)
    network = ChurnNetwork(Shape(), FeatureScaler.fit(users.features), users, EDGES)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return Served(network, Platt(1.1, -0.2), MAIN_EDGE)


@pytest.fixture(scope="module")
def graph(served: Served, users: ModelInput, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export(served, users, path)
    return path


def probabilities(graph: Path, inputs: ModelInput) -> NDArray[np.float32]:
    return run(graph, inputs, (OUTPUT,))[OUTPUT]


def test_padding_that_is_cut_off_changes_no_probability(graph: Path, users: ModelInput) -> None:
    whole = probabilities(graph, users)
    assert whole.std() > 0.01
    parts = by_length(users)
    assert len(parts) > 1
    apart = together(parts, [probabilities(graph, part.inputs) for part in parts])
    np.testing.assert_allclose(np.stack(apart), whole, atol=1e-6)
    short = ModelInput(users.step_tokens[:5], users.step_numbers[:5], users.features[:5])
    assert trimmed(short).step_tokens.shape[1] == 16
    np.testing.assert_allclose(probabilities(graph, trimmed(short)), whole[:5], atol=1e-6)


def test_in_8_bits_it_is_smaller_and_answers_nearly_the_same(
    graph: Path, served: Served, users: ModelInput, tmp_path: Path
) -> None:
    small = tmp_path / "small.onnx"
    small.write_bytes(quantised(graph.read_bytes()))
    assert quantised(graph.read_bytes()) == small.read_bytes()
    assert small.stat().st_size < 0.7 * graph.stat().st_size
    # The layers and what goes into them; no head is among them.
    assert sum(node.op_type == "MatMulInteger" for node in onnx.load(small).graph.node) == 14
    found = run(small, users, (OUTPUT, "contributions"))
    np.testing.assert_allclose(found[OUTPUT], probabilities(graph, users), atol=0.02)
    logit = np.log(found[OUTPUT][:, 0] / (1 - found[OUTPUT][:, 0]))
    np.testing.assert_allclose(found["contributions"].sum(axis=1) + served.bias, logit, atol=1e-4)


def test_in_8_bits_an_answer_depends_on_the_request_and_the_gate_says_so(tmp_path: Path) -> None:
    """So it is promoted with --force alone (docs/shipping.md, docs/decisions/0017): shown on the shipped model."""
    shipped = current_metrics(Path(__file__).parents[2] / "model_repository" / "churn_transformer").parent
    shutil.copytree(shipped, tmp_path / "bits")
    (tmp_path / "bits" / "model.onnx").write_bytes(quantised((shipped / "model.onnx").read_bytes()))
    assert answers(shipped).outcome is Outcome.PASSED
    assert "depends on who else is in the batch" in answers(tmp_path / "bits").words


def test_triton_is_warmed_up_at_every_length_and_may_choose_a_gpu() -> None:
    config = text_format.Parse(config_text({}, {OUTPUT: 1}), model_config_pb2.ModelConfig())
    assert [list(entry.dims) for entry in config.input] == [[-1, 4], [-1, 9], [FEATURE_COUNT]]
    warmed = {(warmup.batch_size, warmup.inputs["step_tokens"].dims[0]) for warmup in config.model_warmup}
    assert {steps for _, steps in warmed} == set(BUCKETS)
    assert all(warmup.inputs["step_numbers"].dims[0] in BUCKETS for warmup in config.model_warmup)
    assert config.instance_group[0].kind == model_config_pb2.ModelInstanceGroup.KIND_AUTO
