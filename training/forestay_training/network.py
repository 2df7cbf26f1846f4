"""The churn network: HuggingFace BERT layers over a user's steps, joined with the rolling features, and its heads.

A NOW token that carries the features asks, the steps answer. Only NOW's row of the last layer is ever needed, so
that layer is BERT's attention with NOW as its single query: the same numbers as a whole layer, at half the cost.

The logit is a sum: a bias, one term for each group of features (a small network of its own that sees nothing else),
and one for what the steps, and steps and features together, say (a neural additive model; Agarwal et al., 2021).
So the shares of the groups are exact, and there with every answer.

Left out of the input on purpose: the item column (its 2,048 hashed rows learn the customers by heart: validation
log-loss rises), the category column (the training data has none) and the day of the year (one year of data cannot
tell season from trend).
"""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import BertConfig
from transformers.models.bert.modeling_bert import BertAttention, BertIntermediate, BertLayer, BertOutput

from forestay.core.decision.model_input import HOUR_TOKENS, KIND_TOKENS, NUMBER_COLUMNS, TOKEN_COLUMNS, ModelInput
from forestay_training.groups import FEATURE_GROUPS, GROUPS, group_numbers
from forestay_training.scaling import CLIP, FeatureScaler

#: Units of the small network of each group of features.
_GROUP_UNITS: Final = 8
KIND: Final = TOKEN_COLUMNS.index("kind")
_HOUR: Final = TOKEN_COLUMNS.index("hour")
#: The step numbers that are read: all but the day of the year, which come last.
NUMBERS: Final = NUMBER_COLUMNS.index("day_of_year_sine")
#: Added to the attention scores of what must not be seen: exp(-10,000) is 0 in float32.
_UNSEEN: Final = -1e4


@dataclass(frozen=True)
class Shape:
    """What kind of network: `encoder` reads the steps, `features` says whether the rolling features are read too."""

    encoder: Literal["transformer", "gru"] = "transformer"
    features: bool = True
    width: int = 64
    layers: int = 2
    heads: int = 4
    dropout: float = 0.2


class Outputs(NamedTuple):
    """What the network says of B rows.

    The main horizon's logit (B,) and its terms (B, GROUPS): the logit is the bias and their sum; hazard logits
    (B, J); the logarithm of 1 + spend (B,); logits of the next step's kind (B, KIND_TOKENS); an embedding (B, W).
    """

    logit: Tensor
    terms: Tensor
    hazards: Tensor
    log_spend: Tensor
    next_kind: Tensor
    embedding: Tensor


