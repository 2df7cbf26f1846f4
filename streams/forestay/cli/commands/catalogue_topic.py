"""`forestay catalogue push`, `pause`, `resume`, `history` and `try`: the catalogue that running workers follow."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from forestay.cli.console import console, print_json, printable, table
from forestay.cli.flags import flags_of, settings_of

if TYPE_CHECKING:
    from forestay.cli.catalogue_changing import Proposal, Stops
    from forestay.cli.cataloguing import Change
    from forestay.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")]
New = Annotated[Path, typer.Argument(metavar="FILE", help="YAML.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why, in one line: it stays in the history.")]
By = Annotated[
    str | None, typer.Option(metavar="NAME", help="Who pushes.", show_default="user and host of this machine")
]
Offers = Annotated[
    list[str] | None, typer.Option("--action", metavar="ID", help="An offer; repeatable.", show_default=False)
]
Kinds = Annotated[
    list[str] | None, typer.Option("--kind", metavar="KIND", help="All of a kind; repeatable.", show_default=False)
]
Everything = Annotated[bool, typer.Option("--all", help="Everything, by its own switch.")]


def push(
    ctx: typer.Context,
    file: New,
    *,
    reason: Reason,
    by: By = None,
    yes: Annotated[bool, typer.Option("--yes", help="Push it; without, only what would change is shown.")] = False,
    as_json: AsJson = False,
) -> None:
    """Push a catalogue to the workers that run: each partition takes it between two batches.

    It is checked as a worker with these settings would, beside the one in force, and what changes is shown. Without
    --yes that is all, with exit code 1. Should another be pushed in between, this one counts for nothing, and that is
    said. What an earlier revision had, `forestay catalogue history --revision N` prints as a file that can be pushed.
    docs/catalogue.md says what becomes of users who are on their way.

    **Examples**

    ```
    forestay catalogue push new.yaml --reason "spring campaign"
    forestay catalogue push new.yaml --reason "spring campaign" --yes --json
    ```
    """
    from forestay.cli.catalogue_changing import propose

    settings = settings_of(ctx)
    proposal = propose(settings, file)
    if yes:
        _put(settings, proposal, reason, by, as_json=as_json)
        return
    if as_json:
        print_json({"pushed": False, "after_revision": proposal.revision, "changes": _as_json(proposal.changes)})
    else:
        _show(proposal.changes)
        typer.echo("nothing was pushed: add --yes to push it", err=True)
    raise typer.Exit(1)


def pause(
    ctx: typer.Context,
    *,
    reason: Reason,
    offers: Offers = None,
    kinds: Kinds = None,
    everything: Everything = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Stop an offer, a kind or everything at once: the catalogue in force, with its switches turned, is pushed.

    Nobody is asked again, and what waits for the end of quiet hours is stopped too. A file that is pushed later
    brings its own switches: put the pause there as well if it is to last.

    **Examples**

    ```
    forestay catalogue pause --action coupon-10 --reason "wrong code printed"
    forestay catalogue pause --all --reason "mails twice"
    ```
    """
    _switch(ctx, _stops(offers, kinds, everything), reason, by, stop=True, as_json=as_json)


