"""`forestay diff`: what another catalogue, policy, model or version would have done otherwise."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from forestay.cli.console import print_json
from forestay.cli.flags import flags_of, settings_of

if TYPE_CHECKING:
    from forestay.diff.difference import Difference


def diff(
    ctx: typer.Context,
    recordings: Annotated[
        list[Path] | None, typer.Argument(help="Recordings to run under both settings.", show_default=False)
    ] = None,
    *,
    catalogue: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The changed offers.", show_default=False)
    ] = None,
    triggers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The changed triggers.", show_default=False)
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The changed settings file.", show_default=False)
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A changed setting; repeatable.", show_default=False),
    ] = None,
    before: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Recorded decisions and actions; repeatable.", show_default=False),
    ] = None,
    after: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="The same of the other side.", show_default=False)
    ] = None,
    scores: Annotated[
        Literal["recorded", "triton", "none"] | None,
        typer.Option(
            help="Of the recorded decisions, by Triton now, or the lower rungs of the ladder.",
            show_default="recorded",
        ),
    ] = None,
    quiet_days: Annotated[
        float | None,
        typer.Option(min=0, max=3_650, metavar="DAYS", help="Silence after the last record.", show_default="0"),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it as one page too.", show_default=False)
    ] = None,
    max_changed_users: Annotated[
        float | None, typer.Option(min=0, max=1, metavar="SHARE", help="More: exit code 1.", show_default=False)
    ] = None,
    max_spend_change: Annotated[
        float | None, typer.Option(min=0, metavar="SHARE", help="More, up or down: exit code 1.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All of it as one JSON object.")] = False,
) -> None:
    """Compare what two policies do with the same recordings: users, spend, caps, by kind and segment.

    Before is what the settings in force decide, after is what they decide with the changes named here. Or both sides
    are recordings of decisions and actions, made by any two versions. With a limit it is a check for a pipeline.
    docs/replay.md says more.

    **Examples**

    ```
    forestay diff yesterday --catalogue new.yaml
    forestay diff yesterday --change triton.model=churn_next --html diff.html
    forestay diff yesterday --catalogue new.yaml --max-changed-users 0.05 --max-spend-change 0.1
    forestay diff --before main.parquet --after branch.parquet --json
    ```
    """
    from forestay.cli.diffing import Candidate, Limits, compare_recorded, compare_settings

    candidate = Candidate(settings, catalogue, triggers, tuple(change or ()))
    if bool(before) != bool(after) or bool(before) == bool(recordings):
        raise typer.BadParameter("name recordings to run, or --before FILE and --after FILE")
    if before and not candidate.is_empty:
        raise typer.BadParameter("--before and --after are made already: nothing can be changed in them")
    if before and (scores is not None or quiet_days is not None):
        raise typer.BadParameter(
            "--before and --after are made already: --scores and --quiet-days are for recordings"
        )
    if recordings and candidate.is_empty:
        raise typer.BadParameter("say what changes: --catalogue, --triggers, --settings or --change")
    limits = Limits(max_changed_users, max_spend_change)
    in_force = settings_of(ctx)
    notes: list[str] = []
    if before and after:
        found = compare_recorded(in_force, before, after)
        sides = (_names(before), _names(after))
    else:
        found, notes = compare_settings(
            recordings or [], flags_of(ctx).overrides(), candidate, scores or "recorded", quiet_days or 0
        )
        sides = (f"the settings in force, over {_names(recordings or [])}", candidate.words())
    currency = in_force.engine.currency or "cost"
    exceeded = limits.exceeded(found)
    # Before the page: where that cannot be written, what took minutes is not lost.
    _say(found, currency, as_json=as_json)
    if html is not None:
        from forestay.diff.page import Sides, write_page

        write_page(html, found, Sides(*sides, currency, exceeded if limits.are_set else None))
    for line in [*notes, *(f"limit exceeded: {line}" for line in exceeded)]:
        sys.stderr.write(f"forestay: {line}\n")
    if exceeded:
        raise typer.Exit(1)


def _names(paths: list[Path]) -> str:
    return ", ".join(map(str, paths))


def _say(found: "Difference", currency: str, *, as_json: bool) -> None:
    from forestay.cli.diff_tables import print_difference

    if not as_json:
        print_difference(found, currency)
        return
    import msgspec

    print_json(msgspec.to_builtins(found))
