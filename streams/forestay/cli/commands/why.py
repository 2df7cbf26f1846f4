"""`forestay why`: why a decision was taken, and what would have had to be different."""

from pathlib import Path
from typing import Annotated

import typer

from forestay.cli.flags import settings_of


def why(
    ctx: typer.Context,
    decision: Annotated[
        str | None, typer.Argument(metavar="DECISION", help="The id of a decision.", show_default=False)
    ] = None,
    *,
    user: Annotated[
        str | None, typer.Option("--user", metavar="ID", help="The newest decisions on a user.", show_default=False)
    ] = None,
    last: Annotated[int, typer.Option(min=1, max=1_000, metavar="N", help="With --user: so many.")] = 1,
    log: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Decisions and outcomes: recordings, folders or JSON lines; repeatable.",
            show_default="the topics on the broker",
        ),
    ] = None,
    catalogue: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The catalogue the decision was made with.", show_default="that of the settings"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell why a decision was taken.

    What set it off, the risk and what spoke for it, the offers considered with value and probability, those cut and
    by which rule, what was chosen, and what came of it. Then what would have had to be different: the record is
    decided again with one thing changed at a time, the risk, a feature, the draw, a rule, and the smallest change
    that leads to another choice is told. That needs the very catalogue of the decision; docs/why.md.

    **Examples**

    ```
    forestay why 9f2c6d3f0a8e4b7d91c5e6a7b8c9d0e1
    forestay why --user u-1041 --last 3 --log october
    forestay why --user u-1041 --log decisions.jsonl --log outcomes.jsonl --catalogue october.yaml --json
    ```
    """
    from forestay.cli.explaining import tell_why
    from forestay.why.finding import Asked

    if (decision is None) == (user is None):
        raise typer.BadParameter("name a decision, or a user with --user")
    tell_why(settings_of(ctx), Asked(decision, user, last), log or [], catalogue, as_json=as_json)
