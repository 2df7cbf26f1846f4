"""`python -m forestay_training`: trains the churn Transformer and exports it for Triton."""

import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from forestay.recording import RecordingError

_EPILOG: Final = """\
Examples

  python -m forestay_training                      # the shipped recording, some four minutes

  python -m forestay_training --quick --out /tmp/m # everything once, small, in under a minute

The recording must reach from 2010-03 to 2010-12, as the shipped one does: the split in time is part of the model
(training/forestay_training/splits.py). What it learns from, how it is judged and what it is good for: docs/model.md.
"""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog=_EPILOG)
def main(
    recording: Annotated[Path, typer.Option(help="Recording of click events to learn from.")] = Path(
        "recordings/online-retail-ii.parquet"
    ),
    out: Annotated[
        Path, typer.Option(help="Model folder to write: 1/model.onnx, config.pbtxt, metrics.json, model_card.md.")
    ] = Path("model_repository/churn_transformer"),
    seed: Annotated[int, typer.Option(help="Seed of the model that ships; the same seed gives the same file.")] = 7,
    quick: Annotated[
        bool, typer.Option("--quick", help="A small run to see that all works; its model is no good.")
    ] = False,
) -> None:
    """Train the churn Transformer on a recording, judge it beside its baselines, and export it for Triton.

    Replays the recording through the worker's own core, fits baselines and network on moments up to 2010-08-01,
    measures them on 2010-10-01, and writes a folder that Triton serves as it is. Two further seeds are measured too.
    """
    console = Console(stderr=True)
    if find_spec("torch") is None:
        console.print("Training needs the extra 'train' (6 GB with torch): `make training` adds it")
        raise typer.Exit(2)
    from forestay_training.run import FULL, QUICK, train  # noqa: PLC0415 - torch takes seconds; --help must not

    started = time.monotonic()
    with console.status("replaying the recording") as status:

        def note(text: str) -> None:
            console.print(f"[dim]{time.monotonic() - started:5.0f} s[/dim]  {text}", highlight=False)
            status.update(text)

        try:
            metrics = train(recording, out, seed, QUICK if quick else FULL, note)
        except RecordingError as error:
            console.print(str(error))
            raise typer.Exit(1) from error
    auc = {name: measures["auc"] for name, measures in metrics["test"]["figures"].items()}
    for name, (value, low, high) in auc.items():
        console.print(f"{name:45} AUC {value:.3f} [{low:.3f}, {high:.3f}]", highlight=False, markup=False)
    sys.stdout.write(f"{out}: model {metrics['model_version']}, {metrics['bytes']:,} bytes\n")


if __name__ == "__main__":
    app()
