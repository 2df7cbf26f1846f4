"""`forestay rerun`: recordings through the core, with no broker."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from forestay.cli.console import print_json
from forestay.cli.flags import settings_of

#: How far off the answer of the same model may be: what another batch or machine changes in a float's last digits.
_TOLERANCE = 1e-5


def rerun(
    ctx: typer.Context,
    recordings: Annotated[
        list[Path], typer.Argument(help="Recordings: Parquet, JSONL, or folders of parts.", show_default=False)
    ],
    *,
    ledger: Annotated[
        bool,
        typer.Option("--ledger", help="Batch by batch as it was, compared to the byte; exit code 1 if not the same."),
    ] = False,
    scores: Annotated[
        Literal["recorded", "triton", "none"],
        typer.Option(help="Of the recorded decisions, by Triton now, or the lower rungs of the ladder."),
    ] = "recorded",
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="With --ledger --scores triton: how far off an answer may be.", show_default="1e-5"
        ),
    ] = None,
    quiet_days: Annotated[
        float, typer.Option(min=0, max=3_650, metavar="DAYS", help="Silence after the last record.")
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write what is made there, .parquet or .jsonl.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The outcome as one JSON object.")] = False,
) -> None:
    """Run recordings through the core, with no broker: what would have been decided.

    Events and clock records are taken in the order of recorded time, under the settings in force: catalogue,
    triggers, rules. The same recordings, settings and scores make the same bytes. With --ledger, what workers did is
    done again and compared, and the first batch that differs is named. docs/replay.md says more.

    **Examples**

    ```
    forestay rerun yesterday --out made.parquet
    forestay rerun events.parquet decisions.parquet --set catalogue=offers.yaml
    forestay rerun yesterday --ledger
    forestay rerun recordings/online-retail-ii.parquet --scores triton --json
    ```
    """
    from forestay.cli import rerunning

    if tolerance is not None and not (ledger and scores == "triton"):
        raise typer.BadParameter("--tolerance is for --ledger with --scores triton: nothing else asks again")
    wanted = rerunning.Wanted(recordings, scores, quiet_days, out)
    if ledger:
        if quiet_days:
            raise typer.BadParameter("--quiet-days is not for --ledger, which says what time it was")
        if scores == "none":
            raise typer.BadParameter("--scores none is not for --ledger: what workers did was done with their scores")
        found = rerunning.verify(settings_of(ctx), wanted, _TOLERANCE if tolerance is None else tolerance)
        if as_json:
            print_json(rerunning.verified_as_json(found))
        else:
            for line in rerunning.verified_lines(found):
                typer.echo(line)
        if found.divergence is not None:
            raise typer.Exit(1)
        return
    ran = rerunning.run_through_core(settings_of(ctx), wanted)
    if as_json:
        print_json(rerunning.as_json(ran))
        return
    for line in rerunning.report_lines(ran):
        typer.echo(line)