def resume(
    ctx: typer.Context,
    *,
    reason: Reason,
    offers: Offers = None,
    kinds: Kinds = None,
    everything: Everything = False,
    automatic: Annotated[bool, typer.Option("--automatic", help="What feedback has stopped.")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Offer again what was paused. --all turns the switch over everything; offers and kinds keep their own.

    --automatic lifts what feedback has stopped (switches.automatic), in all partitions, and counts anew; so does any
    other change of the catalogue.

    **Examples**

    ```
    forestay catalogue resume --action coupon-10 --reason "code mended"
    forestay catalogue resume --all --reason "sender mended"
    ```
    """
    stops = _stops(offers, kinds, everything)._replace(automatic=automatic)
    _switch(ctx, stops, reason, by, stop=False, as_json=as_json)


def history(
    ctx: typer.Context,
    revision: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Print this one's catalogue, as JSON, which is YAML.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what was pushed: when, by whom, why, and which is in force; records that are not worked with say why.

    **Examples**

    ```
    forestay catalogue history
    forestay catalogue history --revision 7 > offers.yaml
    ```
    """
    from forestay.cli.catalogue_changing import content_of, entry_as_json, in_force, look

    found = look(settings_of(ctx))
    if revision is not None:
        print_json(content_of(found, revision))
        return
    if as_json:
        print_json({"revision": found.revision, "records": [entry_as_json(one, found) for one in found.entries]})
        return
    rows = table("revision", "version", "pushed at", "by", "reason", "")
    present = in_force(found)
    for entry in found.entries:
        said, state = entry.record, "in force" if entry is present else entry.refused or ""
        told = (
            ("", "", "", "")
            if said is None
            else (said.version, f"{said.pushed_at:%F %T}", said.pushed_by, said.reason)
        )
        number = f"offset {entry.offset}" if said is None else str(said.revision)
        rows.add_row(number, *map(printable, told), printable(state))
    console().print(rows if found.entries else "nothing was pushed yet")


def try_on(
    ctx: typer.Context,
    file: New,
    recordings: Annotated[list[Path], typer.Argument(metavar="RECORDING...", help="Recorded traffic.")],
    *,
    scores: Annotated[
        Literal["recorded", "triton", "none"],
        typer.Option(help="Of the recorded decisions, by Triton now, or the lower rungs of the ladder."),
    ] = "recorded",
    quiet_days: Annotated[
        float, typer.Option(min=0, max=3_650, metavar="DAYS", help="Silence after the last record.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Try a catalogue on recorded traffic beside the one in force: users, actions and spend, by offer.

    Nothing is pushed.

    In force is the newest of the topic with worker.catalogue_source=topic, else that of the settings' file. It is
    checked first as push does. forestay diff compares more, draws a page and holds limits.

    **Examples**

    ```
    forestay catalogue try new.yaml yesterday
    forestay catalogue try new.yaml recordings/online-retail-ii.parquet --scores none --json
    ```
    """
    from forestay.cli.catalogue_changing import try_on as tried

    found, notes = tried(flags_of(ctx).overrides(), file, recordings, scores, quiet_days)
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(found))
    else:
        from forestay.cli.diff_tables import print_difference

        print_difference(found, settings_of(ctx).engine.currency or "cost")
    for line in notes:
        typer.echo(f"forestay: {line}", err=True)


def _stops(offers: list[str] | None, kinds: list[str] | None, everything: bool) -> "Stops":
    from forestay.cli.catalogue_changing import Stops
    from forestay_schemas import ActionKind

    if unknown := [kind for kind in kinds or () if kind not in set(ActionKind)]:
        raise typer.BadParameter(f"--kind {unknown[0]}: is none of {', '.join(ActionKind)}")
    return Stops(offers or (), [ActionKind(kind) for kind in kinds or ()], everything)


def _switch(ctx: typer.Context, stops: "Stops", reason: str, by: str | None, *, stop: bool, as_json: bool) -> None:
    from forestay.cli.catalogue_changing import propose_switches

    settings = settings_of(ctx)
    _put(settings, propose_switches(settings, stops, stop=stop), reason, by, as_json=as_json)


def _put(settings: "Settings", proposal: "Proposal", reason: str, by: str | None, *, as_json: bool) -> None:
    from forestay.cli.catalogue_changing import myself, put
    from forestay.settings import CatalogueSource
    from forestay.shell.catalogue_pushing import Said

    revision = put(settings, proposal, Said(by or myself(), reason))
    if settings.worker.catalogue_source is not CatalogueSource.TOPIC:
        typer.echo(
            f"forestay: workers with these settings go on by the file {settings.catalogue}, and take nothing from"
            f" {settings.topics.catalogue}: start them with worker.catalogue_source=topic",
            err=True,
        )
    version = proposal.catalogue.digest()
    if as_json:
        told = {"pushed": True, "revision": revision, "version": version}
        print_json({**told, "changes": _as_json(proposal.changes)})
        return
    _show(proposal.changes)
    typer.echo(f"pushed as revision {revision}, version {version}")


def _as_json(changes: "list[Change]") -> list[dict[str, Any]]:
    return [change._asdict() for change in changes]


def _show(changes: "list[Change]") -> None:
    from forestay.cli.cataloguing import line_of

    for change in changes:
        typer.echo(line_of(change))
