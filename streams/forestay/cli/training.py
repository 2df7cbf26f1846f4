"""Trains a model for a person who watches, or for a machine."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from forestay.cli.console import console, printable, table
from forestay.cli.errors import how_to_install
from forestay.cli.places import check_folder
from forestay.core.errors import ForestayError, UsageError
from forestay.dataset.plan import parse_span

if TYPE_CHECKING:
    from forestay_training.run import Fitter, Wishes
    from forestay_training.tracking import Run


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
    #: Epsilon and the most rows of a user, None without a budget.
    private: tuple[float, int] | None = None
    track: bool = True
    eight_bit: bool = False


def trained(asked: Asked) -> dict[str, Any]:
    """Trains, and returns the metrics.

    Raises:
        OSError: a file cannot be read or written.
        ForestayError: a flag or the training set is wrong, or there is nothing to learn.
    """
    need_torch()
    check_folder("--out", asked.out)
    if asked.private is not None and asked.pretrain == "yes":
        raise UsageError(
            "--private with --pretrain yes: pre-training would read the users without noise. Leave one of them out"
        )
    from forestay_training.fitting import Recipe
    from forestay_training.recipes import read_recipe
    from forestay_training.run import Wishes
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
        eight_bit=asked.eight_bit,
    )
    with told() as note:
        return _kept(asked, wishes, note)


def _kept(asked: Asked, wishes: "Wishes", note: Callable[[str], None]) -> dict[str, Any]:
    from forestay_training.run import look, train
    from forestay_training.tracking import Run, tracked

    parameters = {"dataset": str(asked.dataset), "private": asked.private} | asdict(wishes)
    # What is refused leaves no run behind.
    looked = look(asked.dataset, wishes.horizon, note)
    with tracked("train", parameters, note) if asked.track else nullcontext(Run()) as run:
        metrics = train(looked, asked.out, wishes, note, fitter=_fitter(asked, wishes), measured=run.measured)
        keep(run, metrics, asked.out)
    return metrics


def _fitter(asked: Asked, wishes: "Wishes") -> "Fitter | None":
    if asked.private is None:
        return None
    from forestay_training.private import Privacy
    from forestay_training.private_run import privately

    return privately(wishes, Privacy(*asked.private))


def keep(run: "Run", metrics: dict[str, Any], out: Path) -> None:
    """Has a tracked run keep the test figures and the candidate's files."""
    for model, figures in metrics["test"]["figures"].items():
        for measure, (value, _low, _high) in figures.items():
            if value is not None:
                run.measured(f"test/{model}/{measure}", 0, value)
    run.keep(out)


@contextmanager
def told() -> Iterator[Callable[[str], None]]:
    """Yields what shows on stderr how far a long run is."""
    started = time.monotonic()
    with console(stderr=True).status("reading the training set") as status:

        def note(text: str) -> None:
            status.update(printable(text))
            sys.stderr.write(f"{time.monotonic() - started:5.0f} s  {printable(text)}\n")

        yield note


def need_torch() -> None:
    """Says how to get what training needs, if it is not there.

    Raises:
        ForestayError: it is not.
    """
    if find_spec("torch") is None:
        raise ForestayError(f"training needs the extra 'train' (torch, 6 GB): {how_to_install('train')}")


def _device(wanted: str) -> str:
    import torch

    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise ForestayError("--device cuda: torch finds no GPU here; --device cpu trains in minutes")
    if not there or wanted == "cpu":
        return "cpu"
    # torch refuses deterministic products on a GPU without it (docs of torch.use_deterministic_algorithms); it is
    # read when the GPU is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return "cuda"


def show(metrics: dict[str, Any], out: Path) -> None:
    """Shows the figures on the test rows."""
    rows = table("model", "AUC", "log-loss", "ECE", right=("AUC", "log-loss", "ECE"))
    for name, figures in metrics["test"]["figures"].items():
        auc, low, high = ("-" if one is None else f"{one:.3f}" for one in figures["auc"])
        rows.add_row(name, f"{auc} [{low}, {high}]", f"{figures['log_loss'][0]:.3f}", f"{figures['ece'][0]:.3f}")
    console().print(rows)
    sys.stderr.write(
        f"{out}: version {metrics['model_version']}, {metrics['bytes']:,} bytes;"
        f" `forestay model promote {out}` takes it into the repository\n"
    )
