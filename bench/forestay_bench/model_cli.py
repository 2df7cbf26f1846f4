"""scripts/bench model: what serving costs, beside the model alone."""

import asyncio
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from forestay.core.errors import ForestayError
from forestay_bench.errors import BenchError
from forestay_bench.machine import machine
from forestay_bench.model_bench import CASES, Pace, compare, table
from forestay_bench.model_rows import rows
from forestay_bench.model_served import Model
from forestay_bench.paths import ROOT
from forestay_bench.screen import Screen

_PLAIN_WIDTH: Final = 200
_FOLDER: Final = ROOT / "model_repository" / "churn_transformer"


def model(
    folder: Annotated[Path, typer.Option(help="Of a model in a repository, or of a candidate.")] = _FOLDER,
    number: Annotated[int | None, typer.Option("--version", help="Of the model; none: the newest.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Training set whose users are asked about; none: of the shipped recording.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each side in each case; medians are told.")] = 5,
    *,
    seconds: Annotated[float, typer.Option(min=0.2, help="Of each turn.")] = 1.0,
    size: Annotated[int | None, typer.Option(help="Batches of so many users only.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Nothing on stdout but one line of JSON.")] = False,
) -> None:
    """Show how many users a second the embedded Triton answers about, beside ONNX Runtime alone, in turns."""
    screen = Screen(Console(stderr=True))
    cases = [case for case in CASES if size in (None, case.size)]
    try:
        asked = Model.of(folder, number)
        if not asked.any_length:
            screen.note(f"LEFT OUT: what cuts padding off: {asked.file} takes 64 steps a user and no fewer")
        found = asyncio.run(compare(asked, rows(data), cases, Pace(seconds, rounds), screen))
    except (BenchError, ForestayError) as error:
        sys.exit(f"bench: {error}")
    console = Console(stderr=as_json)
    (console if console.is_terminal else Console(stderr=as_json, width=_PLAIN_WIDTH)).print(table(found))
    what = {"machine": machine(), "onnxruntime": version("onnxruntime"), "tritonclient": version("tritonclient")}
    told = {**what, "file": str(asked.file), "outputs": asked.outputs, "runs": [one.as_json() for one in found]}
    print(json.dumps({"model": told}))  # noqa: T201
