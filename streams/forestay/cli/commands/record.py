"""`forestay record`: write topics into a recording."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from forestay.cli.console import print_json
from forestay.cli.flags import settings_of


class Form(StrEnum):
    """What parts of a folder are written in."""

    PARQUET = "parquet"
    JSONL = "jsonl"


class OnGap(StrEnum):
    """What to do where records were deleted before they were recorded."""

    STOP = "stop"
    SKIP = "skip"


def record(
    ctx: typer.Context,
    out: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER|FILE",
            help="A folder, which can be gone on with, or one file, .parquet or .jsonl.",
            show_default=False,
        ),
    ],
    topics: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TOPIC]...", help="Roles or names of topics.", show_default="clickstream"),
    ] = None,
    *,
    patterns: Annotated[
        list[str] | None,
        typer.Option(
            "--pattern", metavar="REGEX", help="All topics whose name has this in it; repeatable.", show_default=False
        ),
    ] = None,
    start: Annotated[
        str, typer.Option("--from", metavar="WHERE", help="earliest, latest, an offset, or a time.")
    ] = "earliest",
    until: Annotated[
        str | None,
        typer.Option(metavar="WHERE", help="now, an offset, or a time (both exclusive).", show_default="now"),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Record what comes, until Ctrl-C or SIGTERM.")] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Stop after N records.", show_default=False)
    ] = None,
    on_gap: Annotated[
        OnGap, typer.Option(help="Where records were deleted before they were recorded: stop, or skip them.")
    ] = OnGap.STOP,
    form: Annotated[
        Form, typer.Option("--format", help="Of a folder's parts: parquet for size, jsonl for people.")
    ] = Form.PARQUET,
    as_json: Annotated[bool, typer.Option("--json", help="The outcome as one JSON object.")] = False,
) -> None:
    """Record topics, with keys, headers, timestamps and offsets.

    A role (clickstream, clock, identity, feedback, actions, decisions, outcomes, dead-letters, features, ledger,
    state, catalogue) stands for the topic that the settings name. Records of several partitions lie in the order of
    their timestamps, and those of a partition in their own. A folder gets a part every hour or 256 MB
    (record.part_minutes, record.part_megabytes). Run again, the same command goes on where the parts end, without gap
    or repeat; --from is then for new topics only. Ctrl-C and SIGTERM seal what there is; a second one drops the part
    under way, which is then fetched again.
    docs/recording.md says more.

    **Examples**

    ```
    forestay record yesterday clickstream --from 2026-11-01 --until 2026-11-02
    forestay record archive clickstream actions decisions --follow
    forestay record archive --pattern '^retention-' --follow --on-gap skip
    forestay record fixture.jsonl clickstream --limit 100
    forestay replay yesterday
    ```
    """
    from forestay.cli.recording import Request, outcome, report_lines, run

    if follow and until is not None:
        raise typer.BadParameter("--follow and --until exclude each other; --until with a time to come waits for it")
    request = Request(
        out=out,
        topics=topics or ([] if patterns else ["clickstream"]),
        patterns=patterns or [],
        start=start,
        until=None if follow else until or "now",
        limit=limit,
        skip_gaps=on_gap is OnGap.SKIP,
        form=form.value,
    )
    report = run(settings_of(ctx), request)
    if as_json:
        print_json(outcome(request.out, report))
    else:
        for line in report_lines(request.out, report):
            typer.echo(line)
