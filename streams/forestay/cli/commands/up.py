"""`forestay up`: broker, Triton and worker, to try things with."""

from pathlib import Path
from typing import Annotated

import typer

from forestay.cli.flags import local_overrides


def up(
    ctx: typer.Context,
    *,
    out: Annotated[Path, typer.Option(help="Folder for logs and the settings that reach it all.")] = Path(
        ".forestay/up"
    ),
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Kafka's port on this machine.")] = 9092,
    model_repository: Annotated[
        Path | None, typer.Option(help="Models for Triton to serve.", show_default="model_repository")
    ] = None,
) -> None:
    """Start a broker, a Triton server and a worker on this machine, and keep them up until Ctrl-C.

    Prints the addresses and how to send a first event. Everything listens on this machine alone, and the broker
    keeps what it holds in memory: it ends with this command. If one part dies, the others are stopped.

    Recorded time and real time do not mix: to replay a recording into it, stop the wall clock.

    **Examples**

    ```
    forestay up
    forestay up --port 19092 --set catalogue=my-offers.yaml
    forestay up --set worker.clock=none
    ```
    """
    from forestay.cli.upkeep import keep_up
    from forestay.demo.stack import find

    raise typer.Exit(keep_up(out, find("model_repository", model_repository), port, local_overrides(ctx)))
