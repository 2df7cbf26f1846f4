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


@app.command("fit-value")
def fit_value(
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
        "value-to-go.json"
    ),
    catalogue: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Whose offers are meant.", show_default="that of the settings"),
    ] = None,
    reward_function: Annotated[
        str | None,
        typer.Option(
            metavar="NAME/VERSION", help="Where outcomes are of several: by which.", show_default="the only one"
        ),
    ] = None,
    discount: Annotated[
        float,
        typer.Option(min=0.5, max=0.999, metavar="SHARE", help="What a unit is worth that comes a week later."),
    ] = 0.95,
    follow_days: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=3650,
            metavar="DAYS",
            help="A user without a decision for so long after the horizon has left.",
            show_default="as long as the horizon",
        ),
    ] = None,
    prior_decisions: Annotated[
        float, typer.Option(min=0.1, max=1e6, metavar="N", help="That an offer changes nothing counts as so many.")
    ] = 1.0,
    doubt: Annotated[
        float, typer.Option(min=0, max=10, metavar="N", help="Standard deviations that advice is drawn to 0 by.")
    ] = 2.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fit what offers change beyond the horizon of rewards, as advice to a policy.

    Fitted Q iteration on the log's decisions: each leads, after its horizon, to the user's next decision, or to
    none, if the user has left. For each offer a linear head learns what it adds to the discounted value from there
    on, above doing nothing. A catalogue takes it up with `policy: {value_to_go: {file: value-to-go.json}}`. It needs
    a log of several times the horizon, in which offers were drawn, not only the best chosen.

    **Examples**

    ```
    forestay policy fit-value --log year --out value-to-go.json
    forestay ope --log november --policy catalogue-with-advice.yaml
    ```
    """
    from forestay.cli.policy_value import WantedValue, fit_value_to_go

    where = catalogue or settings_of(ctx).catalogue
    wanted = WantedValue(log, out, where, reward_function, follow_days, discount, prior_decisions, doubt)
    fit_value_to_go(wanted, as_json=as_json)
