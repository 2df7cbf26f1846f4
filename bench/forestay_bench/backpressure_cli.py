"""scripts/bench backpressure: what a worker holds while whoever comes next is slow."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from support.java import JavaFailedError, JavaUnavailableError

from forestay_bench.backpressure import CASES, Backlog, Held, too_much
from forestay_bench.broker import Broker
from forestay_bench.errors import BenchError
from forestay_bench.machine import machine
from forestay_bench.paths import CACHE

_EVENTS: Final = 400_000
_SECONDS: Final = 30.0
#: What may come and go between two thirds of a run (MB): chunks in hand, and what the C library keeps.
_BOUND: Final = 32.0
_WIDTH: Final = 160


def backpressure(
    events: Annotated[int, typer.Option(min=1_000, help="Events that wait before the worker starts.")] = _EVENTS,
    seconds: Annotated[float, typer.Option(min=5, help="How long each case is watched.")] = _SECONDS,
    out: Annotated[Path, typer.Option(help="Folder for the workers' logs.")] = CACHE / "results",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Nothing on stdout but one line of JSON.")] = False,
) -> None:
    """Show that a worker's memory stays flat before a backlog, a slow model and a broker that stands still.

    Exit code 1 if it grows with time, or a worker ends.
    """
    logs = out / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="kafka-", dir=CACHE) as folder, Broker(Path(folder)) as broker:
            backlog = Backlog(broker, events, logs)
            backlog.load()
            found = [backlog.run(case, seconds) for case in CASES]
    except (BenchError, JavaUnavailableError, JavaFailedError) as error:
        sys.exit(f"bench: {error}")
    console = Console(stderr=as_json)
    (console if console.is_terminal else Console(stderr=as_json, width=_WIDTH)).print(_table(found))
    rows = {one.name: {"peak": one.peak, "growth": one.growth, "left": one.left} for one in found}
    print(json.dumps({"backpressure": {"machine": machine(), "events": events, "cases": rows}}))  # noqa: T201
    if wrong := too_much(found, _BOUND):
        sys.exit(f"bench: memory is not flat: {', '.join(wrong)}")


def _table(found: list[Held]) -> Table:
    shown = Table()
    shown.add_column("case")
    for column in ("peak MB", "growth MB", "events left", "events/s"):
        shown.add_column(column, justify="right")
    shown.add_column("resident memory over time")
    for one in found:
        figures = (f"{one.peak:,.0f}", f"{one.growth:+,.0f}", f"{one.left:,}", f"{one.done_per_second:,.0f}")
        shown.add_row(one.title, *figures, one.sparkline())
    return shown