class ChurnNetwork(nn.Module):
    """Maps a batch's input (see `forestay.core.decision.model_input`) to `Outputs`."""

    kept: Tensor
    feature_means: Tensor
    feature_deviations: Tensor
    number_means: Tensor
    number_deviations: Tensor
    known_kinds: Tensor
    own_group: Tensor

    def __init__(self, shape: Shape, scaler: FeatureScaler, inputs: ModelInput, edges: int) -> None:
        """Measures the scales of the training `inputs`; `scaler` has measured their features. `edges` are hazards."""
        super().__init__()
        self.shape = shape
        self._remember_scales(scaler, inputs)
        width, kept = shape.width, len(scaler.kept)
        self.kind = nn.Embedding(KIND_TOKENS, width)
        self.hour = nn.Embedding(HOUR_TOKENS, width)
        self.numbers = nn.Sequential(nn.Linear(NUMBERS, width), nn.GELU(), nn.Linear(width, width))
        self.now = nn.Embedding(1, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(shape.dropout)
        self.encoder = _transformer(shape) if shape.encoder == "transformer" else _Recurrent(width)
        if shape.features:
            self.tower = nn.Sequential(
                nn.Linear(kept, width), nn.GELU(), nn.Dropout(shape.dropout), nn.Linear(width, width), nn.GELU()
            )
            self.groups = nn.Linear(kept, len(FEATURE_GROUPS) * _GROUP_UNITS)
            self.group_terms = nn.Parameter(torch.zeros(len(FEATURE_GROUPS), _GROUP_UNITS))
            self.straight = nn.Parameter(torch.zeros(kept))
        self.trunk = nn.Sequential(
            nn.Linear(2 * width if shape.features else width, width), nn.GELU(), nn.Dropout(shape.dropout)
        )
        self.bias = nn.Parameter(torch.zeros(1))
        self.steps_term = nn.Linear(width, 1, bias=False)
        self.listening = nn.Sequential(nn.Linear(width + len(GROUPS), width), nn.GELU())
        self.hazards = nn.Linear(width, edges)
        self.next_kind = nn.Linear(width, KIND_TOKENS)
        self.spend = nn.Linear(width, 1)
        for weights in (self.kind.weight, self.hour.weight, self.steps_term.weight):
            # What training never touches stays silent; the rest finds its way from zero.
            nn.init.zeros_(weights)

    def _remember_scales(self, scaler: FeatureScaler, inputs: ModelInput) -> None:
        real = inputs.step_tokens[:, :, KIND] > 0
        numbers = inputs.step_numbers[real][:, :NUMBERS].astype(np.float64)
        known = np.zeros(KIND_TOKENS, dtype=np.float32)
        known[np.unique(inputs.step_tokens[real][:, KIND])] = 1
        own = group_numbers()[scaler.kept][None, :] == np.arange(len(FEATURE_GROUPS))[:, None]
        self.register_buffer("kept", torch.from_numpy(scaler.kept))
        self.register_buffer("feature_means", torch.from_numpy(scaler.means))
        self.register_buffer("feature_deviations", torch.from_numpy(scaler.deviations))
        self.register_buffer("number_means", _tensor(numbers.mean(axis=0)))
        self.register_buffer("number_deviations", _tensor(np.maximum(numbers.std(axis=0), 1e-3)))
        self.register_buffer("known_kinds", torch.from_numpy(known[:, None]))
        self.register_buffer("own_group", _tensor(own.astype(np.float64)))

    def forward(self, step_tokens: Tensor, step_numbers: Tensor, features: Tensor) -> Outputs:
        """Returns the outputs for `step_tokens` (B, S, 4), `step_numbers` (B, S, 9), `features` (B, FEATURE_COUNT).

        S may be anything from 1 to 64: rows of padding on the left change nothing. Steps of kinds that training
        never saw are not looked at.
        """
        if self.shape.features:
            scaled = self._scale(features)
            state = self.state(step_tokens, step_numbers, self.tower(scaled))
            groups = self._group_terms(scaled)
        else:
            state = self.state(step_tokens, step_numbers, None)
            groups = torch.zeros_like(state[:, : len(FEATURE_GROUPS)])
        terms = torch.cat([groups, self.steps_term(state)], dim=1)
        return self._outputs(state, terms.sum(dim=1), terms)

    def told(self, features: Tensor) -> Tensor:
        """Returns what NOW is told of `features` (B, FEATURE_COUNT), (B, W)."""
        found: Tensor = self.tower(self._scale(features))
        return found

    def state(self, step_tokens: Tensor, step_numbers: Tensor, tower: Tensor | None) -> Tensor:
        """Returns what the heads read, (B, W); `tower` (B, W) is None where nothing is told of the features."""
        row = self.read(step_tokens, step_numbers, tower)
        if self.shape.features:
            row = torch.cat([row, torch.zeros_like(row) if tower is None else tower], dim=1)
        state: Tensor = self.trunk(row)
        return state

    def read(self, step_tokens: Tensor, step_numbers: Tensor, tower: Tensor | None) -> Tensor:
        """Returns NOW's row (B, W) after all steps; NOW carries `tower` (B, W) if there is one."""
        kinds = step_tokens[:, :, KIND]
        numbers = (step_numbers[:, :, :NUMBERS] - self.number_means) / self.number_deviations
        steps = self.kind(kinds) + self.hour(step_tokens[:, :, _HOUR]) + self.numbers(numbers)
        known = nn.functional.embedding(kinds, self.known_kinds)[:, :, 0]
        asking = self.now.weight.expand(kinds.shape[0], -1) if tower is None else self.now.weight + tower
        tokens = self.dropout(self.norm(torch.cat([steps, asking[:, None]], dim=1)))
        seen = torch.cat([known, torch.ones_like(asking[:, :1])], dim=1)
        state: Tensor = self.encoder(tokens, seen)
        return state

    def _outputs(self, state: Tensor, total: Tensor, terms: Tensor) -> Outputs:
        # These heads listen and do not steer: their losses, larger by far, would drown the main one.
        heard = self.listening(torch.cat([state, terms], dim=1).detach())
        return Outputs(
            logit=self.bias + total,
            terms=terms,
            hazards=self.hazards(heard),
            log_spend=self.spend(heard)[:, 0],
            next_kind=self.next_kind(heard),
            embedding=state,
        )

    def steering(self) -> list[nn.Parameter]:
        """Returns the weights that the main horizon's logit depends on."""
        listening = ("listening.", "hazards.", "spend.", "next_kind.")
        return [weight for name, weight in self.named_parameters() if not name.startswith(listening)]

    def _group_terms(self, scaled: Tensor) -> Tensor:
        """Returns each group's term, (B, FEATURE_GROUPS): a curve of its features, and a straight line."""
        own = self.own_group.repeat_interleave(_GROUP_UNITS, dim=0)
        units = nn.functional.gelu(nn.functional.linear(scaled, self.groups.weight * own, self.groups.bias))
        curves = (units.reshape(-1, len(FEATURE_GROUPS), _GROUP_UNITS) * self.group_terms).sum(dim=2)
        return curves + nn.functional.linear(scaled, self.straight * self.own_group)

    def _scale(self, features: Tensor) -> Tensor:
        """Does what `FeatureScaler.transform` does, inside the graph."""
        kept = torch.index_select(features, 1, self.kept)
        logs = torch.sign(kept) * torch.log1p(torch.abs(kept))
        return ((logs - self.feature_means) / self.feature_deviations).clamp(-CLIP, CLIP)


class _Transformer(nn.Module):
    """BERT layers, of the last one NOW's row alone."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(BertLayer(config) for _ in range(config.num_hidden_layers - 1))
        self.last_layer = NowLayer(config)

    def forward(self, tokens: Tensor, seen: Tensor) -> Tensor:
        """Returns (B, W) for `tokens` (B, S, W), of which those are `seen` that are 1 in (B, S)."""
        mask = ((1 - seen) * _UNSEEN)[:, None, None, :]
        for layer in self.layers:
            tokens = layer(tokens, mask)
        now: Tensor = self.last_layer(tokens, mask)
        return now


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


class _Recurrent(nn.Module):
    """A GRU over what is seen, NOW last: the rival of every Transformer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cell = nn.GRU(width, width, batch_first=True)

    def forward(self, tokens: Tensor, seen: Tensor) -> Tensor:
        """Returns (B, W), as `_Transformer` does."""
        # What is seen to the front, in its order: a GRU reads whatever it is given.
        order = torch.argsort(1 - seen, dim=1, stable=True)
        front = torch.gather(tokens, 1, order[:, :, None].expand_as(tokens))
        states, _ = self.cell(front)
        last = seen.sum(dim=1).long() - 1
        row: Tensor = states[torch.arange(len(states)), last]
        return row


def _transformer(shape: Shape) -> _Transformer:
    """Returns the layers. Attention is written out (eager): it exports to plain ONNX operators."""
    config = BertConfig(
        vocab_size=1,
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=2 * shape.width,
        hidden_dropout_prob=shape.dropout,
        attention_probs_dropout_prob=shape.dropout,
    )
    config._attn_implementation = "eager"  # noqa: SLF001 - the library's own way to choose it without a checkpoint
    return _Transformer(config)


def _tensor(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
