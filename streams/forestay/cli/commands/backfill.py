"""`forestay backfill`: the state of all users, filled from history."""

from pathlib import Path
from typing import Annotated

import typer

from forestay.cli.console import print_json
from forestay.cli.flags import settings_of


def backfill(
    ctx: typer.Context,
    *,
    files: Annotated[
        list[Path] | None,
        typer.Option("--from", metavar="FILE", help="Events of the past; repeatable.", show_default=False),
    ] = None,
    from_topic: Annotated[
        bool, typer.Option("--from-topic", help="The clickstream from its beginning; the default.")
    ] = False,
    families: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="Fill only these families.", show_default="all"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The outcome as one JSON object.")] = False,
) -> None:
    """Fill features from history, so that workers start with them.

    For a family that was just switched on or written, and for a shop that has years of events before its first
    worker. The workers must be stopped. What history cannot tell stays: contacts, scores, other ids, positions.
    Where history knows less than a state has counted, nothing that is known is replaced. docs/backfill.md says more.

    **Examples**

    ```
    forestay backfill --dry-run
    forestay backfill --families cart,distinct
    forestay backfill --from 2024.parquet --from 2025.parquet --from-topic
    ```
    """
    from forestay.cli.backfilling import fill, report_lines

    settings = settings_of(ctx)
    names = None if families is None else tuple(name.strip() for name in families.split(","))
    report = fill(settings, files or [], from_topic=from_topic or not files, families=names, dry_run=dry_run)
    if as_json:
        print_json(report._asdict() | {"sample": [change._asdict() for change in report.sample], "dry_run": dry_run})
        return
    for line in report_lines(report, dry_run=dry_run):
        typer.echo(line)
