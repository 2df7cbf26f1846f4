"""`forestay doctor`: what works, what does not, and what to do about it."""

from typing import Annotated

import typer

from forestay.cli.console import console, print_json
from forestay.cli.flags import flags_of


def doctor(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="The checks as one JSON object.")] = False,
) -> None:
    """Check settings, catalogue, Kafka, topics, Triton and model; say what to do. Exit code 1 if one fails.

    **Examples**

    ```
    forestay doctor
    forestay doctor --bootstrap-servers kafka:9092 --triton-url triton:8001 --json
    ```
    """
    from forestay.cli.checks import Status, examine

    flags = flags_of(ctx)
    checks = examine(flags.overrides(), flags.config_file)
    sound = not any(check.status is Status.FAILED for check in checks)
    if as_json:
        print_json({"ok": sound, "checks": [check._asdict() for check in checks]})
    else:
        out = console()
        colours = {Status.OK: "green", Status.FAILED: "bold red", Status.SKIPPED: "yellow"}
        for check in checks:
            out.print(f"{check.status:<8}", style=colours[check.status], end="")
            out.print(f"{check.name}: {check.detail}", soft_wrap=True)
            if check.advice:
                out.print(f"        → {check.advice}", soft_wrap=True)
    if not sound:
        raise typer.Exit(1)
