"""`forestay simulate`: a made-up shop in which it is known what offers do."""

import os
from pathlib import Path
from typing import Annotated

import typer

_SHOP = "The shop"
_SIZE = "How much of it"
_TELL = "What is told"


def simulate(
    ctx: typer.Context,
    *,
    events: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Fit the users' rhythm to the purchases in these files of events; repeatable.",
            show_default="a rhythm fitted to the CD shop CDNOW",
            rich_help_panel=_SHOP,
        ),
    ] = None,
    effects: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What offers do, and what the shop believes: YAML.",
            show_default="those of docs/simulation.md",
            rich_help_panel=_SHOP,
        ),
    ] = None,
    users: Annotated[int, typer.Option(min=100, max=100_000, help="Of each world.", rich_help_panel=_SIZE)] = 2_000,
    days: Annotated[int, typer.Option(min=120, max=1_500, help="Each world lasts.", rich_help_panel=_SIZE)] = 420,
    worlds: Annotated[
        int, typer.Option(min=1, max=10_000, help="Intervals are between worlds.", rich_help_panel=_SIZE)
    ] = 4,
    seed: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Of the first world; the others have the next.", rich_help_panel=_SIZE),
    ] = 7,
    workers: Annotated[
        int,
        typer.Option(
            min=1, max=256, help="Worlds at a time.", show_default="as many as cores", rich_help_panel=_SIZE
        ),
    ] = len(os.sched_getaffinity(0)),
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html", help="Write a page with plots too.", show_default=False, rich_help_panel=_TELL
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.", rich_help_panel=_TELL)] = False,
) -> None:
    """Try the policies in a made-up shop, where it is known what offers do.

    **Synthetic, all of it**, but for how often users order: that is fitted to a real shop. Features, triggers,
    guardrails, budgets, rewards, the fit of the learner and off-policy evaluation are the product's. Shown are the
    regret of what the shop believes, of drawing evenly and of the learner, fitted anew every 28 days; how often
    intervals of `forestay ope` hold the truth; and how a budget is spent over the day. A world of 2,000 users over
    420 days takes about a minute of one core. The same flags give the same figures. Needs the extra `train`;
    docs/simulation.md.

    **Examples**

    ```
    forestay simulate --report simulation.html
    forestay simulate --events orders.parquet --effects ours.yaml --worlds 20 --json
    ```
    """
    from forestay.cli.console import print_json
    from forestay.cli.flags import settings_of
    from forestay.cli.simulating import Wanted, show, simulated

    wanted = Wanted(events or [], effects, users, days, range(seed, seed + worlds), workers, report)
    found = simulated(settings_of(ctx), wanted)
    if as_json:
        print_json(found)
    else:
        show(found)
