"""`forestay uplift`: whom a treatment moves, and whether treating by that is worth more than treating all."""

from pathlib import Path
from typing import Annotated, Literal

import typer

_WHAT = "The campaign"
_WORTH = "What it is worth"
_HOW = "How"
_TELL = "What is told"


def uplift(
    *,
    train: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="The campaign's people: CSV or Parquet.", show_default=False, rich_help_panel=_WHAT
        ),
    ],
    test: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="People to judge by, of the same campaign.",
            show_default="half of --train, by hash",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    treatment: Annotated[
        str, typer.Option(metavar="COLUMN", help="Who got what.", rich_help_panel=_WHAT)
    ] = "treatment",
    control: Annotated[
        str, typer.Option(metavar="VALUE", help="Its value where nothing was done.", rich_help_panel=_WHAT)
    ] = "0",
    outcome: Annotated[
        str, typer.Option(metavar="COLUMN", help="What came of it: 0 or 1.", rich_help_panel=_WHAT)
    ] = "outcome",
    key: Annotated[
        str | None,
        typer.Option(
            "--id", metavar="COLUMN", help="Tells people apart.", show_default="each row", rich_help_panel=_WHAT
        ),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN,...",
            help="Known before the treatment.",
            show_default="all other columns",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    leave_out: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN,...", help="No features: other outcomes.", show_default=False, rich_help_panel=_WHAT
        ),
    ] = None,
    ratio: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ARM=N",
            help="Sizes the arms were meant to have; repeatable.",
            show_default="all alike",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    value: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Money that came, if a column tells it.",
            show_default=False,
            rich_help_panel=_WORTH,
        ),
    ] = None,
    worth: Annotated[
        float | None,
        typer.Option(
            metavar="MONEY", min=0, help="Of one outcome, if none does.", show_default="1", rich_help_panel=_WORTH
        ),
    ] = None,
    cost: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MONEY|ARM=MONEY",
            help="Of treating one person; repeatable.",
            show_default="0",
            rich_help_panel=_WORTH,
        ),
    ] = None,
    learner: Annotated[
        Literal["s", "t", "x", "dr"], typer.Option(help="How effects are learnt.", rich_help_panel=_HOW)
    ] = "dr",
    draws: Annotated[
        int, typer.Option(metavar="N", min=100, max=10_000, help="Bootstrap draws of people.", rich_help_panel=_HOW)
    ] = 400,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="Of division, trees and draws.", rich_help_panel=_HOW)
    ] = 7,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html", help="Write a page with plots too.", show_default=False, rich_help_panel=_TELL
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.", rich_help_panel=_TELL)] = False,
) -> None:
    r"""Learn whom a treatment moves, and tell whether treating by that is worth it.

    A file holds one person a row: the treatment they got by chance, what came of it, and what was known before.
    Effects are learnt from --train; on --test Qini and AUUC tell how well they rank people, and the net value of
    treating by effect is set against treating all, none, as many of the riskiest (least likely to have an outcome
    untreated) and as many by chance, with 95 % intervals. There may be several treatments.

    The exit code is 1, and nothing is concluded, if the arms' sizes or features say that chance did not draw them
    (p < .001). Columns that came of the treatment are no features: --leave-out them. Needs the extra `train`;
    docs/uplift.md.

    **Examples**

    ```
    forestay uplift --train campaign.csv --treatment group --control none --outcome bought --worth 10 --cost 0.15
    forestay uplift --train hillstrom.csv --treatment segment --control "No E-Mail" --outcome visit --value spend \
        --leave-out conversion --id row_id --report uplift.html
    forestay uplift --train may.parquet --test june.parquet --cost mail=0.1 --cost call=2 --json
    ```
    """
    from forestay.cli.campaign_judging import Asked, judge, show
    from forestay.cli.console import print_json

    if value is not None and worth is not None:
        raise typer.BadParameter("--worth and --value: one of them tells the money")
    asked = Asked(
        train=train,
        test=test,
        treatment=treatment,
        control=control,
        outcome=outcome,
        key=key,
        features=_names(features),
        left_out=_names(leave_out) or [],
        ratio=ratio or [],
        value=value,
        worth=worth,
        cost=cost or [],
        learner=learner,
        draws=draws,
        seed=seed,
        report=report,
    )
    found = judge(asked)
    if as_json:
        print_json(found)
    else:
        show(found)
    if not found["checks"]["randomised"]:
        raise typer.Exit(1)


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]
