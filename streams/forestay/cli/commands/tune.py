"""`forestay tune`: a recipe that is good and fast, found by trying."""

from pathlib import Path
from typing import Annotated, Literal

import typer

_SEARCH = "The search"
_TELL = "What is told"


def tune(
    *,
    dataset: Annotated[Path, typer.Argument(metavar="FOLDER", help="A training set of `forestay dataset`.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The best recipe, for `forestay train --recipe`.")] = Path(
        ".forestay/recipe.json"
    ),
    trials: Annotated[
        int, typer.Option(metavar="N", min=1, help="Recipes tried, resumed ones included.", rich_help_panel=_SEARCH)
    ] = 20,
    sampler: Annotated[
        Literal["tpe", "random", "grid"],
        typer.Option(help="tpe learns from the trials before.", rich_help_panel=_SEARCH),
    ] = "tpe",
    horizon: Annotated[
        str | None,
        typer.Option(
            metavar="SPAN",
            help="The label decisions are made by.",
            show_default="the training set's longest",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    epochs: Annotated[
        int, typer.Option(metavar="N", min=1, help="Passes over the rows a trial.", rich_help_panel=_SEARCH)
    ] = 8,
    seed: Annotated[int, typer.Option(metavar="N", help="Of sampling and of each fit.", rich_help_panel=_SEARCH)] = 7,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where trials are kept, for instance sqlite:///tune.db.",
            show_default="in memory",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the trials in --storage.", rich_help_panel=_SEARCH)
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A page of the search (plotly).", show_default=False, rich_help_panel=_TELL
        ),
    ] = None,
    track: Annotated[
        bool, typer.Option("--track/--no-track", help="Keep the search with MLflow.", rich_help_panel=_TELL)
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print recipe and trials.", rich_help_panel=_TELL)] = False,
) -> None:
    """Search for a recipe that is good and fast: width, layers, dropout, rates, targets, batch.

    Each trial is fitted like `forestay train` fits and judged on users held out, by the calibrated log-loss plus
    0.002 for each millisecond a user costs in ONNX Runtime (one thread, batches of 32). Trials that fall behind the
    middle of the others are stopped early. The first is today's recipe, so the best is no worse. Test rows are never
    looked at. docs/tuning.md says what to expect.

    **Examples**

    ```
    forestay tune set --trials 20 --out recipe.json
    forestay tune set --storage sqlite:///tune.db --trials 40 --resume --plot tune.html
    forestay train set --recipe recipe.json
    ```
    """
    from forestay.cli.console import print_json
    from forestay.cli.tuning import Asked, show, tuned

    found = tuned(Asked(dataset, out, trials, sampler, horizon, epochs, seed, storage, plot, track, resume=resume))
    if as_json:
        print_json(found)
    else:
        show(found, out)
