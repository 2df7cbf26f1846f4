"""scripts/bench watch: what the watch costs, and how often it is wrong where nothing changes."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from forestay.compiled import form
from forestay_bench.machine import machine
from forestay_bench.screen import Screen
from forestay_bench.watch_bench import field_counting, overhead, records, wolf

_SIZES = (50, 500, 2_000)


def watch(
    events: Annotated[int, typer.Option(min=20_000, help="Events of the shipped recording.")] = 120_000,
    seed: Annotated[int, typer.Option(help="Of what is drawn.")] = 1,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Nothing on stdout but one line of JSON.")] = False,
) -> None:
    """Show what the watch costs an event by size of batch, and its false alarms in a year of unchanged real rows."""
    screen = Screen(Console(stderr=True))
    with screen.step("the watch looks on"):
        fed = records(events)
        costs, fields = [overhead(fed, size) for size in _SIZES], field_counting(fed[0])
    with screen.step("a year in which nothing changes"):
        found = wolf(fed, seed)
    console = Console(stderr=as_json)
    for one in costs:
        console.print(
            f"batches of {one.batch:,}: {one.watch_us + fields:.1f} µs of CPU an event beside {one.core_us:.0f} µs of"
            f" the core ({one.events:,} events, {one.scores:,} scores); a judgement {one.judgement_us:.0f} µs"
        )
    console.print(f"of it {fields:.2f} µs count an event's fields")
    console.print(
        f"seed {found.seed}: {found.alarms} alarms in {found.months} months of {found.columns} columns,"
        f" {found.users_a_day} users a day; at most {found.most_of_a_column_and_month} of a column in a month"
    )
    costs_found = {"batches": [asdict(one) for one in costs], "fields_us": fields, "wolf": asdict(found)}
    print(json.dumps({"watch": {"core": form().name, "machine": machine(), **costs_found}}))  # noqa: T201
