"""The churn Transformer: HuggingFace BERT layers over a user's steps, joined with the rolling features.

A NOW token that carries the features asks, the steps answer. Only NOW's row of the last layer is ever needed, so
that layer is BERT's attention with NOW as its single query: the same numbers as a whole layer, at half the cost.

Left out of the input on purpose: the item column (its 2,048 hashed rows learn the customers by heart: validation
log-loss rises), the category column (the training data has none) and the day of the year (one year of data cannot
tell season from trend).
"""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import BertConfig
from transformers.models.bert.modeling_bert import BertAttention, BertIntermediate, BertLayer, BertOutput

from forestay.core.decision.model_input import HOUR_TOKENS, KIND_TOKENS, NUMBER_COLUMNS, TOKEN_COLUMNS, ModelInput
from forestay_training.scaling import CLIP, FeatureScaler

WIDTH: Final = 64
HEADS: Final = 4
DROPOUT: Final = 0.2
_KIND: Final = TOKEN_COLUMNS.index("kind")
_HOUR: Final = TOKEN_COLUMNS.index("hour")
#: The step numbers that are read: all but the day of the year, which come last.
_NUMBERS: Final = NUMBER_COLUMNS.index("day_of_year_sine")
#: Added to the attention scores of what must not be seen: exp(-10,000) is 0 in float32.
_UNSEEN: Final = -1e4


class ChurnTransformer(nn.Module):
    """Maps a batch's input (see `forestay.core.decision.model_input`) to churn logits, shape (B,)."""

    kept: Tensor
    feature_means: Tensor
    feature_deviations: Tensor
    number_means: Tensor
    number_deviations: Tensor
    known_kinds: Tensor

    def __init__(self, scaler: FeatureScaler, inputs: ModelInput) -> None:
        """Measures the scales of the training `inputs`; `scaler` has measured their features."""
        super().__init__()
        self._remember_scales(scaler, inputs)
        self.kind = nn.Embedding(KIND_TOKENS, WIDTH)
        self.hour = nn.Embedding(HOUR_TOKENS, WIDTH)
        self.numbers = nn.Sequential(nn.Linear(_NUMBERS, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))
        self.now = nn.Embedding(1, WIDTH)
        self.tower = nn.Sequential(
            nn.Linear(len(scaler.kept), WIDTH), nn.GELU(), nn.Dropout(DROPOUT), nn.Linear(WIDTH, WIDTH), nn.GELU()
        )
        self.norm = nn.LayerNorm(WIDTH)
        self.dropout = nn.Dropout(DROPOUT)
        config = bert_config()
        self.layer = BertLayer(config)
        self.last_layer = NowLayer(config)
        self.last = nn.Linear(WIDTH, 1)
        self.head = nn.Sequential(nn.Linear(2 * WIDTH, WIDTH), nn.GELU(), nn.Dropout(DROPOUT), self.last)
        self.shortcut = nn.Linear(len(scaler.kept), 1)
        for weights in (self.kind.weight, self.hour.weight, self.last.weight, self.shortcut.weight):
            # What training never touches stays silent; the rest finds its way from zero.
            nn.init.zeros_(weights)

    def _remember_scales(self, scaler: FeatureScaler, inputs: ModelInput) -> None:
        real = inputs.step_tokens[:, :, _KIND] > 0
        numbers = inputs.step_numbers[real][:, :_NUMBERS].astype(np.float64)
        known = np.zeros(KIND_TOKENS, dtype=np.float32)
        known[np.unique(inputs.step_tokens[real][:, _KIND])] = 1
        self.register_buffer("kept", torch.from_numpy(scaler.kept))
        self.register_buffer("feature_means", torch.from_numpy(scaler.means))
        self.register_buffer("feature_deviations", torch.from_numpy(scaler.deviations))
        self.register_buffer("number_means", _tensor(numbers.mean(axis=0)))
        self.register_buffer("number_deviations", _tensor(np.maximum(numbers.std(axis=0), 1e-3)))
        self.register_buffer("known_kinds", torch.from_numpy(known[:, None]))

    def forward(self, step_tokens: Tensor, step_numbers: Tensor, features: Tensor) -> Tensor:
        """Returns logits (B,) for `step_tokens` (B, S, 4), `step_numbers` (B, S, 9), `features` (B, FEATURE_COUNT).

        S may be anything from 1 to 64: rows of padding on the left change nothing. Steps of kinds that training
        never saw are not looked at.
        """
        scaled = self._scale(features)
        tower = self.tower(scaled)
        kinds = step_tokens[:, :, _KIND]
        numbers = (step_numbers[:, :, :_NUMBERS] - self.number_means) / self.number_deviations
        steps = self.kind(kinds) + self.hour(step_tokens[:, :, _HOUR]) + self.numbers(numbers)
        tokens = torch.cat([steps, (self.now.weight + tower)[:, None]], dim=1)
        known = nn.functional.embedding(kinds, self.known_kinds)[:, :, 0]
        seen = torch.cat([known, torch.ones_like(tower[:, :1])], dim=1)
        mask = ((1 - seen) * _UNSEEN)[:, None, None, :]
        hidden = self.layer(self.dropout(self.norm(tokens)), mask)
        now = self.last_layer(hidden, mask)
        logits: Tensor = self.head(torch.cat([now, tower], dim=1)) + self.shortcut(scaled)
        return logits[:, 0]

    def _scale(self, features: Tensor) -> Tensor:
        """Does what `FeatureScaler.transform` does, inside the graph."""
        kept = torch.index_select(features, 1, self.kept)
        logs = torch.sign(kept) * torch.log1p(torch.abs(kept))
        return ((logs - self.feature_means) / self.feature_deviations).clamp(-CLIP, CLIP)


class NowLayer(nn.Module):
    """The row of a `BertLayer` that belongs to the last token; its parts and weights are named as there."""

    def __init__(self, config: BertConfig) -> None:
        """Builds the parts of one layer."""
        super().__init__()
        self.attention = BertAttention(config, is_cross_attention=True)
        self.intermediate = BertIntermediate(config)
        self.output = BertOutput(config)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Returns (B, WIDTH) for `hidden` (B, S, WIDTH) and the additive `mask` (B, 1, 1, S)."""
        attended, _ = self.attention(hidden[:, -1:], encoder_hidden_states=hidden, encoder_attention_mask=mask)
        row: Tensor = self.output(self.intermediate(attended), attended)
        return row[:, 0]


def bert_config() -> BertConfig:
    """Returns the shape of both layers. Attention is written out (eager): it exports to plain ONNX operators."""
    config = BertConfig(
        vocab_size=1,
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=HEADS,
        intermediate_size=2 * WIDTH,
        hidden_dropout_prob=DROPOUT,
        attention_probs_dropout_prob=DROPOUT,
    )
    config._attn_implementation = "eager"  # noqa: SLF001 - the library's own way to choose it without a checkpoint
    return config


def _tensor(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
