"""`forestay catalogue`: the offers looked at before a worker takes them, and put where running workers do."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forestay.cli.commands import catalogue_topic
from forestay.cli.console import console, print_json, table
from forestay.cli.flags import settings_of

if TYPE_CHECKING:
    from forestay.core.decision.catalogue import Catalogue
    from forestay.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    help="Check the catalogue of offers, compare two, try one on recorded traffic, push it to running workers.",
)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")]
File = Annotated[Path | None, typer.Argument(metavar="FILE", help="YAML; by default the one the settings name.")]
Shown = Annotated[Path | None, typer.Argument(metavar="FILE", help="YAML; by default the one in force.")]


@app.command()
def check(ctx: typer.Context, file: File = None, as_json: AsJson = False) -> None:
    """Say whether a catalogue can work with these settings; each error names its line. Exits with 1 if it cannot.

    What it would change on recorded traffic, in users and in spend, is for forestay diff --catalogue.

    **Examples**

    ```
    forestay catalogue check
    forestay catalogue check new.yaml --json
    ```
    """
    from forestay.cli.cataloguing import checked

    catalogue = checked(settings_of(ctx), file)
    version = catalogue.digest()
    if as_json:
        print_json({"name": catalogue.name, "version": version, "offers": len(catalogue.offers)})
        return
    typer.echo(f"{catalogue.name}: {len(catalogue.offers)} offers, version {version}: it can work")


@app.command()
def show(ctx: typer.Context, file: Shown = None, as_json: AsJson = False) -> None:
    """Show the offers, and which of them are stopped now; --json shows all of it, with every default written out.

    Without FILE it is the catalogue in force: with worker.catalogue_source=topic the newest on the topic, else that
    of the settings' file. What feedback has stopped by itself is in the workers' metrics, not here.

    **Examples**

    ```
    forestay catalogue show
    forestay catalogue show new.yaml --json
    ```
    """
    from forestay.cli.cataloguing import content, is_stopped

    catalogue, where = _shown(settings_of(ctx), file)
    if as_json:
        print_json(content(catalogue))
        return
    typer.echo(f"{catalogue.name}, version {catalogue.digest()}, of {where}")
    rows = table("offer", "kind", "channel", "effect", "cost", "cooldown", "expires", "now", right=("effect", "cost"))
    for offer in catalogue.offers:
        cost = f"{offer.cost.fixed:g}" + (f" + {offer.cost.basket_share:.0%}" if offer.cost.basket_share else "")
        kind = f"{offer.kind} (transactional)" if offer.transactional else offer.kind
        stopped = is_stopped(catalogue, offer) or "offered"
        times = (f"{offer.cooldown_days:g} d", f"{offer.expires_after_hours:g} h")
        rows.add_row(offer.id, kind, offer.channel, f"{offer.effect:g}", cost, *times, stopped)
    console().print(rows)


def _shown(settings: "Settings", file: Path | None) -> "tuple[Catalogue, str]":
    if file is None:
        from forestay.cli.catalogue_changing import found_in_force

        return found_in_force(settings)
    from forestay.cli.cataloguing import checked

    return checked(settings, file), str(file)


@app.command()
def diff(
    ctx: typer.Context,
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A catalogue.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The one that is to replace it.")],
    as_json: AsJson = False,
) -> None:
    """Say what differs between two catalogues, place by place; offers go by their id.

    **Examples**

    ```
    forestay catalogue diff offers.yaml new.yaml
    ```
    """
    from forestay.cli.cataloguing import changes, checked, line_of

    settings = settings_of(ctx)
    before, after = checked(settings, old), checked(settings, new)
    found = changes(before, after)
    if as_json:
        versions = {"before": before.digest(), "after": after.digest()}
        print_json({"versions": versions, "changes": [change._asdict() for change in found]})
        return
    for change in found:
        typer.echo(line_of(change))
    if not found:
        typer.echo("nothing differs")


for command in (catalogue_topic.push, catalogue_topic.pause, catalogue_topic.resume, catalogue_topic.history):
    app.command()(command)
app.command("try")(catalogue_topic.try_on)
