"""`forestay policy`: let a policy learn from what came of decisions."""

from pathlib import Path
from typing import Annotated

import typer

from forestay.cli.flags import settings_of

_HELP = """
Let the policy learn what offers do, from decisions on record and what came of them.

A catalogue whose policy has `kind: linear_thompson` and names the file made here chooses each offer as often as it is
likely to be the best. Judge it with `forestay ope` before any user meets it. docs/policies.md says more.
"""
app = typer.Typer(no_args_is_help=True, help=_HELP, rich_markup_mode="markdown")


@app.callback()
def policy() -> None:
    """Holds the commands below it."""


@app.command()
def fit(
    ctx: typer.Context,
    *,
    log: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE",
            help="Decisions and outcomes: recordings, folders or JSON lines; repeatable.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write what was learned.")] = Path(
        "posterior.json"
    ),
    catalogue: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With the shop's own estimates.", show_default="that of the settings"),
    ] = None,
    reward_function: Annotated[
        str | None,
        typer.Option(
            metavar="NAME/VERSION", help="Where outcomes are of several: by which.", show_default="the only one"
        ),
    ] = None,
    prior_decisions: Annotated[
        float, typer.Option(min=1, max=1e6, metavar="N", help="The shop's estimate counts as so many decisions.")
    ] = 10,
    embedding: Annotated[
        int,
        typer.Option(
            min=0,
            max=16,
            metavar="N",
            help="Look at so many directions of the model's embedding too; 0: at none. Decisions carry it with"
            " `policy: {embedding: true}` in the catalogue.",
        ),
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fit the posterior of a policy of the kind linear_thompson.

    For each offer of the catalogue a linear head learns, in closed form, what the shop's estimate of the offer
    misses, from decisions that made it and from those that did nothing. Decisions without an outcome are immature and
    are left out and counted. Offers never made stay at the shop's estimate, and will be tried.

    **Examples**

    ```
    forestay policy fit --log october --out october.json
    forestay ope --log november --policy catalogue-with-october.yaml --at-least logged
    ```
    """
    from forestay.cli.policy_fitting import Wanted, fit_policy

    wanted = Wanted(log, out, catalogue or settings_of(ctx).catalogue, reward_function, prior_decisions, embedding)
    fit_policy(wanted, as_json=as_json)
