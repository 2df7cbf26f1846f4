"""`forestay replay`: put a recording on the topic."""

from pathlib import Path
from typing import Annotated

import typer

from forestay.cli.console import print_json
from forestay.cli.flags import settings_of


def replay(
    ctx: typer.Context,
    recording: Annotated[Path, typer.Argument(help="A recording, Parquet or JSONL.", show_default=False)],
    *,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Events a second, evenly.", show_default="as fast as possible")
    ] = None,
    speed: Annotated[
        float | None, typer.Option(min=0.001, help="Recorded pace, this many times faster.", show_default=False)
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the first N events.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The outcome as one JSON object.")] = False,
) -> None:
    """Replay a recording onto the clickstream topic.

    Keys, values and headers go out as they were recorded, to the same partitions if the topic has as many.
    The worker that reads it should run with worker.clock=none, so that time passes as it was recorded.

    **Examples**

    ```
    forestay replay recordings/online-retail-ii.parquet
    forestay replay recordings/online-retail-ii.parquet --rate 1000 --limit 60000
    forestay replay yesterday.jsonl --speed 60
    ```
    """
    from forestay.cli.group import INTERRUPTED
    from forestay.cli.replaying import send_recording

    if rate is not None and speed is not None:
        raise typer.BadParameter("--rate and --speed exclude each other")
    settings = settings_of(ctx)
    summary = send_recording(settings, recording, rate=rate, speed=speed, limit=limit)
    if as_json:
        print_json(
            {
                "topic": summary.topic,
                "sent": summary.acknowledged,
                "seconds": round(summary.seconds, 3),
                "halted": summary.halted,
                "partitions": {number: part.records for number, part in summary.partitions.items()},
            }
        )
    else:
        pace = summary.acknowledged / summary.seconds if summary.seconds else 0.0
        done = f"{summary.acknowledged:,} sent to {summary.topic} in {summary.seconds:.1f} s ({pace:,.0f}/s)"
        typer.echo(f"stopped half-way: {done}" if summary.halted else done)
    if summary.halted:
        raise typer.Exit(INTERRUPTED)
