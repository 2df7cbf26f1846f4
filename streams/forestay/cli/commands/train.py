"""`forestay train`: from a training set to a model that can be promoted."""

from pathlib import Path
from typing import Annotated, Literal

import typer

_LEARN = "What is learnt"
_TELL = "What is told"
_PRIVATE = "Differential privacy"


def train(
    *,
    dataset: Annotated[Path, typer.Argument(metavar="FOLDER", help="A training set of `forestay dataset`.")],
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the candidate goes: model, figures, card, weights.")
    ] = Path(".forestay/candidate"),
    horizon: Annotated[
        str | None,
        typer.Option(
            metavar="SPAN",
            help="The label decisions are made by; the others shape the curve.",
            show_default="the training set's longest",
            rich_help_panel=_LEARN,
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", help="The same seed is the same model.", rich_help_panel=_LEARN)
    ] = 7,
    epochs: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Passes over the rows.", show_default="8", rich_help_panel=_LEARN),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON with other settings.", show_default=False, rich_help_panel=_LEARN),
    ] = None,
    pretrain: Annotated[
        Literal["auto", "yes", "no"],
        typer.Option(
            help="Learn first what comes next, without labels; auto takes what validates better.",
            rich_help_panel=_LEARN,
        ),
    ] = "auto",
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Where it is fitted.", rich_help_panel=_LEARN)
    ] = "cpu",
    eight_bit: Annotated[
        bool,
        typer.Option(
            "--eight-bit", help="Export with 8-bit weights, for CPUs (promote with --force).", rich_help_panel=_LEARN
        ),
    ] = False,
    private: Annotated[
        bool, typer.Option("--private", help="Bound what the weights tell of any user.", rich_help_panel=_PRIVATE)
    ] = False,
    epsilon: Annotated[
        float, typer.Option(min=0.01, help="The bound; less is more private.", rich_help_panel=_PRIVATE)
    ] = 8.0,
    max_rows: Annotated[
        int,
        typer.Option(
            "--max-rows-a-user", metavar="N", min=1, help="Of a user drawn, rows a step.", rich_help_panel=_PRIVATE
        ),
    ] = 4,
    about: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Markdown for the card: where the data is from, under which terms.",
            show_default=False,
            rich_help_panel=_TELL,
        ),
    ] = None,
    draws: Annotated[
        int, typer.Option(metavar="N", min=20, help="Bootstrap draws of the intervals.", rich_help_panel=_TELL)
    ] = 400,
    track: Annotated[
        bool, typer.Option("--track/--no-track", help="Keep the run with MLflow.", rich_help_panel=_TELL)
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics.", rich_help_panel=_TELL)] = False,
) -> None:
    r"""Train the churn Transformer on a training set, judge it, and export it for Triton.

    Pre-training on next events, then fitting to labels and to boosted trees that have not seen the user, the epoch
    that validates best, calibration inside the graph, figures beside logistic regression and tuned LightGBM on the
    test rows, and one ONNX file. What comes out is a candidate: `forestay model promote FOLDER` takes it into the
    model repository if it passes the gates.

    Killed in the middle, the same command goes on where it stopped, to the same bytes. Needs the extra `train`
    (torch); runs are tracked with MLflow where it is installed. docs/model.md says how the model is made,
    docs/tuning.md what `--private` promises.

    **Examples**

    ```
    forestay dataset events.parquet --every 14d --from 2026-01-01 --until 2026-06-01 --cutoff 2026-08-01 \
        --horizon 1d --horizon 7d --horizon 28d --horizon 60d --test-from 2026-08-01 --out set
    forestay train set --out candidate
    forestay train set --private --epsilon 8 --out private
    forestay train set --horizon 28d --recipe recipe.json --device auto --json > metrics.json
    ```
    """
    from forestay.cli.console import print_json
    from forestay.cli.training import Asked, show, trained

    budget = (epsilon, max_rows) if private else None
    metrics = trained(
        Asked(dataset, out, horizon, seed, epochs, recipe, pretrain, device, about, draws, budget, track, eight_bit)
    )
    if as_json:
        print_json(metrics)
    else:
        show(metrics, out)
