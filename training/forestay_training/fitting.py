"""Fitting the network: AdamW under one cycle, soft targets from trees, and the epoch that validates best."""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from forestay.core.decision.model_input import ModelInput
from forestay.core.errors import ForestayError
from forestay_training.calibrate import calibrated_log_loss
from forestay_training.checkpoint import load_checkpoint, save_checkpoint
from forestay_training.hazard import hazard_loss, is_falling, seen_and_returned
from forestay_training.network import ChurnNetwork, Outputs, Shape
from forestay_training.next_steps import Histories
from forestay_training.scaling import FeatureScaler
from forestay_training.training_set import TrainingSet, select

Probabilities = NDArray[np.float64]
Note = Callable[[str], None]

#: Log-losses this close are equal; the later epoch has the smaller steps behind it.
_TIE: Final = 5e-4
#: Rows of one batch of a prediction.
_PREDICTED_AT_ONCE: Final = 1_024


@dataclass(frozen=True)
class Recipe:
    """How to fit. Values chosen on validation moments, where most of their neighbours tie."""

    shape: Shape = field(default_factory=Shape)
    epochs: int = 8
    batch: int = 512
    peak_rate: float = 2e-3
    weight_decay: float = 0.05
    #: Share of the teacher's probability in the target; the rest is the label.
    soft_share: float = 0.7
    #: Weight of the squared term of the steps: what the groups of features can say alone, they say.
    steps_penalty: float = 0.001
    #: Pre-training asks each user at as many moments as there are rows, so many times.
    pretraining_epochs: int = 20
    pretraining_rate: float = 1e-3


class DivergedError(ForestayError):
    """A fit went astray: its steps were too large for its rows."""


class Fitted(NamedTuple):
    """A network, after how many epochs it was taken, and the validation log-loss after each (none without rows)."""

    network: ChurnNetwork
    epochs: int
    history: tuple[float, ...]


class Targets(NamedTuple):
    """What the rows of a fit are to say.

    The main horizon (N,); the hazards' masks (N, J); the logarithm of 1 + spend within the main horizon (N,), nan
    where it is not known; and the next step's kind (N,), 0 where it is not.
    """

    churned: Tensor
    seen: Tensor
    returned: Tensor
    log_spend: Tensor
    next_kind: Tensor


def fit(
    train: TrainingSet,
    validation: TrainingSet | None,
    horizon: int,
    recipe: Recipe,
    seed: int,
    *,
    note: Note,
    teacher: Probabilities | None = None,
    pretrained: Mapping[str, Tensor] | None = None,
    stop_after: int | None = None,
    checkpoint: Path | None = None,
    device: str = "cpu",
    checked_epoch: Callable[[int, float], None] = lambda _epoch, _loss: None,
) -> Fitted:
    """Returns a network fitted to the rows of `train` (N), whose labels of `horizon` (milliseconds) are all known.

    `teacher` holds out-of-fold probabilities (N,). With `validation`, the epoch with the lowest calibrated log-loss
    on those rows is taken, of equals the last; otherwise the one after `stop_after` epochs of the same schedule.
    `pretrained` are weights to start from, by name. With `checkpoint` each epoch is kept in that file, and a fit
    that was killed goes on from there to the same weights. On one kind of CPU the same seed gives the same weights.
    `checked_epoch` is told each epoch's validation log-loss; what it raises ends the fit.

    Raises:
        DivergedError: the weights became no numbers.
    """
    generator = seed_everything(seed)
    scaler = FeatureScaler.fit(train.inputs.features)
    network = ChurnNetwork(recipe.shape, scaler, train.inputs, len(edges(train, horizon))).to(device)
    if pretrained is not None:
        take_over(network, pretrained)
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.peak_rate, weight_decay=recipe.weight_decay)
    steps = recipe.epochs * -(-len(train) // recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.peak_rate, total_steps=steps)
    course = _Course(network, optimizer, schedule, generator)
    targets = targets_of(train, horizon, recipe, teacher)
    if checkpoint is not None:
        course.resume(checkpoint)
    for epoch in range(course.epochs + 1, (stop_after or recipe.epochs) + 1):
        network.train()
        for rows in batches(train.inputs, recipe.batch, generator):
            loss = loss_of(network(*tensors(train.inputs, rows, device)), targets, torch.from_numpy(rows), recipe)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.steering(), 1.0)
            optimizer.step()
            schedule.step()
        if validation is None:
            course.take(epoch, None)
            note(f"epoch {epoch}")
        else:
            answers_now = predict(network, validation.inputs)
            if not np.isfinite(answers_now).all():
                raise DivergedError(f"epoch {epoch} ended with answers that are no numbers: try a smaller peak_rate")
            checked = calibrated_log_loss(validation.churned(horizon), answers_now)
            course.take(epoch, checked)
            note(f"epoch {epoch}: validation log-loss {checked:.4f}")
            checked_epoch(epoch, checked)
        if checkpoint is not None:
            course.save(checkpoint)
    network.load_state_dict(course.best)
    return Fitted(network.cpu().eval(), course.best_epoch, tuple(course.history))


