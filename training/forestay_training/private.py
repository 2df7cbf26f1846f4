"""Fitting under differential privacy: what the weights tell of any one user is bounded, all rows of theirs together.

DP-SGD (Abadi et al., 'Deep learning with differential privacy', CCS 2016) with the user as the unit (McMahan et al.,
'Learning differentially private recurrent language models', ICLR 2018): a step draws each user with the same
probability, takes one gradient for all rows drawn of a user, clips it, adds Gaussian noise to the sum. So the books
(Opacus' Rényi accountant) are kept by users, and no factor for the size of a group is needed.

What is covered: the weights, with respect to the users that are fitted on. What is not: the scales of the input,
taken from users held out, and the calibration fitted on them; the choice of the recipe; the figures of the report.
No teacher and no pre-training on the same users: trees and weights without noise would tell what noise hides.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from opacus.accountants import RDPAccountant
from opacus.accountants.utils import get_noise_multiplier
from opacus.optimizers import DPOptimizer
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from forestay.core.errors import ForestayError
from forestay_training.fitting import Fitted, Note, Recipe, Targets, edges, seed_everything, targets_of, tensors
from forestay_training.network import ChurnNetwork
from forestay_training.scaling import FeatureScaler
from forestay_training.training_set import TrainingSet

#: A user's gradient is cut to this length.
_CLIP: Final = 1.0
#: Of it, by right angles: the heads that listen have the larger losses and would drown the main one.
_STEERING, _LISTENING = 0.9, 0.43
#: Gradients of so many users are held at once: 110,000 weights each, 28 MB.
_USERS_AT_ONCE: Final = 64
Gradients = dict[str, Tensor]


@dataclass(frozen=True)
class Privacy:
    """What is asked: the budget `epsilon`, and how many rows of a user a step takes at most."""

    epsilon: float = 8.0
    max_rows_a_user: int = 4
    #: Users a step draws on average; more drown the noise better.
    users_a_step: int = 512


class Spent(NamedTuple):
    """What was spent on how many users, by the accountant: (`epsilon`, `delta`)-differential privacy of a user."""

    epsilon: float
    delta: float
    noise_multiplier: float
    clip: float
    sample_rate: float
    steps: int
    users: int
    max_rows_a_user: int
    accountant: str = "rdp"
    unit: str = "user"


class PrivateFit(NamedTuple):
    """The network, and what it cost."""

    fitted: Fitted
    spent: Spent


def fit_privately(  # noqa: PLR0917 - `fit`'s, and the budget
    train: TrainingSet, scales: TrainingSet, horizon: int, recipe: Recipe, seed: int, privacy: Privacy, *, note: Note
) -> PrivateFit:
    """Returns a network after all epochs of `recipe` over the users of `train`; `scales` are rows of other users.

    Weights begin by `seed`; who is drawn and the noise come from the system's entropy: whoever could make them again
    could take the noise off. So no two runs give the same weights.

    Raises:
        ForestayError: the budget cannot be kept, or a user is in both sets.
    """
    if np.intersect1d(train.users, scales.users).size:
        raise ForestayError("the scales are to be of users that nothing is fitted on")
    seed_everything(seed)
    network = ChurnNetwork(
        recipe.shape, FeatureScaler.fit(scales.inputs.features), scales.inputs, len(edges(train, horizon))
    )
    users = _Users(train, privacy)
    rate = min(1.0, privacy.users_a_step / len(users))
    steps = max(1, round(recipe.epochs / rate))
    delta = 1 / len(users) ** 1.1
    accountant = RDPAccountant()
    learner = _Learner(network, targets_of(train, horizon, recipe, None), recipe)
    optimizer = _noisy(learner, recipe, _noise(privacy.epsilon, delta, rate, steps), rate * len(users))
    optimizer.attach_step_hook(accountant.get_optimizer_hook_fn(rate))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer.original_optimizer, recipe.peak_rate, total_steps=steps)
    for step in range(1, steps + 1):
        parts = list(users.drawn(rate))
        for number, rows in enumerate(parts, start=1):
            learner.put_gradients(train, rows)
            optimizer.signal_skip_step(do_skip=number < len(parts))
            optimizer.step()
            optimizer.zero_grad()
        schedule.step()
        if step % max(1, steps // recipe.epochs) == 0:
            note(f"private step {step} of {steps}: epsilon {accountant.get_epsilon(delta):.2f}")
    spent = Spent(
        accountant.get_epsilon(delta), delta, optimizer.noise_multiplier, _CLIP, rate, steps, len(users),
        privacy.max_rows_a_user,
    )  # fmt: skip
    return PrivateFit(Fitted(network.eval(), recipe.epochs, ()), spent)


def _noise(epsilon: float, delta: float, rate: float, steps: int) -> float:
    try:
        return float(
            get_noise_multiplier(
                target_epsilon=epsilon, target_delta=delta, sample_rate=rate, steps=steps, accountant="rdp"
            )
        )
    except ValueError as error:
        raise ForestayError(f"no noise keeps epsilon {epsilon} over {steps} steps: {error}") from error


class _Users:
    """Who can be drawn, and the rows of each."""

    def __init__(self, train: TrainingSet, privacy: Privacy) -> None:
        order = np.argsort(train.users, kind="stable")
        _, firsts = np.unique(train.users[order], return_index=True)
        self._rows = np.split(order, firsts[1:])
        self._most = privacy.max_rows_a_user
        self._entropy = np.random.default_rng()

    def __len__(self) -> int:
        return len(self._rows)

    def drawn(self, rate: float) -> Iterator[NDArray[np.int64]]:
        """Yields rows (U, most) of the users of a step, at most `_USERS_AT_ONCE` at a time; -1 where one has fewer.

        Each user is drawn or not whatever the others are; a step without users yields (0, most).
        """
        chosen = np.flatnonzero(self._entropy.random(len(self)) < rate)
        rows = np.full((len(chosen), self._most), -1, dtype=np.int64)
        for place, user in enumerate(chosen):
            own = self._entropy.permutation(self._rows[user])[: self._most]
            rows[place, : len(own)] = own
        for start in range(0, max(1, len(rows)), _USERS_AT_ONCE):
            yield rows[start : start + _USERS_AT_ONCE]


class _Learner:
    """The network and its loss, as a gradient for each user."""

    def __init__(self, network: ChurnNetwork, targets: Targets, recipe: Recipe) -> None:
        self.network = network.train()
        # Weights, onto which Opacus has gradients hung.
        self.taught: dict[str, Any] = dict(network.named_parameters())
        steering = {id(weight) for weight in network.steering()}
        self._steering = {name for name, weight in self.taught.items() if id(weight) in steering}
        self._targets = targets
        self._penalty = recipe.steps_penalty
        # One rule for all: batched over users, not over rows. Bare parameters need no module of their own so.
        self._gradients: Any = vmap(grad(self._loss), in_dims=(None, *(0,) * 5), randomness="different")

    def put_gradients(self, train: TrainingSet, rows: NDArray[np.int64]) -> None:
        """Leaves each weight's gradients (U, ...) where Opacus looks for them; `rows` (U, R) are those of a user."""
        if not len(rows):
            for weight in self.taught.values():
                weight.grad_sample = torch.zeros(0, *weight.shape)
            return
        real = rows >= 0
        flat = np.where(real, rows, rows[:, :1]).ravel()
        inputs = (array.unflatten(0, rows.shape) for array in tensors(train.inputs, flat))
        told = Targets(*(target[torch.from_numpy(flat)].unflatten(0, rows.shape) for target in self._targets))
        shares = torch.from_numpy((real / real.sum(axis=1, keepdims=True)).astype(np.float32))
        weights = {name: weight.detach() for name, weight in self.taught.items()}
        found = self._clipped(self._gradients(weights, *inputs, told, shares))
        for name, weight in self.taught.items():
            weight.grad_sample = found[name]

    def _loss(  # noqa: PLR0917 - vmap takes what is batched by place
        self,
        weights: Gradients,
        tokens: Tensor,
        numbers: Tensor,
        features: Tensor,
        wanted: Targets,
        shares: Tensor,
    ) -> Tensor:
        """Returns one user's loss: the mean of their rows', as `fitting.loss_of` has it of a batch."""
        found = functional_call(self.network, weights, (tokens, numbers, features))
        losses = nn.functional.binary_cross_entropy_with_logits(found.logit, wanted.churned, reduction="none")
        if self.network.shape.features:
            losses = losses + self._penalty * found.terms[:, -1].square()
        bits = nn.functional.binary_cross_entropy_with_logits(found.hazards, wanted.returned, reduction="none")
        losses = losses + (bits * wanted.seen).sum(dim=1)
        errors = torch.where(wanted.log_spend.isnan(), 0, found.log_spend - wanted.log_spend.nan_to_num())
        losses = losses + errors.square()
        losses = losses + nn.functional.cross_entropy(
            found.next_kind, wanted.next_kind, ignore_index=0, reduction="none"
        )
        return (losses * shares).sum()

    def _clipped(self, found: Gradients) -> Gradients:
        """Cuts both parts of each user's gradient; together they are never longer than `_CLIP`."""
        factors = {
            part: _factors([found[name] for name in names], limit * _CLIP)
            for part, names, limit in (
                (True, self._steering, _STEERING),
                (False, self.taught.keys() - self._steering, _LISTENING),
            )
        }
        return {name: torch.einsum("u,u...->u...", factors[name in self._steering], of) for name, of in found.items()}


def _factors(gradients: list[Tensor], limit: float) -> Tensor:
    squares = torch.stack([of.flatten(1).square().sum(dim=1) for of in gradients]).sum(dim=0)
    return (limit / (squares.sqrt() + 1e-6)).clamp(max=1.0)


def _noisy(learner: _Learner, recipe: Recipe, noise: float, expected: float) -> Any:
    steps = torch.optim.AdamW(learner.taught.values(), lr=recipe.peak_rate, weight_decay=recipe.weight_decay)
    entropy = torch.Generator()
    entropy.seed()
    return DPOptimizer(
        steps, noise_multiplier=noise, max_grad_norm=_CLIP, expected_batch_size=expected, generator=entropy
    )
