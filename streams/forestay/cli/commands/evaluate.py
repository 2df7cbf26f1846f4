"""`forestay evaluate`: how good the churn model is, beside its rivals on the same rows."""

from pathlib import Path
from typing import Annotated

import typer

from forestay.cli.flags import settings_of

_ROWS = "Which rows"
_FIT = "What is learnt"
_TELL = "What is told"
_WORK = "How it is made"


def evaluate(
    ctx: typer.Context,
    *,
    events: Annotated[
        list[Path],
        typer.Option(metavar="FILE", help="Events; repeatable.", show_default=False, rich_help_panel=_ROWS),
    ],
    cutoff: Annotated[
        list[str],
        typer.Option(
            metavar="TIME", help="A moment to ask about users; repeatable.", show_default=False, rich_help_panel=_ROWS
        ),
    ],
    horizon: Annotated[
        str, typer.Option(metavar="SPAN", help="Left: no order within it.", rich_help_panel=_ROWS)
    ] = "60d",
    observed: Annotated[
        str,
        typer.Option("--obs", metavar="SPAN", help="Ask about who ordered this long before.", rich_help_panel=_ROWS),
    ] = "150d",
    known_until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="The data are complete up to then; what is later is left out.",
            show_default="the newest event's time",
            rich_help_panel=_ROWS,
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="The model that is `fused`.",
            show_default="model_repository/churn_transformer",
            rich_help_panel=_FIT,
        ),
    ] = None,
    train_before: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Fit all models anew, on labels that end by then.",
            show_default=False,
            rich_help_panel=_FIT,
        ),
    ] = None,
    train_cutoff: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TIME",
            help="Learn from these cutoffs; repeatable.",
            show_default="every fortnight, or week",
            rich_help_panel=_FIT,
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option("--models", metavar="NAME,...", help="These alone.", show_default="all", rich_help_panel=_FIT),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the networks.", rich_help_panel=_FIT)] = 7,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html", help="Write a page with plots too.", show_default=False, rich_help_panel=_TELL
        ),
    ] = None,
    importance: Annotated[
        bool,
        typer.Option("--importance", help="Also what each group of features is worth.", rich_help_panel=_TELL),
    ] = False,
    learning_curve: Annotated[
        bool,
        typer.Option(
            "--learning-curve", help="Also with fewer labelled users, pre-trained or not.", rich_help_panel=_TELL
        ),
    ] = False,
    draws: Annotated[
        int,
        typer.Option(metavar="N", min=20, max=10_000, help="Bootstrap draws of users.", rich_help_panel=_TELL),
    ] = 400,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.", rich_help_panel=_TELL)] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Processes that make rows.", show_default="a core each", rich_help_panel=_WORK
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Rows that are no events make it fail.", rich_help_panel=_WORK)
    ] = False,
) -> None:
    r"""Judge the churn model beside its rivals, on the same rows.

    A row is a user who ordered within --obs before a cutoff; they have left if no order follows within --horizon.
    Files are as for `forestay dataset`, and so are the rows: what a worker would have sent to the model then.

    Without --train-before, `fused` is the model in --model as it is served. Its rivals (recency, bg_nbd, logistic,
    lightgbm) are fitted on earlier cutoffs of the same events whose labels end by the first --cutoff, where there are
    enough; else it stands alone. `blend` is the mean of lightgbm and fused. With --train-before all are fitted anew,
    the networks too (gru, transformer, and fused taught by lightgbm): minutes.

    Every model is fitted on four of five users and calibrated on the fifth; choices are made on the newest of the
    training cutoffs. Intervals are of 95 %, from a bootstrap by user. Needs the extra `train`; docs/evaluation.md.

    TIME is RFC 3339, a date, or epoch ms; SPAN is days or hours: 14d, 36h.

    **Examples**

    ```
    forestay evaluate --events recordings/online-retail-ii.parquet --cutoff 2010-10-01
    forestay evaluate --events recordings/online-retail-ii.parquet --cutoff 2010-10-01 --horizon 60d --obs 150d \
        --train-before 2010-10-01 --report report.html
    forestay evaluate --events may.csv --events june.csv --cutoff 2026-05-01 --cutoff 2026-06-01 --horizon 14d --json
    ```
    """
    if learning_curve and train_before is None:
        raise typer.BadParameter("--learning-curve fits networks: say --train-before TIME")
    from forestay.cli.console import print_json
    from forestay.cli.evaluating import Asked, judge, show

    asked = Asked(
        events=events,
        cutoffs=cutoff,
        horizon=horizon,
        observed=observed,
        known_until=known_until,
        model=model,
        train_before=train_before,
        train_cutoffs=train_cutoff or [],
        models=only,
        seed=seed,
        report=report,
        importance=importance,
        learning_curve=learning_curve,
        draws=draws,
        workers=workers,
        strict=strict,
    )
    found = judge(settings_of(ctx), asked)
    if as_json:
        print_json(found)
    else:
        show(found)
