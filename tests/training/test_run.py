"""A quick run of everything: it ends, and what it writes is what Triton and the worker expect."""

import json

import numpy as np
import pytest
import torch
from support.served import check_served
from training.quick import Trained

from forestay.core.decision.model_input import ModelInput
from forestay_training.calibrate import Platt
from forestay_training.dataset import select
from forestay_training.evaluate import MEASURES
from forestay_training.export import MAX_BYTES, PARITY, Served, export, run
from forestay_training.network import ChurnTransformer
from forestay_training.report import TRANSFORMER
from forestay_training.scaling import FeatureScaler

pytestmark = pytest.mark.training


def test_writes_a_model_that_triton_and_the_worker_accept(trained: Trained) -> None:
    check_served(trained.folder)


def test_reports_every_model_with_intervals(trained: Trained) -> None:
    assert json.loads((trained.folder / "metrics.json").read_text()) == json.loads(json.dumps(trained.metrics))
    for part in ("test", "live_test"):
        figures = trained.metrics[part]["figures"]
        assert {TRANSFORMER, "recency only", "BG/NBD", "logistic regression", "LightGBM"} <= figures.keys()
        for measures in figures.values():
            assert list(measures) == list(MEASURES)
            assert all(low <= high for _, low, high in measures.values())
    auc, _, _ = trained.metrics["test"]["figures"][TRANSFORMER]["auc"]
    # Recency alone scores .59: even an eighth of the customers and two epochs teach more.
    assert auc > 0.62


def test_the_card_shows_the_figures(trained: Trained) -> None:
    text = (trained.folder / "model_card.md").read_text()
    auc, _, _ = trained.metrics["test"]["figures"][TRANSFORMER]["auc"]
    assert f"{auc:.3f}" in text
    assert "CC-BY-4.0" in text
    assert "Chen, D." in text


@pytest.fixture(scope="module")
def inputs() -> ModelInput:
    generator = np.random.default_rng(3)
    tokens = generator.integers(0, 25, (300, 64, 4)).astype(np.int32)
    numbers = generator.normal(size=(300, 64, 9)).astype(np.float32)
    return ModelInput(tokens, numbers, generator.lognormal(2, 2, (300, 94)).astype(np.float32))


def test_onnx_answers_as_pytorch_does_in_any_batch(
    inputs: ModelInput, tmp_path_factory: pytest.TempPathFactory
) -> None:
    torch.manual_seed(4)
    network = ChurnTransformer(FeatureScaler.fit(inputs.features), inputs)
    torch.nn.init.normal_(network.last.weight)
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    assert export(network, Platt(1.2, -0.3), inputs, path) <= PARITY
    assert path.stat().st_size < MAX_BYTES
    with torch.no_grad():
        expected = Served(network.eval(), Platt(1.2, -0.3))(*map(torch.from_numpy, inputs)).numpy()
    assert expected.std() > 0.05
    for rows in (1, 32, 256):
        answer = run(path, select(inputs, np.arange(rows)))
        assert answer.shape == (rows, 1)
        np.testing.assert_allclose(answer, expected[:rows], atol=PARITY)
