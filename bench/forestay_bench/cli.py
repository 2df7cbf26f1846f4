"""The command line: scripts/bench compares; users and workers show how cost grows; memory, timers, model: parts."""

import json
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from support.java import JavaFailedError, JavaUnavailableError

from forestay_bench import backpressure_cli, barrier_bench, core_cli, model_cli, recovering, report, watch_cli
from forestay_bench.engine import FULL, SAME_JOB, Load, engine
from forestay_bench.errors import BenchError
from forestay_bench.machine import machine
from forestay_bench.paths import CACHE
from forestay_bench.peers import KAFKA_STREAMS, ON_REQUEST, REFERENCE, STOCK_FAUST, Peer
from forestay_bench.scaling import Step, by_users, by_workers
from forestay_bench.screen import Screen
from forestay_bench.sitting import Outcome, Sitting
from forestay_bench.stream import StreamSpec

app = typer.Typer(add_completion=False, help=__doc__, rich_markup_mode="rich")

_EVENTS: Final = 3_000_000
_PLAIN_WIDTH: Final = 200
_QUICK_EVENTS: Final = 60_000
_QUICK_FAUST_EVENTS: Final = 10_000
_LOADS: Final = {load.name: load for load in (SAME_JOB, FULL)}

Events = Annotated[int, typer.Option("--events", min=10_000, help="Events; stock Faust gets at most 100,000.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for results.md, results.json, plot.html and logs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Nothing on stdout but one line of JSON.")]
LoadName = Annotated[str, typer.Option("--load", help=f"One of {', '.join(_LOADS)}.")]
OUT: Final = CACHE / "results"


@app.callback(invoke_without_command=True)
def compare(
    ctx: typer.Context,
    *,
    peers: Annotated[str, typer.Option(help=f"More peers, by commas: {', '.join(ON_REQUEST)}.")] = "",
    events: Events = _EVENTS,
    quick: Annotated[bool, typer.Option("--quick", help="60,000 events: is all right? No claims.")] = False,
    as_json: AsJson = False,
    out: Out = OUT,
) -> None:
    """Compare this engine with its peers on one job, on a real Apache Kafka, in one sitting.

    Exit code 1 if an output is wrong or a run fails; a peer that this machine cannot run is left out aloud.
    """
    if ctx.invoked_subcommand is not None:
        return
    asked = _asked(peers)
    spec = StreamSpec(_QUICK_EVENTS if quick else events)
    small = StreamSpec(min(spec.events, _QUICK_FAUST_EVENTS if quick else STOCK_FAUST.most_events or spec.events))
    with _sitting(out, attempts=1 if quick else 2) as sitting:
        for peer in (REFERENCE, engine(SAME_JOB), engine(FULL), KAFKA_STREAMS, *asked):
            sitting.run(peer, spec)
        sitting.run(STOCK_FAUST, small)
        sitting.run(REFERENCE, spec)
        outcome = sitting.outcome
    report.write(outcome, out, quick)
    console = _console(as_json)
    console.print(report.table(outcome.runs))
    if quick:
        console.print("A quick run: it shows that all works and is right; its figures are no claim.")
    console.print(f"[dim]{out / 'results.md'}, {out / 'plot.html'}[/]")
    _end(outcome, report.ratio_line(outcome, quick))


@app.command()
def users(
    events: Events = _EVENTS,
    load: LoadName = FULL.name,
    skew: Annotated[float, typer.Option(min=0, help="Of Zipf's law; 0: all users alike.")] = 1.1,
    as_json: AsJson = False,
    out: Out = OUT,
) -> None:
    """Show what an event costs as users grow from 1 thousand to 1 million."""
    with _sitting(out) as sitting:
        steps = by_users(sitting, _load(load), events, skew)
        outcome = sitting.outcome
    _show("users", steps, outcome, as_json)


@app.command()
def workers(events: Events = _EVENTS, load: LoadName = FULL.name, as_json: AsJson = False, out: Out = OUT) -> None:
    """Show what an event costs as workers grow from 1 to 4."""
    with _sitting(out) as sitting:
        steps = by_workers(sitting, _load(load), events)
        outcome = sitting.outcome
    _show("workers", steps, outcome, as_json)


