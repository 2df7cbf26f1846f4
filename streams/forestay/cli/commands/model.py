"""`forestay model`: versions of the churn model, shipped like software."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forestay.cli.flags import settings_of

if TYPE_CHECKING:
    from forestay.cli.shipping import Desk

_HELP = """
Ship versions of the model: admit them through gates, try them on some, promote them, take them back.

A candidate is the folder that `forestay train` writes. It becomes the next version in the model repository if the
gates let it: files and input, size, ONNX like PyTorch, figures no worse than LightGBM's and the current version's,
calibration, answers and speed in ONNX Runtime here. Triton takes every change without a stop, and a change that it
does not take is taken back. docs/shipping.md says more.

**Examples**

```
forestay model check out/candidate
forestay model shadow out/candidate
forestay model canary 2 --share 0.05
forestay model promote 2
forestay model rollback
```
"""
app = typer.Typer(no_args_is_help=True, help=_HELP, rich_markup_mode="markdown")

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")]
Repository = Annotated[
    Path | None,
    typer.Option(
        "--repository", metavar="FOLDER", help="Models as Triton serves them.", show_default="model_repository"
    ),
]
NoReload = Annotated[bool, typer.Option("--no-reload", help="Change the files alone; tell no Triton.")]
Force = Annotated[
    str | None,
    typer.Option(
        metavar="REASON", help="Overrule the gates; the reason is kept with the version.", show_default=False
    ),
]
On = Annotated[
    Path | None,
    typer.Option(
        "--on", metavar="FOLDER", help="A training set: both versions are asked on its test rows.", show_default=False
    ),
]
Unjudged = Annotated[
    bool, typer.Option("--unjudged", help="Pass the gates that need ONNX Runtime where it is not installed.")
]


@app.command("list")
def list_versions(ctx: typer.Context, *, repository: Repository = None, as_json: AsJson = False) -> None:
    """Show the versions, which of them answer, and their figures.

    **Examples**

    ```
    forestay model list
    forestay model list --json | jq '.versions[] | select(.state == "current")'
    ```
    """
    from forestay.cli.shipping import show

    show(settings_of(ctx), repository, as_json=as_json)


@app.command()
def check(
    ctx: typer.Context,
    candidate: Annotated[Path, typer.Argument(help="A candidate's folder, or a version's.", show_default=False)],
    *,
    on: On = None,
    repository: Repository = None,
    as_json: AsJson = False,
) -> None:
    """Say what each gate makes of a candidate; nothing is changed. Exits with 1 if one refuses it.

    **Examples**

    ```
    forestay model check out/candidate
    forestay model check out/candidate --on datasets/september
    forestay model check model_repository/churn_transformer/2 --json
    ```
    """
    from forestay.cli.shipping import examine

    raise typer.Exit(examine(settings_of(ctx), repository, candidate, on, as_json=as_json))


@app.command()
def promote(
    ctx: typer.Context,
    what: Annotated[str, typer.Argument(metavar="DIR|N", help="A candidate, or a version.", show_default=False)],
    *,
    repository: Repository = None,
    no_reload: NoReload = False,
    on: On = None,
    force: Force = None,
    unjudged: Unjudged = False,
    as_json: AsJson = False,
) -> None:
    """Make a candidate the next version, or a version that is there, the one that answers.

    Exits with 1, and changes nothing, if a gate refuses it or Triton does not take it.

    **Examples**

    ```
    forestay model promote out/candidate
    forestay model promote 2 --triton-url triton:8001
    forestay model promote out/candidate --force "LightGBM saw the later months"
    ```
    """
    with _desk(ctx, repository, no_reload=no_reload, on=on, force=force, unjudged=unjudged, as_json=as_json) as desk:
        desk.said(desk.shipping.promote(what), "{current} answers from now on")


@app.command()
def rollback(
    ctx: typer.Context, *, repository: Repository = None, no_reload: NoReload = False, as_json: AsJson = False
) -> None:
    """Go back to the version that answered before; a canary ends.

    **Examples**

    ```
    forestay model rollback
    forestay model rollback --no-reload
    ```
    """
    with _desk(ctx, repository, no_reload=no_reload, as_json=as_json) as desk:
        desk.said(desk.shipping.rollback(), "{current} answers again")


@app.command()
def shadow(
    ctx: typer.Context,
    what: Annotated[str, typer.Argument(metavar="DIR|N|off", help="Who scores along.", show_default=False)],
    *,
    repository: Repository = None,
    no_reload: NoReload = False,
    as_json: AsJson = False,
) -> None:
    """Let a version score what the current one scores, after it and without a say; its differences are reported.

    **Examples**

    ```
    forestay model shadow out/candidate
    forestay model shadow 2
    forestay model shadow off
    ```
    """
    with _desk(ctx, repository, no_reload=no_reload, as_json=as_json) as desk:
        rollout = desk.shipping.shadow(None if what == "off" else what)
        desk.said(rollout, "no version scores along" if what == "off" else "{shadow} scores along")


@app.command()
def canary(
    ctx: typer.Context,
    what: Annotated[str, typer.Argument(metavar="DIR|N|off", help="Who is tried.", show_default=False)],
    *,
    share: Annotated[float, typer.Option(min=0, max=1, help="Of the users, always the same ones.")] = 0.05,
    repository: Repository = None,
    no_reload: NoReload = False,
    on: On = None,
    force: Force = None,
    unjudged: Unjudged = False,
    as_json: AsJson = False,
) -> None:
    """Try a version on a share of the users, chosen by a hash of their ids; a larger share keeps who is in it.

    **Examples**

    ```
    forestay model canary 2 --share 0.05
    forestay model canary 2 --share 0.25
    forestay model canary off
    ```
    """
    with _desk(ctx, repository, no_reload=no_reload, on=on, force=force, unjudged=unjudged, as_json=as_json) as desk:
        rollout = desk.shipping.canary(None if what == "off" else what, share)
        desk.said(rollout, "no version is tried" if what == "off" else f"{{canary}} answers {share:.1%} of the users")


@app.command()
def report(
    ctx: typer.Context,
    *,
    worker: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="A worker's web port; repeatable.", show_default="web.host and web.port"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what workers have seen of the versions: users answered by each, and how far the shadow is from them.

    Workers tell it on their web port (web.port), and the shadow's part of it in their log every ten minutes.

    **Examples**

    ```
    forestay model report --set web.port=8686
    forestay model report --worker http://10.0.0.7:8686 --worker http://10.0.0.8:8686 --json
    ```
    """
    from forestay.cli.model_report import show_reports

    show_reports(settings_of(ctx), worker or [], as_json=as_json)


def _desk(
    ctx: typer.Context,
    repository: Path | None,
    *,
    no_reload: bool,
    on: Path | None = None,
    force: str | None = None,
    unjudged: bool = False,
    as_json: bool,
) -> "Desk":
    from forestay.cli.shipping import Desk
    from forestay.shipping.changes import Conditions

    if force is not None and not force.strip():
        raise typer.BadParameter("--force: say why, it is kept with the version")
    return Desk(settings_of(ctx), repository, Conditions(force, unjudged, on), reload=not no_reload, as_json=as_json)
