"""`forestay repair`: a damaged state, looked at and made fit to work on."""

from typing import Annotated

import typer

from forestay.cli.console import print_json
from forestay.cli.flags import settings_of


def repair(
    ctx: typer.Context,
    *,
    write: Annotated[bool, typer.Option("--write", help="Repair it; the workers must be stopped.")] = False,
    same_offsets: Annotated[
        bool,
        typer.Option("--same-offsets", help="Topics that were made again are copies with the offsets of the old."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="What is wrong as one JSON object.")] = False,
) -> None:
    """Look at the durable state, and repair what a worker refuses to work on.

    Without --write it reads all of it and says what is wrong and what a repair would do. Nothing is skipped unseen:
    what cannot be read is copied to the dead letters first. docs/recovery.md says what each damage means. Exits
    with 1 if something is wrong and was not repaired.

    **Examples**

    ```
    forestay repair
    forestay repair --write
    ```
    """
    from forestay.cli.repairing import look
    from forestay.shell.recovery.repair import summary

    damages = look(settings_of(ctx), write=write, same_offsets=same_offsets)
    if as_json:
        print_json({"damages": [damage._asdict() for damage in damages], "written": write and bool(damages)})
    else:
        for line in summary(damages, written=write):
            typer.echo(line)
    if damages and not write:
        raise typer.Exit(1)
