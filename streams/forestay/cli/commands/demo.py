"""`forestay demo`: the main job."""

from pathlib import Path
from typing import Annotated

import typer

from forestay.cli.flags import local_overrides


def demo(
    ctx: typer.Context,
    *,
    out: Annotated[Path, typer.Option(help="Folder for logs, report and summary; replaced.")] = Path(
        ".forestay/demo"
    ),
    events: Annotated[
        int | None, typer.Option(min=1_000, metavar="N", help="Replay only the first N events.", show_default=False)
    ] = None,
    rate: Annotated[
        float, typer.Option(min=1, help="Events a second in the last part, which gives the latencies.")
    ] = 1_000,
    silence_days: Annotated[int, typer.Option(min=0, max=365, help="Days of silence after the last event.")] = 30,
    recording: Annotated[
        Path | None, typer.Option(help="Recording to replay.", show_default="recordings/online-retail-ii.parquet")
    ] = None,
    model_repository: Annotated[
        Path | None, typer.Option(help="Models for Triton to serve.", show_default="model_repository")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as one JSON object on stdout.")] = False,
) -> None:
    """Send a recorded shop through the whole path, and check that the books balance.

    Starts a broker, a Triton server and a worker of its own on this machine, replays a year of a real shop,
    waits until nothing is left to process and stops everything. Then it reads what came out: every event must be
    accounted for, every action must have its decision, every decision its score. Exit code 0 only if they do.

    Nothing is left running or stored but the folder --out. Environment and forestay.yaml play no part; settings
    can be tried with --set.

    **Examples**

    ```
    forestay demo
    forestay demo --events 50000
    forestay demo --set catalogue=my-offers.yaml --set engine.score_interval_minutes=1440
    forestay demo --json | jq .action_latency
    ```
    """
    from forestay.cli.demonstrating import demonstrate
    from forestay.demo.play import Pacing
    from forestay.demo.run import Options
    from forestay.demo.stack import find

    options = Options(
        out=out,
        recording=find("recordings/online-retail-ii.parquet", recording),
        model_repository=find("model_repository", model_repository),
        events=events,
        pacing=Pacing(rate, silence_days),
        overrides=local_overrides(ctx),
    )
    raise typer.Exit(demonstrate(options, as_json=as_json))
