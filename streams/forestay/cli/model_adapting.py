"""Adapts a model for a person who watches, or for a machine."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from forestay.cli.places import check_folder
from forestay.cli.training import keep, need_torch, told


class Asked(NamedTuple):
    """The flags of `forestay adapt-model` as they were written."""

    model: Path
    dataset: Path
    old: Path
    out: Path
    rank: int
    epochs: int
    seed: int
    replay: float
    reference: Path | None
    max_worse: float
    draws: int
    track: bool


def adapted(asked: Asked) -> dict[str, Any]:
    """Adapts, and returns the metrics.

    Raises:
        OSError: a file cannot be read or written.
        ForestayError: the model or a set is wrong, or the reference has become worse.
    """
    need_torch()
    check_folder("--out", asked.out)
    from forestay_training.adapting import Adaptation
    from forestay_training.adapting_run import RECIPE, Base, adapting, old_rows
    from forestay_training.run import Wishes, look, train
    from forestay_training.tracking import Run, tracked
    from forestay_training.training_set import TrainingSet

    base = Base.load(asked.model)
    recipe = replace(RECIPE, shape=base.network.shape, epochs=asked.epochs)
    wishes = Wishes(base.horizon, asked.seed, recipe, bootstrap_draws=asked.draws)
    with told() as note:
        reference = None if asked.reference is None else TrainingSet.load(asked.reference)
        old = old_rows(TrainingSet.load(asked.old), reference, base.horizon)
        fitter = adapting(base, wishes, old, Adaptation(asked.rank, asked.replay), asked.max_worse)
        looked = look(asked.dataset, wishes.horizon, note)
        with tracked("adapt-model", asked._asdict(), note) if asked.track else nullcontext(Run()) as run:
            metrics = train(looked, asked.out, wishes, note, fitter=fitter)
            for name in ("before", "after"):
                run.measured(f"reference_log_loss_{name}", 0, metrics["adapted"][name])
            keep(run, metrics, asked.out)
    return metrics
