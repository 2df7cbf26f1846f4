"""`forestay replay`: put recordings back on topics."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forestay.cli.console import print_json
from forestay.cli.flags import settings_of

if TYPE_CHECKING:
    from forestay.replay.outcome import Summary


def replay(
    ctx: typer.Context,
    recordings: Annotated[
        list[Path],
        typer.Argument(metavar="RECORDING...", help="Files or folders, in recorded order.", show_default=False),
    ],
    *,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="TOPIC", help="Only this recorded topic or role; repeatable.", show_default=False),
    ] = None,
    topic: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="Where a recorded topic goes; repeatable.", show_default=False),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Records a second, evenly.", show_default="as fast as possible")
    ] = None,
    speed: Annotated[
        float | None, typer.Option(min=0.001, help="Recorded pace, this many times faster.", show_default=False)
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="WHERE", help="A row, counted from 0, or a recorded time.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="WHERE", help="A row or a recorded time (both exclusive).")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most N records.", show_default=False)
    ] = None,
    keep_timestamps: Annotated[
        bool, typer.Option("--keep-timestamps", help="Records carry the recorded time, not that of sending.")
    ] = False,
    create: Annotated[
        bool, typer.Option("--create", help="Make topics that are missing, with the recorded number of partitions.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The outcome as one JSON object.")] = False,
    no_broker: Annotated[
        bool,
        typer.Option("--no-broker", help="Through the core alone: the same as `forestay rerun`, with its flags."),
    ] = False,
) -> None:
    """Replay recordings onto topics.

    Keys, values and headers go out as they were recorded, in the recorded order, to topics of the same role or name,
    and to the same partitions if those have as many. What workers write (actions, decisions and so on) goes out only
    if --only or --topic names it. Rows are counted over all recordings and topics. Ctrl-C waits for what is under way
    and says how to go on. The worker that reads it should run with worker.clock=none, so that time passes as it was
    recorded. `forestay rerun`, or `replay --no-broker`, runs recordings through the core with no broker.
    docs/recording.md says more.

    **Examples**

    ```
    forestay replay recordings/online-retail-ii.parquet
    forestay replay recordings/online-retail-ii.parquet --rate 1000 --limit 60000
    forestay replay monday tuesday --speed 60 --from 2026-11-02T06:00:00Z
    forestay replay archive --only decisions --topic decisions=decisions-copy --create
    ```
    """
    # With it, the group has run `rerun` instead (forestay.cli.group): it is here for --help to name it.
    del no_broker
    from forestay.cli.group import INTERRUPTED
    from forestay.cli.replaying import Request, run
    from forestay.replay.outcome import ReplayError

    if rate is not None and speed is not None:
        raise typer.BadParameter("--rate and --speed exclude each other")
    request = Request(
        recordings=recordings,
        only=only or (),
        renamed=dict(_renamed(text) for text in topic or ()),
        rate=rate,
        speed=speed,
        start=start,
        until=until,
        limit=limit,
        keep_timestamps=keep_timestamps,
        create=create,
    )
    try:
        summary = run(settings_of(ctx), request)
    except ReplayError as error:
        if error.summary is not None:
            _tell(error.summary, as_json=as_json)
        raise
    _tell(summary, as_json=as_json)
    if summary.halted:
        raise typer.Exit(INTERRUPTED)


def _renamed(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise typer.BadParameter(f"--topic {text}: write it as OLD=NEW")
    return old, new


def _tell(summary: "Summary", *, as_json: bool) -> None:
    from forestay.cli.replaying import outcome, report_lines

    if as_json:
        print_json(outcome(summary))
        return
    for line in report_lines(summary):
        typer.echo(line)
