"""`forestay send`: put click events on the topic."""

from typing import Annotated

import typer

from forestay.cli.console import print_json
from forestay.cli.flags import settings_of


def send(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="Events as JSON, one a line, or - for stdin.")],
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Send lines that break the contract too, to see the dead letters work.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The outcome as one JSON object.")] = False,
) -> None:
    """Send click events from a file or from stdin, keyed by user.

    Every line is checked first; one that breaks the contract is named with its reason and left out, and the
    exit code is then 1. The contract is schemas/json/click_event.schema.json.

    **Examples**

    ```
    echo '{"event_id": "e1", "user_id": "u1", "event": "purchase", "ts": "2026-01-31T12:00:00Z", "price": 20}' \
      | forestay send -
    forestay send events.jsonl --bootstrap-servers kafka:9092
    ```
    """
    from forestay.cli.sending import send_lines

    settings = settings_of(ctx)
    outcome = send_lines(settings, file, as_is=as_is)
    if as_json:
        print_json(outcome._asdict() | {"left_out": [line._asdict() for line in outcome.left_out]})
    else:
        for line in outcome.left_out:
            typer.echo(f"line {line.number} {'sent as it is' if as_is else 'left out'}: {line.reason}", err=True)
        left_out = 0 if as_is else len(outcome.left_out)
        typer.echo(f"{outcome.sent:,} sent to {settings.topics.clickstream}, {left_out:,} left out")
    if outcome.left_out and not as_is:
        raise typer.Exit(1)