class _Course:
    """A fit under way: all that the next epoch depends on, and the best one so far."""

    def __init__(
        self,
        network: ChurnNetwork,
        optimizer: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
        generator: np.random.Generator,
    ) -> None:
        self.epochs = 0
        self.best_epoch = 0
        self.best: dict[str, Tensor] = copy.deepcopy(network.state_dict())
        self.history: list[float] = []
        self._parts: dict[str, Any] = {"network": network, "optimizer": optimizer, "schedule": schedule}
        self._generator = generator

    def take(self, epoch: int, checked: float | None) -> None:
        """Ends an epoch that validated with `checked`, or was not to be validated."""
        self.epochs = epoch
        lowest = min(self.history, default=float("inf"))
        if checked is None or checked < lowest + _TIE:
            self.best, self.best_epoch = copy.deepcopy(self._parts["network"].state_dict()), epoch
        if checked is not None:
            self.history.append(checked)

    def save(self, path: Path) -> None:
        """Keeps everything; a kill while it is written leaves what was there before."""
        state: dict[str, Any] = {name: part.state_dict() for name, part in self._parts.items()}
        state |= {"epochs": self.epochs, "best_epoch": self.best_epoch, "best": self.best, "history": self.history}
        state |= {"torch": torch.get_rng_state(), "numpy": self._generator.bit_generator.state}
        save_checkpoint(path, state)

    def resume(self, path: Path) -> None:
        """Goes on where `path` stopped, if it is there."""
        state = load_checkpoint(path)
        if state is None:
            return
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        self.epochs, self.best_epoch = state["epochs"], state["best_epoch"]
        self.best, self.history = state["best"], state["history"]
        torch.set_rng_state(state["torch"])
        self._generator.bit_generator.state = state["numpy"]


def edges(rows: TrainingSet, horizon: int) -> tuple[int, ...]:
    """Returns the edges of the hazards in milliseconds: the set's horizons where its labels are a silence."""
    return rows.horizons if is_falling(rows.left) else (horizon,)


def predict(network: ChurnNetwork, inputs: ModelInput) -> Probabilities:
    """Returns uncalibrated probabilities of the main horizon, (N,)."""
    return np.concatenate([torch.sigmoid(some.logit).double().numpy() for some in answers(network, inputs)])[
        np.argsort(_by_length(inputs), kind="stable")
    ]


def answers(network: ChurnNetwork, inputs: ModelInput) -> Iterator[Outputs]:
    """Yields the outputs batch by batch, rows in the order of `_by_length`."""
    network.eval()
    order = _by_length(inputs)
    device = str(network.bias.device)
    with torch.no_grad():
        for start in range(0, len(order), _PREDICTED_AT_ONCE):
            found = network(*tensors(inputs, order[start : start + _PREDICTED_AT_ONCE], device))
            yield Outputs(*(one.cpu() for one in found))


