"""`forestay config`: what is set, and where from."""

from typing import Annotated

import typer

from forestay.cli.console import console, print_json, table
from forestay.cli.flags import flags_of, settings_of


def config(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="The settings as JSON, without their sources.")] = False,
) -> None:
    """Show every setting in force and where it comes from; secrets are hidden.

    A setting called worker.clock is the flag --set worker.clock=none, the variable FORESTAY_WORKER__CLOCK, and in
    forestay.yaml the line `clock: none` under `worker:`.

    **Examples**

    ```
    forestay config
    forestay config --config production.yaml --json
    ```
    """
    from forestay.cli.sources import settings_table

    settings = settings_of(ctx)
    if as_json:
        print_json(settings.model_dump(mode="json"))
        return
    from forestay.settings import config_file

    out = console()
    out.print(f"file: {config_file() or 'none (forestay.yaml, or --config FILE)'}")
    rows = table("setting", "value", "from", "meaning")
    for row in settings_table(settings, flags_of(ctx).overrides()):
        rows.add_row(row.name, row.value, row.source, row.meaning, style=None if row.source == "default" else "bold")
    out.print(rows)
