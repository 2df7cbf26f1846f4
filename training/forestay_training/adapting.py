"""A fitted network moved to new rows by low-rank updates, without forgetting the old ones.

LoRA (Hu et al., 'LoRA: low-rank adaptation of large language models', ICLR 2022) on the linear layers that read:
encoder, tower and trunk. The base stays frozen but for the heads of the main horizon and of the hazards; what groups
of features say alone stays too. Old rows are replayed, towards what the base said of them (Li and Hoiem, 'Learning
without forgetting', ECCV 2016). The updates are merged: what comes out is a network like any other.
"""

import copy
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, get_peft_model
from torch import nn

from forestay.core.decision.model_input import ModelInput
from forestay.core.errors import ForestayError
from forestay.dataset.plan import span_text
from forestay_training.calibrate import calibrated_log_loss
from forestay_training.evaluation.rows import Rows
from forestay_training.fitting import (
    Fitted,
    Note,
    Probabilities,
    Recipe,
    Targets,
    batches,
    edges,
    loss_of,
    predict,
    seed_everything,
    targets_of,
    tensors,
)
from forestay_training.network import ChurnNetwork
from forestay_training.training_set import select

#: Where the linear layers that get updates are.
_READING: Final = ("encoder.", "tower.", "trunk.")
#: Small heads that are fitted as a whole.
_HEADS: Final = ("steps_term", "hazards")


@dataclass(frozen=True)
class Adaptation:
    """How to adapt: the `rank` of the updates, and the share of old rows among those of an epoch."""

    rank: int = 8
    replay: float = 0.2
    dropout: float = 0.1


class Old(NamedTuple):
    """What must not be forgotten: old rows to replay, (M,), and others to judge by, that nothing is fitted on."""

    replayed: Rows
    reference: Rows


class Adapted(NamedTuple):
    """The merged network, how many of its weights were free, and the reference's log-losses before and after."""

    fitted: Fitted
    free: int
    replayed: int
    before: float
    after: float

    @property
    def worse(self) -> float:
        """Returns by what share the log-loss on the reference has grown; below 0 it has fallen."""
        return self.after / self.before - 1


def adapt(  # noqa: PLR0917 - what a fit takes, and what it starts from
    base: ChurnNetwork,
    train: Rows,
    validation: Rows,
    old: Old,
    recipe: Recipe,
    how: Adaptation,
    seed: int,
    *,
    teacher: Probabilities | None,
    note: Note,
) -> Adapted:
    """Returns `base` moved to the rows of `train`, for which `teacher` may hold probabilities.

    The epoch with the lowest calibrated log-loss on `validation` is taken. Log-losses are calibrated, as all choices
    are: level is put right by calibration on the new rows.

    Raises:
        ForestayError: the sets do not have the horizons of the network.
    """
    for rows in (train, old.replayed):
        if len(edges(rows.set, rows.horizon)) != base.hazards.out_features or rows.set.horizons != train.set.horizons:
            known = ", ".join(map(span_text, rows.set.horizons))
            raise ForestayError(
                f"the model's curve has {base.hazards.out_features} edges, a training set has horizons {known}: make"
                " it with those the model was trained with"
            )
    generator = seed_everything(seed)
    model, free = _with_updates(base, how)
    inner: ChurnNetwork = model.get_base_model()
    parts = _parts(base, train, old.replayed, recipe, teacher)
    again = min(round(len(train) * how.replay / (1 - how.replay)), len(old.replayed))
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=recipe.peak_rate, weight_decay=recipe.weight_decay)
    steps = recipe.epochs * sum(-(-rows // recipe.batch) for rows in (len(train), again))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.peak_rate, total_steps=steps)
    best, history = (float("inf"), 0, inner.state_dict()), []
    for epoch in range(1, recipe.epochs + 1):
        model.train()
        some = generator.permutation(len(old.replayed))[:again]
        for part, batch in _epoch(train.inputs, old.replayed.inputs, some, recipe.batch, generator):
            inputs, targets = parts[part]
            loss = loss_of(model(*tensors(inputs, batch)), targets, torch.from_numpy(batch), recipe)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            schedule.step()
        checked = calibrated_log_loss(validation.churned, predict(inner, validation.inputs))
        history.append(checked)
        note(f"epoch {epoch}: log-loss on new rows {checked:.4f}")
        if checked < best[0]:
            best = (checked, epoch, copy.deepcopy(inner.state_dict()))
    inner.load_state_dict(best[2])
    merged: ChurnNetwork = model.merge_and_unload()
    reference = old.reference
    before, after = (calibrated_log_loss(reference.churned, predict(one, reference.inputs)) for one in (base, merged))
    return Adapted(Fitted(merged.eval(), best[1], tuple(history)), free, again, before, after)


def _parts(
    base: ChurnNetwork, train: Rows, old: Rows, recipe: Recipe, teacher: Probabilities | None
) -> tuple[tuple[ModelInput, Targets], tuple[ModelInput, Targets]]:
    """Returns inputs and targets of the new rows, and of the old ones, about which the base teaches."""
    remembered = predict(base, old.inputs)
    return (
        (train.inputs, targets_of(train.set, train.horizon, recipe, teacher)),
        (old.inputs, targets_of(old.set, old.horizon, recipe, remembered)),
    )


def _epoch(
    inputs: ModelInput, replayed: ModelInput, again: NDArray[np.int64], size: int, generator: np.random.Generator
) -> list[tuple[int, NDArray[np.int64]]]:
    """Returns the batches of an epoch, new (0) and old (1) in random order: which part, and its rows."""
    new = [(0, rows) for rows in batches(inputs, size, generator)]
    old = [(1, again[rows]) for rows in batches(select(replayed, again), size, generator)]
    both = new + old
    return [both[number] for number in generator.permutation(len(both))]


def _with_updates(base: ChurnNetwork, how: Adaptation) -> tuple[Any, int]:
    linear = [name for name, part in base.named_modules() if isinstance(part, nn.Linear)]
    config = LoraConfig(
        r=how.rank,
        lora_alpha=2 * how.rank,
        lora_dropout=how.dropout,
        target_modules=[name for name in linear if name.startswith(_READING)],
        modules_to_save=list(_HEADS),
    )
    model = get_peft_model(copy.deepcopy(base), config)
    return model, sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
