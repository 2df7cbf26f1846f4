"""`forestay features`: what the features are, and what they were at any moment."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from forestay.cli.console import console, print_json, table
from forestay.cli.flags import settings_of


def features(
    ctx: typer.Context,
    *,
    listing: Annotated[bool, typer.Option("--list", help="Every feature: meaning, unit, default.")] = False,
    events: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Events to compute features from; repeatable.", show_default=False),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="RFC 3339, a date, or epoch ms.", show_default="the newest event's time"),
    ] = None,
    user: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Only this user; repeatable.", show_default=False)
    ] = None,
    form: Annotated[
        Literal["parquet", "json", "csv", "table"] | None,
        typer.Option("--format", help="How to write them.", show_default="by the name of --out, else table"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write here instead of stdout.", show_default=False)
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Rows that are no events make it fail.")] = False,
    family: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --list: only this family.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="With --list: as JSON.")] = False,
) -> None:
    """List the features, or compute them point in time from files of events.

    A file is a recording, or Parquet, CSV, JSON lines or a JSON array whose columns or keys are named as the fields
    of a click event. The order of its rows does not matter; an event counts once, and only if it is not later than
    TIME. Rows that are no events are left out and told. Settings say which families and windows there are.
    docs/backfill.md says more.

    **Examples**

    ```
    forestay features --list
    forestay features --list --family cart --json
    forestay features --events recordings/online-retail-ii.parquet --at 2010-06-01 --user u12748
    forestay features --events events.csv --at 2026-01-31T12:00:00Z --out features.parquet
    ```
    """
    if listing == bool(events):
        raise typer.BadParameter("say one of: --list, --events FILE")
    if listing and (at is not None or user or form is not None or out is not None or strict):
        raise typer.BadParameter("--at, --user, --format, --out and --strict are for --events")
    if events and (family is not None or as_json):
        raise typer.BadParameter("--family and --json are for --list; with --events, say --format json")
    from forestay.cli.featuring import Wanted, compute, form_of, listed

    settings = settings_of(ctx)
    if events:
        form_of(form, out)
        compute(settings, Wanted(events, at, user or [], form, out, strict))
        return
    found = listed(settings.features.feature_set(), family)
    if as_json:
        print_json(found)
        return
    rows = table("feature", "meaning", "unit", "default", "family", right=("default",))
    for one in found:
        rows.add_row(one["name"], one["meaning"], one["unit"], f"{one['default']:g}", one["family"])
    console().print(rows)
