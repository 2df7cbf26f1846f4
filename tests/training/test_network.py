"""The network's shortcuts change nothing, and what it never saw stays silent."""

import numpy as np
import pytest
import torch
from transformers.models.bert.modeling_bert import BertLayer

from forestay.core.decision.model_input import ModelInput
from forestay.core.event import EVENT_CODES
from forestay.core.families.sequence import MAX_STEPS
from forestay.core.feature_set import FEATURE_COUNT, FEATURE_NAMES
from forestay_schemas.types import EventName
from forestay_training.network import WIDTH, ChurnTransformer, NowLayer, bert_config
from forestay_training.scaling import FeatureScaler

pytestmark = pytest.mark.training

PURCHASE_TOKEN = EVENT_CODES[EventName.PURCHASE] + 1
VIEW_TOKEN = EVENT_CODES[EventName.VIEW_ITEM] + 1
ROWS, STEPS = 16, 5


@pytest.fixture
def inputs() -> ModelInput:
    """Users with five purchases each, and nothing else but features of orders and spend."""
    generator = np.random.default_rng(1)
    tokens = np.zeros((ROWS, MAX_STEPS, 4), dtype=np.int32)
    numbers = np.zeros((ROWS, MAX_STEPS, 9), dtype=np.float32)
    features = np.zeros((ROWS, FEATURE_COUNT), dtype=np.float32)
    tokens[:, -STEPS:, 0] = PURCHASE_TOKEN
    tokens[:, -STEPS:, 3] = generator.integers(1, 25, (ROWS, STEPS))
    numbers[:, -STEPS:] = generator.uniform(0, 5, (ROWS, STEPS, 9))
    for name in ("orders_total", "spend_total", "hours_since_purchase"):
        features[:, FEATURE_NAMES.index(name)] = generator.uniform(1, 500, ROWS)
    return ModelInput(tokens, numbers, features)


@pytest.fixture
def network(inputs: ModelInput) -> ChurnTransformer:
    torch.manual_seed(1)
    network = ChurnTransformer(FeatureScaler.fit(inputs.features), inputs)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network.eval()


def logits(network: ChurnTransformer, inputs: ModelInput) -> torch.Tensor:
    with torch.no_grad():
        return network(*(torch.from_numpy(np.ascontiguousarray(array)) for array in inputs))


def test_the_now_layer_is_the_last_row_of_a_whole_layer() -> None:
    torch.manual_seed(2)
    whole, now = BertLayer(bert_config()).eval(), NowLayer(bert_config()).eval()
    now.load_state_dict(whole.state_dict())
    hidden = torch.randn(3, 7, WIDTH)
    mask = torch.zeros(3, 1, 1, 7)
    mask[:, :, :, :2] = -1e4
    with torch.no_grad():
        torch.testing.assert_close(now(hidden, mask), whole(hidden, mask)[:, -1])


def test_padding_changes_nothing(network: ChurnTransformer, inputs: ModelInput) -> None:
    short = ModelInput(inputs.step_tokens[:, -STEPS:], inputs.step_numbers[:, -STEPS:], inputs.features)
    torch.testing.assert_close(logits(network, short), logits(network, inputs))


def test_the_steps_are_read(network: ChurnTransformer, inputs: ModelInput) -> None:
    other = inputs._replace(step_numbers=inputs.step_numbers + 1)
    assert (logits(network, other) - logits(network, inputs)).abs().min() > 1e-3


def test_steps_of_kinds_never_trained_on_are_not_looked_at(network: ChurnTransformer, inputs: ModelInput) -> None:
    tokens, numbers = inputs.step_tokens.copy(), inputs.step_numbers.copy()
    tokens[:, -STEPS - 1, 0] = VIEW_TOKEN
    numbers[:, -STEPS - 1] = 3
    with_view = ModelInput(tokens, numbers, inputs.features)
    torch.testing.assert_close(logits(network, with_view), logits(network, inputs))


def test_features_that_never_varied_are_not_looked_at(network: ChurnTransformer, inputs: ModelInput) -> None:
    features = inputs.features.copy()
    features[:, FEATURE_NAMES.index("view_item_count_7d")] = 40
    torch.testing.assert_close(logits(network, inputs._replace(features=features)), logits(network, inputs))


def test_the_graph_scales_as_the_scaler_does(network: ChurnTransformer, inputs: ModelInput) -> None:
    scaled = network._scale(torch.from_numpy(inputs.features)).numpy()
    np.testing.assert_allclose(scaled, FeatureScaler.fit(inputs.features).transform(inputs.features), atol=1e-5)


def test_a_user_without_steps_gets_an_answer(network: ChurnTransformer, inputs: ModelInput) -> None:
    tokens, numbers, features = inputs
    empty = ModelInput(np.zeros_like(tokens), np.zeros_like(numbers), np.zeros_like(features))
    assert torch.isfinite(logits(network, empty)).all()
