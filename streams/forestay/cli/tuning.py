"""Searches for a recipe for a person who watches, or for a machine."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from forestay.cli.console import console, printable, table
from forestay.cli.places import check_file
from forestay.cli.progress import progress
from forestay.cli.training import need_torch
from forestay.dataset.plan import parse_span

if TYPE_CHECKING:
    from forestay_training.tuning import Tried, Tuned

_SHOWN = ("width", "layers", "dropout", "peak_rate", "soft_share", "steps_penalty", "batch")


class Asked(NamedTuple):
    """The flags of `forestay tune` as they were written."""

    dataset: Path
    out: Path
    trials: int
    sampler: Literal["tpe", "random", "grid"]
    horizon: str | None
    epochs: int
    seed: int
    storage: str | None
    plot: Path | None
    track: bool
    resume: bool


def tuned(asked: Asked) -> dict[str, Any]:
    """Searches, writes the best recipe, and returns it with all trials.

    Raises:
        OSError: a file cannot be read or written.
        ForestayError: a flag or the training set is wrong.
    """
    need_torch()
    check_file("--out", asked.out, parents=True)
    if asked.plot is not None:
        check_file("--plot", asked.plot)
    from forestay_training.recipes import recipe_text
    from forestay_training.tracking import Run, tracked
    from forestay_training.training_set import TrainingSet
    from forestay_training.tuning import WEIGHT, Search, tune

    rows = TrainingSet.load(asked.dataset)
    horizon = rows.horizons[-1] if asked.horizon is None else parse_span(asked.horizon, "--horizon")
    search = Search(
        horizon, asked.trials, asked.sampler, asked.epochs, asked.seed, asked.storage, resume=asked.resume
    )
    # An address with a password in it is nobody else's business.
    parameters = asked._replace(storage=None)._asdict()
    with progress() as tell, tracked("tune", parameters, _say) if asked.track else nullcontext(Run()) as run:

        def done(tried: "Tried") -> None:
            tell("trials", tried.number + 1, asked.trials)
            _say(f"trial {tried.number + 1} of {asked.trials}, {tried.state}: {tried.objective or float('nan'):.4f}")
            for name in ("objective", "log_loss", "milliseconds"):
                value = getattr(tried, name)
                if value is not None:
                    run.measured(name, tried.number, value)

        found = tune(rows, search, _say, done)
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(recipe_text(found.recipe))
    if asked.plot is not None:
        _plot(found, asked.plot)
    best = found.best._asdict()
    return {"weight": WEIGHT, "best": best, "trials": [tried._asdict() for tried in found.trials]}


def _say(text: str) -> None:
    sys.stderr.write(f"{printable(text)}\n")


def _plot(found: "Tuned", path: Path) -> None:
    from optuna.visualization import plot_optimization_history, plot_parallel_coordinate

    figures = (plot(found.study) for plot in (plot_optimization_history, plot_parallel_coordinate))
    parts = [figure.to_html(full_html=False, include_plotlyjs=not number) for number, figure in enumerate(figures)]
    path.write_text(f"<!doctype html><meta charset='utf-8'><title>forestay tune</title>{''.join(parts)}\n")


def show(found: dict[str, Any], out: Path) -> None:
    """Shows the trials, the best first."""
    columns = ("trial", "objective", "log-loss", "ms/user", "epochs", *_SHOWN)
    rows = table(*columns, right=columns[1:])
    ended = [tried for tried in found["trials"] if tried["objective"] is not None]
    for tried in sorted(ended, key=lambda one: (one["state"] == "pruned", one["objective"])):
        stopped = " stopped" if tried["state"] == "pruned" else ""
        figures = (f"{tried[name]:.4f}" for name in ("objective", "log_loss", "milliseconds"))
        rows.add_row(
            f"{tried['number'] + 1}{stopped}", *figures, str(tried["epochs"]),
            *(f"{tried['recipe'][name]:.4g}" for name in _SHOWN),
        )  # fmt: skip
    console().print(rows)
    sys.stderr.write(f"{out}: the recipe of trial {found['best']['number'] + 1}; `forestay train --recipe {out}`\n")
