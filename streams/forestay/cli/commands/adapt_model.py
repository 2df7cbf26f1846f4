"""`forestay adapt-model`: a model moved to a market, or to what is new, without forgetting."""

from pathlib import Path
from typing import Annotated

import typer

_LEARN = "What is learnt"
_KEEP = "What is not forgotten"
_TELL = "What is told"


def adapt_model(
    *,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A candidate of `forestay train`, with weights.")],
    dataset: Annotated[Path, typer.Argument(metavar="FOLDER", help="The new rows: a training set.")],
    old: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER", help="The set the model was trained on.", show_default=False, rich_help_panel=_KEEP
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the candidate goes.")] = Path(
        ".forestay/adapted"
    ),
    rank: Annotated[
        int, typer.Option(min=1, max=64, help="Of the updates; more moves further.", rich_help_panel=_LEARN)
    ] = 8,
    epochs: Annotated[
        int, typer.Option(metavar="N", min=1, help="Passes over the rows.", rich_help_panel=_LEARN)
    ] = 4,
    seed: Annotated[
        int, typer.Option(metavar="N", help="The same seed is the same model.", rich_help_panel=_LEARN)
    ] = 7,
    replay: Annotated[
        float,
        typer.Option(min=0.0, max=0.9, help="Share of old rows among those of an epoch.", rich_help_panel=_KEEP),
    ] = 0.2,
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="The set whose users held out it is judged by.",
            show_default="--old",
            rich_help_panel=_KEEP,
        ),
    ] = None,
    max_worse: Annotated[
        float,
        typer.Option(min=0.0, help="Share the reference's log-loss may grow by.", rich_help_panel=_KEEP),
    ] = 0.01,
    draws: Annotated[
        int, typer.Option(metavar="N", min=20, help="Bootstrap draws of the intervals.", rich_help_panel=_TELL)
    ] = 400,
    track: Annotated[
        bool, typer.Option("--track/--no-track", help="Keep the run with MLflow.", rich_help_panel=_TELL)
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics.", rich_help_panel=_TELL)] = False,
) -> None:
    """Adapt a fitted model to a market or to new data, by low-rank updates that are merged before export.

    The model's weights stay frozen; small updates beside the layers that read (LoRA) and two small heads are fitted
    to the new rows, and old rows are replayed among them. Refused, with exit code 1 and nothing written, if the
    log-loss on the reference grows by more than `--max-worse`. What comes out is a candidate as of `forestay train`,
    judged on the new set's test rows. docs/tuning.md says more.

    **Examples**

    ```
    forestay adapt-model candidate set-of-march --old set --out adapted
    forestay adapt-model candidate set-of-france --old set --max-worse 0.05 --rank 16
    ```
    """
    from forestay.cli.console import print_json
    from forestay.cli.model_adapting import Asked, adapted
    from forestay.cli.training import show

    metrics = adapted(Asked(model, dataset, old, out, rank, epochs, seed, replay, reference, max_worse, draws, track))
    if as_json:
        print_json(metrics)
    else:
        show(metrics, out)
