"""The network's shortcuts change nothing, its terms are what they are called, and what it never saw stays silent."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import BertConfig
from transformers.models.bert.modeling_bert import BertLayer

from forestay.core.decision.model_input import ModelInput
from forestay.core.event import EVENT_CODES
from forestay.core.families.sequence import MAX_STEPS
from forestay.core.feature_set import FEATURE_COUNT, FEATURE_NAMES
from forestay_schemas.types import EventName
from forestay_training.groups import FEATURE_GROUPS, GROUPS, group_of
from forestay_training.network import ChurnNetwork, NowLayer, Outputs, Shape
from forestay_training.scaling import FeatureScaler

pytestmark = pytest.mark.training

PURCHASE_TOKEN = EVENT_CODES[EventName.PURCHASE] + 1
VIEW_TOKEN = EVENT_CODES[EventName.VIEW_ITEM] + 1
ROWS, STEPS, EDGES = 16, 5, 3
VARYING = ("orders_total", "spend_total", "hours_since_purchase", "session_gap_mean_hours")


@pytest.fixture
def inputs() -> ModelInput:
    """Users with five purchases each, and nothing else but a few features."""
    generator = np.random.default_rng(1)
    tokens = np.zeros((ROWS, MAX_STEPS, 4), dtype=np.int32)
    numbers = np.zeros((ROWS, MAX_STEPS, 9), dtype=np.float32)
    features = np.zeros((ROWS, FEATURE_COUNT), dtype=np.float32)
    tokens[:, -STEPS:, 0] = PURCHASE_TOKEN
    tokens[:, -STEPS:, 3] = generator.integers(1, 25, (ROWS, STEPS))
    numbers[:, -STEPS:] = generator.uniform(0, 5, (ROWS, STEPS, 9))
    for name in VARYING:
        features[:, FEATURE_NAMES.index(name)] = generator.uniform(1, 500, ROWS)
    return ModelInput(tokens, numbers, features)


def random_network(inputs: ModelInput, shape: Shape) -> ChurnNetwork:
    torch.manual_seed(1)
    network = ChurnNetwork(shape, FeatureScaler.fit(inputs.features), inputs, EDGES)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network.eval()


@pytest.fixture(
    params=[
        Shape(),
        Shape(layers=3, width=32),
        Shape(features=False),
        Shape(encoder="gru"),
        Shape(encoder="gru", features=False),
    ],
    ids=str,
)
def network(request: pytest.FixtureRequest, inputs: ModelInput) -> ChurnNetwork:
    return random_network(inputs, request.param)


def asked(network: ChurnNetwork, inputs: ModelInput) -> Outputs:
    with torch.no_grad():
        found: Outputs = network(*(torch.from_numpy(np.ascontiguousarray(array)) for array in inputs))
        return found


def test_the_now_layer_is_the_last_row_of_a_whole_layer() -> None:
    torch.manual_seed(2)
    config = BertConfig(vocab_size=1, hidden_size=64, num_attention_heads=4, intermediate_size=128)
    config._attn_implementation = "eager"
    whole, now = BertLayer(config).eval(), NowLayer(config).eval()
    now.load_state_dict(whole.state_dict())
    hidden, mask = torch.randn(3, 7, 64), torch.zeros(3, 1, 1, 7)
    mask[:, :, :, :2] = -1e4
    with torch.no_grad():
        torch.testing.assert_close(now(hidden, mask), whole(hidden, mask)[:, -1])


def test_padding_on_the_left_changes_nothing(network: ChurnNetwork, inputs: ModelInput) -> None:
    whole = asked(network, inputs)
    for steps in (STEPS, STEPS + 1, 32):
        cut = ModelInput(inputs.step_tokens[:, -steps:], inputs.step_numbers[:, -steps:], inputs.features)
        for one, other in zip(asked(network, cut), whole, strict=True):
            torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-4)
    assert float(whole.logit.std()) > 0.005


def test_the_logit_is_the_bias_and_the_terms(network: ChurnNetwork, inputs: ModelInput) -> None:
    found = asked(network, inputs)
    assert found.terms.shape == (ROWS, len(GROUPS))
    torch.testing.assert_close(found.logit, network.bias.detach() + found.terms.sum(dim=1))


def test_a_group_of_features_speaks_in_its_own_term_and_through_the_steps_alone(inputs: ModelInput) -> None:
    network = random_network(inputs, Shape())
    before = asked(network, inputs).terms
    for name in VARYING:
        features = inputs.features.copy()
        features[:, FEATURE_NAMES.index(name)] *= 3
        moved = (asked(network, inputs._replace(features=features)).terms - before).abs().max(dim=0).values > 1e-6
        changed = {group for group, has in zip(GROUPS, moved.tolist(), strict=True) if has}
        assert changed == {group_of(name), "steps"}


def test_kinds_and_features_never_seen_in_training_say_nothing(network: ChurnNetwork, inputs: ModelInput) -> None:
    tokens, features = inputs.step_tokens.copy(), inputs.features.copy()
    tokens[:, : MAX_STEPS - STEPS, 0] = VIEW_TOKEN
    features[:, FEATURE_NAMES.index("cart_value")] = 99
    other = asked(network, ModelInput(tokens, inputs.step_numbers, features))
    torch.testing.assert_close(other.logit, asked(network, inputs).logit, atol=2e-5, rtol=1e-4)


def test_heads_that_listen_do_not_steer(inputs: ModelInput) -> None:
    network = random_network(inputs, Shape())
    found = network(*map(torch.from_numpy, inputs))
    (found.hazards.sum() + found.log_spend.sum() + found.next_kind.sum()).backward()
    assert all(weight.grad is None for weight in network.steering())
    assert network.hazards.weight.grad is not None


def test_every_feature_has_a_group_that_people_know() -> None:
    groups = [group_of(name) for name in FEATURE_NAMES]
    assert set(groups) == set(FEATURE_GROUPS)
    told = {name: group_of(name) for name in ("hours_since_refund", "refund_count_7d", "add_to_cart_count_1d",
            "spend_180d", "orders_90d", "silence_ratio", "distinct_items_7d", "view_item_count_1h")}  # fmt: skip
    assert list(told.values()) == [
        "recency", "returns", "cart", "spend", "orders", "rhythm", "variety", "browsing",
    ]  # fmt: skip
    with pytest.raises(LookupError, match="belongs to no group"):
        group_of("shoe_size")


def test_shapes_are_values() -> None:
    assert replace(Shape(), width=32) == Shape(width=32)
