"""Pre-training on next events: what a user does next, and when, asked at random moments of the past.

What is foretold is foretold from NOW's row alone, which has to hold the history to do so. In HT-Transformers (arXiv
2508.01474) history tokens do this within a causal Transformer; here NOW is the history token: it stands at a random
moment, sees what came before it and nothing later, and is the token that fine-tuning and serving ask. Ages of steps
are counted from it, as when it is served. Hence no attention mask is needed to hide the future: it is not in the
batch.

No labels are read, so users without any teach too. Where the rows have features, every other batch is of these rows
themselves, so that the features' tower learns along.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from forestay.core.decision.model_input import KIND_TOKENS
from forestay_training.checkpoint import load_checkpoint, save_checkpoint
from forestay_training.fitting import Note, Recipe, seed_everything
from forestay_training.hazard import hazard_loss
from forestay_training.network import ChurnNetwork
from forestay_training.next_steps import Histories, NextSteps, buckets
from forestay_training.scaling import FeatureScaler
from forestay_training.training_set import TrainingSet

#: Ends of the buckets of the time to the next step, in hours: half a day to 120 days.
EDGES: Final = np.array([0.5, 1, 2, 3, 5, 7, 10, 14, 21, 28, 42, 60, 90, 120]) * 24
#: Weights of the losses of the next step's kind and value beside that of its time.
_KIND_WEIGHT: Final = 0.3
_VALUE_WEIGHT: Final = 0.1
#: What is handed on: the parts that were trained, and the scales they were trained with.
_HANDED_ON: Final = (
    "kind.", "hour.", "numbers.", "now.", "norm.", "encoder.", "tower.", "trunk.",
    "kept", "feature_", "number_", "known_kinds", "own_group",
)  # fmt: skip


class _Batch(NamedTuple):
    """Users at moments of their past; `features` are None where they are not known at these moments."""

    tokens: NDArray[np.int32]
    numbers: NDArray[np.float32]
    features: NDArray[np.float32] | None
    following: NextSteps


class _Foretelling(nn.Module):
    """A network with heads for the next step, which are thrown away afterwards."""

    def __init__(self, network: ChurnNetwork) -> None:
        super().__init__()
        width = network.shape.width
        self.network = network
        self.waiting = nn.Linear(width, len(EDGES))
        self.kind = nn.Linear(width, KIND_TOKENS)
        self.value = nn.Linear(width, 1)

    def loss(self, batch: _Batch) -> Tensor:
        """Returns the mean loss a row."""
        device = self.value.bias.device
        tower = None if batch.features is None else self.network.told(torch.from_numpy(batch.features).to(device))
        tokens, numbers = (torch.from_numpy(array).to(device) for array in (batch.tokens, batch.numbers))
        state = self.network.state(tokens, numbers, tower)
        seen, returned = (torch.from_numpy(mask).to(device) for mask in buckets(batch.following, EDGES))
        waiting = hazard_loss(self.waiting(state), seen, returned)
        kinds = torch.from_numpy(batch.following.kinds).to(device)
        came = (kinds > 0).float()
        kind = nn.functional.cross_entropy(self.kind(state), kinds, reduction="none")
        values = torch.from_numpy(batch.following.values).to(device)
        value = nn.functional.smooth_l1_loss(self.value(state)[:, 0], values, reduction="none")
        # Where none came there is nothing to be right about.
        rest = ((_KIND_WEIGHT * kind + _VALUE_WEIGHT * value) * came).sum() / came.sum().clamp(min=1)
        return waiting + rest


def pretrain(
    train: TrainingSet,
    recipe: Recipe,
    seed: int,
    note: Note,
    *,
    checkpoint: Path | None = None,
    device: str = "cpu",
) -> dict[str, Tensor]:
    """Returns weights, by name, that `fit(..., pretrained=...)` starts from; the labels of `train` are not read.

    With `checkpoint` each epoch is kept in that file, and what was killed goes on from there to the same weights. On
    one kind of CPU the same seed gives the same weights.
    """
    generator = seed_everything(seed)
    histories = Histories.of(train)
    scaler = FeatureScaler.fit(train.inputs.features)
    network = ChurnNetwork(recipe.shape, scaler, train.inputs, 1)
    foretelling = _Foretelling(network).to(device)
    optimizer = torch.optim.AdamW(
        foretelling.parameters(), lr=recipe.pretraining_rate, weight_decay=recipe.weight_decay
    )
    steps = recipe.pretraining_epochs * sum(_sizes(train, histories, recipe))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.pretraining_rate, total_steps=steps)
    parts = {"model": foretelling, "optimizer": optimizer, "schedule": schedule}
    done = _resume(checkpoint, parts, generator)
    for epoch in range(done + 1, recipe.pretraining_epochs + 1):
        foretelling.train()
        losses = []
        for batch in _batches(train, histories, recipe, generator):
            loss = foretelling.loss(batch)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(foretelling.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        note(f"pre-training epoch {epoch}: loss {np.mean(losses):.4f}")
        _save(checkpoint, parts, generator, epoch)
    return {name: value.cpu() for name, value in network.state_dict().items() if name.startswith(_HANDED_ON)}


def _rounds(train: TrainingSet, histories: Histories) -> int:
    """Returns how often each user is asked about in an epoch: as many moments as there are rows, about."""
    return -(-len(train) // max(len(histories.usable), 1))


def _sizes(train: TrainingSet, histories: Histories, recipe: Recipe) -> tuple[int, int]:
    """Returns how many batches of an epoch are moments of the past, and how many are rows with their features."""
    past = -(-_rounds(train, histories) * len(histories.usable) // recipe.batch)
    return past, -(-len(train) // recipe.batch) if recipe.shape.features else 0


def _batches(
    train: TrainingSet, histories: Histories, recipe: Recipe, generator: np.random.Generator
) -> Iterator[_Batch]:
    """Yields an epoch: as many moments as there are rows, and the rows themselves where features are read."""
    users = np.tile(histories.usable, _rounds(train, histories))
    moments = histories.random_moments(users, generator)
    past = _like_lengths(histories.lengths(users, moments), recipe.batch, generator)
    present = (
        _like_lengths(histories.lengths(histories.numbers, train.moments), recipe.batch, generator)
        if recipe.shape.features
        else []
    )
    order = generator.permutation(len(past) + len(present))
    for number in order.tolist():
        if number < len(past):
            some = past[number]
            tokens, numbers = histories.asked(users[some], moments[some])
            yield _trimmed(_Batch(tokens, numbers, None, histories.following(users[some], moments[some])))
        else:
            rows = present[number - len(past)]
            tokens, numbers, features = (array[rows] for array in train.inputs)
            following = histories.following(histories.numbers[rows], train.moments[rows])
            yield _trimmed(_Batch(tokens, numbers, features, following))


def _like_lengths(lengths: NDArray[np.int64], size: int, generator: np.random.Generator) -> list[NDArray[np.int64]]:
    """Returns row numbers in batches of like length, as `fitting.batches` does."""
    order = generator.permutation(len(lengths))
    order = order[np.argsort(np.log2(lengths[order].clip(min=1)).round(), kind="stable")]
    return [order[start : start + size] for start in range(0, len(order), size)]


def _trimmed(batch: _Batch) -> _Batch:
    longest = int((batch.tokens[:, :, 0] > 0).sum(axis=1).max(initial=1))
    return batch._replace(tokens=batch.tokens[:, -longest:], numbers=batch.numbers[:, -longest:])


def _save(path: Path | None, parts: Mapping[str, Any], generator: np.random.Generator, epoch: int) -> None:
    if path is not None:
        state: dict[str, Any] = {name: part.state_dict() for name, part in parts.items()}
        chance = {"torch": torch.get_rng_state(), "numpy": generator.bit_generator.state}
        save_checkpoint(path, state | chance | {"epoch": epoch})


def _resume(path: Path | None, parts: Mapping[str, Any], generator: np.random.Generator) -> int:
    """Returns how many epochs were done, having put everything where it was after them."""
    state = None if path is None else load_checkpoint(path)
    if state is None:
        return 0
    for name, part in parts.items():
        part.load_state_dict(state[name])
    torch.set_rng_state(state["torch"])
    generator.bit_generator.state = state["numpy"]
    return int(state["epoch"])
