"""Trains a model for a person who watches, or for a machine."""

import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

from forestay.cli.console import console, printable, table
from forestay.core.errors import ForestayError
from forestay.dataset.plan import parse_span


class Asked(NamedTuple):
    """The flags of `forestay train` as they were written."""

    dataset: Path
    out: Path
    horizon: str | None
    seed: int
    epochs: int | None
    recipe: Path | None
    pretrain: Literal["auto", "yes", "no"]
    device: str
    about: Path | None
    draws: int


def trained(asked: Asked) -> dict[str, Any]:
    """Trains, and returns the metrics.

    Raises:
        OSError: a file cannot be read or written.
        ForestayError: a flag or the training set is wrong, or there is nothing to learn.
    """
    need_torch()
    from forestay_training.fitting import Recipe
    from forestay_training.recipes import read_recipe
    from forestay_training.run import Wishes, train
    from forestay_training.training_set import TrainingSet

    recipe = Recipe() if asked.recipe is None else read_recipe(asked.recipe)
    if asked.epochs is not None:
        recipe = replace(recipe, epochs=asked.epochs)
    if asked.horizon is not None:
        horizon = parse_span(asked.horizon, "--horizon")
    else:
        horizon = TrainingSet.load(asked.dataset).horizons[-1]
    wishes = Wishes(
        horizon=horizon,
        seed=asked.seed,
        recipe=recipe,
        pretrain=asked.pretrain,
        device=_device(asked.device),
        bootstrap_draws=asked.draws,
        about="" if asked.about is None else asked.about.read_text(),
    )
    started = time.monotonic()
    with console(stderr=True).status("reading the training set") as status:

        def note(text: str) -> None:
            status.update(printable(text))
            sys.stderr.write(f"{time.monotonic() - started:5.0f} s  {printable(text)}\n")

        return train(asked.dataset, asked.out, wishes, note)


def need_torch() -> None:
    """Says how to get what training needs, if it is not there.

    Raises:
        ForestayError: it is not.
    """
    if find_spec("torch") is None:
        raise ForestayError("training needs the extra 'train' (torch, 6 GB): pip install 'forestay[train]'")


def _device(wanted: str) -> str:
    import torch

    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise ForestayError("--device cuda: torch finds no GPU here; --device cpu trains in minutes")
    return "cuda" if there and wanted in {"auto", "cuda"} else "cpu"


def show(metrics: dict[str, Any], out: Path) -> None:
    """Shows the figures on the test rows."""
    rows = table("model", "AUC", "log-loss", "ECE", right=("AUC", "log-loss", "ECE"))
    for name, figures in metrics["test"]["figures"].items():
        auc, low, high = figures["auc"]
        rows.add_row(
            name, f"{auc:.3f} [{low:.3f}, {high:.3f}]", f"{figures['log_loss'][0]:.3f}", f"{figures['ece'][0]:.3f}"
        )
    console().print(rows)
    sys.stderr.write(
        f"{out}: version {metrics['model_version']}, {metrics['bytes']:,} bytes;"
        f" `forestay model promote {out}` takes it into the repository\n"
    )
