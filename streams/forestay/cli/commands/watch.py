"""`forestay watch`: drift, broken fields and returns over recordings."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from forestay.cli.console import print_json
from forestay.cli.flags import settings_of


def watch(
    ctx: typer.Context,
    recordings: Annotated[
        list[Path], typer.Argument(help="Recordings: Parquet, JSONL, or folders of parts.", show_default=False)
    ],
    *,
    reference: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What drift is told against; else watch.reference.", show_default=False),
    ] = None,
    first: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Watch from here on; what lies before is taken in first."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Watch up to here.")] = None,
    scores: Annotated[
        Literal["recorded", "triton", "none"],
        typer.Option(help="Of the recorded decisions, by Triton now, or none: fields and features alone."),
    ] = "recorded",
    write_reference: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write what was scored as a reference there.", show_default=False),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a report as one page too.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All of it as one JSON object.")] = False,
) -> None:
    """Watch recordings for drift, broken fields, and returns that the model did not expect; exit code 1 on an alarm.

    They are run through the core with no broker, under the settings in force, and watched as a worker watches its
    stream: all partitions together. Workers do the same all the time (GET /drift, /metrics). docs/watch.md says more.

    **Examples**

    ```
    forestay watch november --until 2026-11-15 --write-reference reference.json
    forestay watch november --from 2026-11-15 --reference reference.json --html watch.html
    forestay watch yesterday --json
    ```
    """
    from forestay.cli import watching
    from forestay.cli.places import check_file

    if html is not None:
        check_file("--html", html)

    wanted = watching.Wanted(recordings, reference, first, until, scores, write_reference)
    found = watching.watch(settings_of(ctx), wanted)
    if as_json:
        print_json(watching.as_json(found))
    else:
        for line in watching.report_lines(found):
            typer.echo(line)
    if html is not None:
        from forestay.watching.page import write_page

        write_page(html, found, ", ".join(map(str, recordings)))
    if found.course.alarms:
        raise typer.Exit(1)