@app.command()
def transactions(
    seconds: Annotated[float, typer.Option(min=2, help="Of each run.")] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each way, in turns; the median is told.")] = 3,
    ways: Annotated[str, typer.Option(help="Which, by commas.")] = ",".join(barrier_bench.WAYS),
    bootstrap: Annotated[str | None, typer.Option(help="Brokers that run already; none: one is started.")] = None,
    replicas: Annotated[int, typer.Option(min=1, help="Of each topic.")] = 1,
    *,
    as_json: AsJson = False,
) -> None:
    """Show what it costs to make a batch durable: by the barrier, behind the fence, and in Kafka's transactions."""
    # Fresh topics have no leader for a moment, of which each client says so.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        with barrier_bench.place(bootstrap, replicas) as here:
            found = barrier_bench.measure_all(here, ways.split(","), seconds, rounds, Screen(Console(stderr=True)))
    except (BenchError, JavaUnavailableError, JavaFailedError) as error:
        sys.exit(f"bench: {error}")
    _console(as_json).print(barrier_bench.table(found))
    print(json.dumps({"transactions": {"machine": machine(), "runs": [one.as_json() for one in found]}}))  # noqa: T201


@app.command()
def recovery(events: Events = _EVENTS, as_json: AsJson = False, out: Out = OUT) -> None:
    """Show how fast state comes back from the changelog alone, beside Kafka Streams and stock Faust."""
    with _sitting(out) as sitting:
        found = recovering.recoveries(sitting, StreamSpec(events))
        outcome = sitting.outcome
    _console(as_json).print(recovering.table(found))
    told = {"recovery": {**recovering.ratios(found), "runs": [asdict(one) | {"rate": one.rate} for one in found]}}
    (out / "recovery.json").write_text(json.dumps({"machine": machine(), **told}, indent=2) + "\n")
    _end(outcome, json.dumps(told))


app.command()(core_cli.memory)
app.command()(core_cli.timers)
app.command()(watch_cli.watch)
app.command()(backpressure_cli.backpressure)
app.command()(model_cli.model)


def _asked(names: str) -> list[Peer]:
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in ON_REQUEST]
    if unknown:
        raise typer.BadParameter(f"no such peer: {', '.join(unknown)}; there are {', '.join(ON_REQUEST)}")
    return [ON_REQUEST[name] for name in wanted]


def _load(name: str) -> Load:
    return _LOADS[name]


def _as_exit(number: int, _: object) -> None:
    """Turns a signal into an orderly end, so that broker and workers go too."""
    sys.exit(128 + number)


@contextmanager
def _sitting(out: Path, attempts: int = 2) -> Iterator[Sitting]:
    signal.signal(signal.SIGTERM, _as_exit)
    try:
        with Sitting.open(out, Screen(Console(stderr=True)), attempts) as sitting:
            yield sitting
    except (BenchError, JavaUnavailableError, JavaFailedError) as error:
        sys.exit(f"bench: {error}")


def _show(what: str, steps: list[Step], outcome: Outcome, as_json: bool) -> None:
    _console(as_json).print(report.table([step.run for step in steps]))
    _end(outcome, json.dumps({what: [{what: step.size, **asdict(step.run)} for step in steps]}))


def _console(as_json: bool) -> Console:
    """Returns where the table goes; a file or a pipe has no width that would have to fold it."""
    console = Console(stderr=as_json)
    return console if console.is_terminal else Console(stderr=as_json, width=_PLAIN_WIDTH)


def _end(outcome: Outcome, line: str) -> None:
    """Says what is missing or wrong, then the line of JSON, last of all."""
    for note in outcome.left_out:
        print(f"LEFT OUT: {note}", file=sys.stderr)  # noqa: T201
    for failure in outcome.failures:
        print(f"FAILED: {failure}", file=sys.stderr)  # noqa: T201
    print(line, flush=True)  # noqa: T201
    if outcome.failures:
        raise typer.Exit(1)