def outputs_of(network: ChurnNetwork, inputs: ModelInput) -> Outputs:
    """Returns all outputs of N rows, in their order."""
    back = torch.from_numpy(np.argsort(_by_length(inputs), kind="stable"))
    return Outputs(*(torch.cat(some)[back] for some in zip(*answers(network, inputs), strict=True)))


def take_over(network: ChurnNetwork, weights: Mapping[str, Tensor]) -> None:
    """Loads those weights that the network has under the same name and in the same shape."""
    own = network.state_dict()
    fitting = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
    network.load_state_dict(fitting, strict=False)


def targets_of(train: TrainingSet, horizon: int, recipe: Recipe, teacher: Probabilities | None) -> Targets:
    """Returns what `train` (N) is to say; `teacher` holds probabilities (N,)."""
    churned = train.churned(horizon).astype(np.float64)
    soft = churned if teacher is None else recipe.soft_share * teacher + (1 - recipe.soft_share) * churned
    columns = [train.horizons.index(edge) for edge in edges(train, horizon)]
    seen, returned = seen_and_returned(train.left[:, columns])
    histories = Histories.of(train)
    return Targets(
        churned=torch.from_numpy(soft.astype(np.float32)),
        seen=torch.from_numpy(seen),
        returned=torch.from_numpy(returned),
        log_spend=torch.from_numpy(np.log1p(train.spent[:, train.horizons.index(horizon)])),
        next_kind=torch.from_numpy(histories.following(histories.numbers, train.moments).kinds),
    )


def loss_of(found: Outputs, targets: Targets, rows: Tensor, recipe: Recipe) -> Tensor:
    """Returns the mean loss of a batch whose outputs are `found`, the `rows` (B,) of `targets`."""
    wanted = Targets(*(target[rows].to(found.logit.device) for target in targets))
    loss = nn.functional.binary_cross_entropy_with_logits(found.logit, wanted.churned)
    loss = loss + hazard_loss(found.hazards, wanted.seen, wanted.returned)
    errors = torch.where(wanted.log_spend.isnan(), 0, found.log_spend - wanted.log_spend.nan_to_num())
    loss = loss + errors.square().mean()
    kinds = nn.functional.cross_entropy(found.next_kind, wanted.next_kind, ignore_index=0, reduction="sum")
    loss = loss + kinds / len(rows)
    if recipe.shape.features:
        loss = loss + recipe.steps_penalty * found.terms[:, -1].square().mean()
    return loss


def seed_everything(seed: int) -> np.random.Generator:
    """Seeds torch, makes it deterministic, and returns a generator for the rest."""
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    # The order of a sum depends on the number of threads: one everywhere, or the same seed is not the same model.
    # With matrices this small a second thread gains a fifth, and on a busy machine loses far more.
    torch.set_num_threads(1)
    return np.random.default_rng(seed)


def batches(inputs: ModelInput, size: int, generator: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yields row numbers in random batches of like length: half of all sequences hold two steps, few hold 64."""
    order = generator.permutation(len(inputs.features))
    bins = np.log2(lengths(inputs)[order]).round()
    order = order[np.argsort(bins, kind="stable")]
    some = [order[start : start + size] for start in range(0, len(order), size)]
    for number in generator.permutation(len(some)):
        yield some[number]


def tensors(inputs: ModelInput, rows: NDArray[np.int64], device: str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """Returns the rows' input without the padding that all of them share."""
    tokens, numbers, features = part = select(inputs, rows)
    longest = int(lengths(part).max())
    return (
        torch.from_numpy(tokens[:, -longest:]).to(device),
        torch.from_numpy(numbers[:, -longest:]).to(device),
        torch.from_numpy(features).to(device),
    )


def lengths(inputs: ModelInput) -> NDArray[np.int64]:
    """Returns how many steps each row has, at least 1."""
    return np.asarray((inputs.step_tokens[:, :, 0] > 0).sum(axis=1).clip(min=1), dtype=np.int64)


def _by_length(inputs: ModelInput) -> NDArray[np.int64]:
    return np.argsort(lengths(inputs), kind="stable")
