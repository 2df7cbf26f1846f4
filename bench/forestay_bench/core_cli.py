"""scripts/bench memory and scripts/bench timers: what is measured in the core alone, without a broker."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from forestay.compiled import form
from forestay_bench.core_bench import (
    Core,
    memory_table,
    sizes_of_sets,
    sizes_table,
    timers_table,
    verdict,
)
from forestay_bench.errors import BenchError
from forestay_bench.machine import machine
from forestay_bench.screen import Screen

_STEPS: Final = (1_000, 10_000, 100_000, 1_000_000)
_MILLION: Final = 1_000_000
_PLAIN_WIDTH: Final = 200
AsJson = Annotated[bool, typer.Option("--json", help="Nothing on stdout but one line of JSON.")]


def memory(
    users: Annotated[int, typer.Option(min=1_000, help="Users held packed, as after recovery.")] = _MILLION,
    live: Annotated[int, typer.Option(min=1_000, help="Users of the measurement where all are live.")] = 20_000,
    data: Annotated[
        Path | None, typer.Option(help="Folder of public sets whose records are measured too (scripts/prove).")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show what a user takes in a worker's memory, and whether a million fit into 1 GiB."""
    screen = Screen(Console(stderr=True))
    try:
        with Core.open(screen) as core:
            found = [core.sizes, *(sizes_of_sets(data, screen) if data is not None else [])]
            packed, unpacked = core.packed(users), core.live(live)
    except BenchError as error:
        sys.exit(f"bench: {error}")
    console = _console(as_json)
    console.print(sizes_table(found))
    console.print(memory_table(packed, unpacked))
    console.print(verdict(packed))
    sets = [one._asdict() for one in found]
    _line("memory", {"packed": asdict(packed), "live": asdict(unpacked), "records": sets})


def timers(
    most: Annotated[int, typer.Option(min=1_000, help="Users grow from 1 thousand to so many.")] = _MILLION,
    *,
    as_json: AsJson = False,
) -> None:
    """Show what ticks, due users, restoring and events cost in the core as users grow to 1 million."""
    steps = [users for users in _STEPS if users <= most]
    try:
        with Core.open(Screen(Console(stderr=True))) as core:
            times = [core.timers(users) for users in steps]
            events = [core.events(users) for users in steps]
    except BenchError as error:
        sys.exit(f"bench: {error}")
    console = _console(as_json)
    console.print(timers_table(times, events))
    pairs = zip(times, events, strict=True)
    _line("timers", {"steps": [asdict(time) | asdict(event) for time, event in pairs]})


def _console(as_json: bool) -> Console:
    console = Console(stderr=as_json)
    return console if console.is_terminal else Console(stderr=as_json, width=_PLAIN_WIDTH)


def _line(what: str, found: dict[str, object]) -> None:
    print(json.dumps({what: {"core": form().name, "machine": machine(), **found}}))  # noqa: T201
