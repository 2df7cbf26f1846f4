"""`forestay fair`: who is made offers, by groups of the shop's choosing; a gate before a policy ships."""

from pathlib import Path
from typing import Annotated

import typer

from forestay.core.errors import UsageError
from forestay.core.policy.parity_measure import Measure

_WHAT = "What is judged"
_HOW = "How"
_TELL = "What is told"
_PRICE = "Prices of parity"


def fair(
    ctx: typer.Context,
    *,
    log: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE",
            help="Decisions, and outcomes for uplift: recordings, folders or JSON lines; repeatable.",
            show_default=False,
            rich_help_panel=_WHAT,
        ),
    ],
    groups: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="A column user_id and one or more that tell groups; of several a group is all of them.",
            show_default="tiers of the catalogue",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    candidate: Annotated[
        Path | None,
        typer.Option(
            metavar="CATALOGUE",
            help="A catalogue that has not shipped: what it would do.",
            show_default="what the log did",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    least: Annotated[
        float,
        typer.Option(min=0.01, max=1, help="Ratios from this to its inverse are equal enough.", rich_help_panel=_HOW),
    ] = 0.8,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GROUP=REASON",
            help="A group that may differ, and why: it stands in the report; repeatable.",
            show_default=False,
            rich_help_panel=_HOW,
        ),
    ] = None,
    least_users: Annotated[
        int, typer.Option(min=1, metavar="N", help="Smaller groups are not judged.", rich_help_panel=_HOW)
    ] = 200,
    reward_function: Annotated[
        str | None,
        typer.Option(
            metavar="NAME/VERSION",
            help="Where outcomes are of several: by which.",
            show_default="the only one",
            rich_help_panel=_HOW,
        ),
    ] = None,
    draws: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=100,
            max=20_000,
            help="Bootstrap draws of users; many groups take more.",
            rich_help_panel=_HOW,
        ),
    ] = 1_000,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of draws and folds.", rich_help_panel=_HOW)] = 7,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html", help="Write a page with plots too.", show_default=False, rich_help_panel=_TELL
        ),
    ] = None,
    price: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Judge nothing: write the prices of parity that bring the catalogue's policy into the band, by tier,"
            " or by a column `country` of --groups, and tell what they cost.",
            show_default=False,
            rich_help_panel=_PRICE,
        ),
    ] = None,
    parity: Annotated[
        Measure | None,
        typer.Option(
            help="With --price, what is to be alike: how often an offer is made, or its cost by the basket.",
            show_default="selection",
            rich_help_panel=_PRICE,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.", rich_help_panel=_TELL)] = False,
) -> None:
    """Tell who is made offers and at what price, group by group, and whether one gets less than the others.

    Of each group: the share of decisions with an offer, what offers cost a decision and for each unit of basket, and
    the uplift captured, with intervals from a bootstrap by user. Selection and price are set beside those of all
    other groups. A ratio outside 0.8 to 1.25 is unequal where its interval, widened for the number of groups, does
    not hold 1; then the exit code is 1. Needs the extra `train`; docs/fairness.md.

    **Examples**

    ```
    forestay fair --log october --groups regions.csv
    forestay fair --log october --groups regions.csv --candidate new-catalogue.yaml --json
    forestay fair --log october --allow "gold=points are for members"
    forestay fair --log october --candidate new-catalogue.yaml --price parity.json
    ```
    """
    from forestay.cli.console import print_json
    from forestay.cli.fairness_judging import Asked, judged, show
    from forestay.cli.flags import settings_of

    if price is not None:
        from forestay.cli.parity_pricing import AskedPrice, price_parity, show_prices

        if allow or report is not None:
            raise UsageError("--price judges nothing: leave out --allow and --report")
        shop = candidate or settings_of(ctx).catalogue
        how = draws, seed, reward_function
        cost = price_parity(
            AskedPrice(price, parity or Measure.SELECTION, log, groups, shop, least, least_users, *how)
        )
        if as_json:
            print_json(cost)
        else:
            show_prices(cost)
        return
    if parity is not None:
        raise UsageError("--parity says what --price prices, and this judges: both rates are judged anyhow")
    asked = Asked(
        log, groups, candidate, least, allow or (), least_users, reward_function, draws, seed, report
    )  # fmt: skip
    found = judged(settings_of(ctx).catalogue, asked)
    if as_json:
        print_json(found)
    else:
        show(found)
    if not found["passed"]:
        raise typer.Exit(1)
