"""Fitting the network: AdamW under one cycle, soft targets from trees, and the epoch that validates best."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from forestay.core.decision.model_input import ModelInput
from forestay_training.calibrate import calibrated_log_loss
from forestay_training.dataset import Rows, select
from forestay_training.network import ChurnTransformer
from forestay_training.scaling import FeatureScaler

Probabilities = NDArray[np.float64]
Note = Callable[[str], None]

#: Log-losses this close are equal; the later epoch has the smaller steps behind it.
_TIE: Final = 5e-4


@dataclass(frozen=True)
class Recipe:
    """How to fit. Values chosen on the validation moments, where most of their neighbours tie."""

    epochs: int = 8
    batch: int = 512
    peak_rate: float = 2e-3
    weight_decay: float = 0.05
    #: Share of the teacher's probability in the target; the rest is the label.
    soft_share: float = 0.7


class Fitted(NamedTuple):
    """A network and after how many epochs it was taken."""

    network: ChurnTransformer
    epochs: int


def fit(rows: Rows, teacher: Probabilities, recipe: Recipe, seed: int, note: Note, *, check: Rows | None = None,
        stop_after: int | None = None) -> Fitted:  # fmt: skip
    """Returns a network fitted to `rows` (N) and the `teacher`'s out-of-fold probabilities (N,).

    With `check`, the epoch with the lowest calibrated log-loss on those rows is taken, of equals the last; otherwise
    the one after `stop_after` epochs of the same schedule. On one kind of CPU the same seed gives the same weights.
    """
    generator = _seed_everything(seed)
    network = ChurnTransformer(FeatureScaler.fit(rows.inputs.features), rows.inputs)
    soft = recipe.soft_share * teacher + (1 - recipe.soft_share) * rows.churned
    targets = torch.from_numpy(soft.astype(np.float32))
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.peak_rate, weight_decay=recipe.weight_decay)
    steps = recipe.epochs * -(-len(rows) // recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.peak_rate, total_steps=steps)
    best, best_loss = Fitted(network, 0), float("inf")
    for epoch in range(1, (stop_after or recipe.epochs) + 1):
        network.train()
        for batch in _batches(rows.inputs, recipe.batch, generator):
            logits = network(*_tensors(rows.inputs, batch))
            loss = nn.functional.binary_cross_entropy_with_logits(logits, targets[batch])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        if check is None:
            best = Fitted(network, epoch)
            note(f"epoch {epoch}")
            continue
        checked = calibrated_log_loss(check.churned, predict(network, check.inputs))
        note(f"epoch {epoch}: validation log-loss {checked:.4f}")
        if checked < best_loss + _TIE:
            best = Fitted(copy.deepcopy(network), epoch)
        best_loss = min(best_loss, checked)
    return best


def predict(network: ChurnTransformer, inputs: ModelInput, batch: int = 1_024) -> Probabilities:
    """Returns uncalibrated churn probabilities (N,)."""
    network.eval()
    order = np.argsort(_lengths(inputs), kind="stable")
    probabilities = np.empty(len(order))
    with torch.no_grad():
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            probabilities[rows] = torch.sigmoid(network(*_tensors(inputs, rows))).numpy()
    return probabilities


def _seed_everything(seed: int) -> np.random.Generator:
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    # The order of a sum depends on the number of threads: one everywhere, or the same seed is not the same model.
    # With matrices this small a second thread gains a fifth, and on a busy machine loses far more.
    torch.set_num_threads(1)
    return np.random.default_rng(seed)


def _batches(inputs: ModelInput, size: int, generator: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yields row numbers in random batches of like length: half of all sequences hold two steps, few hold 64."""
    order = generator.permutation(len(inputs.features))
    bins = np.log2(_lengths(inputs)[order]).round()
    order = order[np.argsort(bins, kind="stable")]
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    for number in generator.permutation(len(batches)):
        yield batches[number]


def _tensors(inputs: ModelInput, rows: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns the rows' input without the padding that all of them share."""
    tokens, numbers, features = part = select(inputs, rows)
    longest = int(_lengths(part).max())
    return (
        torch.from_numpy(tokens[:, -longest:]),
        torch.from_numpy(numbers[:, -longest:]),
        torch.from_numpy(features),
    )


def _lengths(inputs: ModelInput) -> NDArray[np.int64]:
    """Returns how many steps each row has, at least 1."""
    return np.asarray((inputs.step_tokens[:, :, 0] > 0).sum(axis=1).clip(min=1), dtype=np.int64)
