"""`forestay dataset`: training sets from events."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from forestay.cli.flags import settings_of

_ROWS = "Which rows"
_LABELS = "Which labels"
_SPLIT = "Split in time"
_WORK = "How it is made"


def dataset(
    ctx: typer.Context,
    *,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Events.", show_default=False)],
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Made here; must not be there yet.", show_default=False)
    ],
    cutoff: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TIME", help="A moment to ask about users; repeatable.", show_default=False, rich_help_panel=_ROWS
        ),
    ] = None,
    every: Annotated[
        str | None,
        typer.Option(
            metavar="SPAN",
            help="Cutoffs this far apart, from --from to --until.",
            show_default=False,
            rich_help_panel=_ROWS,
        ),
    ] = None,
    first: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="The first.", show_default=False, rich_help_panel=_ROWS),
    ] = None,
    last: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="The last at most.", show_default=False, rich_help_panel=_ROWS),
    ] = None,
    observed: Annotated[
        str,
        typer.Option("--obs", metavar="SPAN", help="Ask about users active this long before.", rich_help_panel=_ROWS),
    ] = "150d",
    label: Annotated[
        Literal["no_order", "no_event", "less_spend"],
        typer.Option(help="What counts as having left.", rich_help_panel=_LABELS),
    ] = "no_order",
    horizon: Annotated[
        list[str] | None,
        typer.Option(metavar="SPAN", help="Left by when; repeatable.", show_default="60d", rich_help_panel=_LABELS),
    ] = None,
    spend_share: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="less_spend: less than this of the usual.",
            show_default="0.5",
            rich_help_panel=_LABELS,
        ),
    ] = None,
    known_until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="The data are complete up to then; what is later is left out.",
            show_default="the newest event's time",
            rich_help_panel=_LABELS,
        ),
    ] = None,
    validate_from: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Cutoffs from here on validate.", show_default=False, rich_help_panel=_SPLIT
        ),
    ] = None,
    test_from: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Cutoffs from here on test.", show_default=False, rich_help_panel=_SPLIT),
    ] = None,
    suspicious_auc: Annotated[
        float,
        typer.Option(metavar="AUC", help="Fail if a single feature tells a label better.", rich_help_panel=_SPLIT),
    ] = 0.99,
    partitions: Annotated[
        int, typer.Option(metavar="N", help="Parts; memory is that of one a worker.", rich_help_panel=_WORK)
    ] = 16,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Parts made at once.", show_default="a core each", rich_help_panel=_WORK
        ),
    ] = None,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(help="Processes of this machine, or tasks of a Ray cluster.", rich_help_panel=_WORK),
    ] = "local",
    strict: Annotated[
        bool, typer.Option("--strict", help="Rows that are no events make it fail.", rich_help_panel=_WORK)
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest.")] = False,
) -> None:
    r"""Make a training set: what the model is sent, point in time, with labels.

    A row is an active user at a cutoff: the arrays a worker would have sent to the model, for each horizon a label
    (1 has left, 0 has not) and what was spent, both null where the data end too early, and what the row is for:
    train, validation, test, or gap where its label looks into what models are judged on. Files are as for
    `forestay features`. The same files and flags are the same bytes, whatever engine and number of workers. Nothing
    is left in FOLDER if a check for leakage fails. docs/dataset.md says more.

    TIME is RFC 3339, a date, or epoch ms; SPAN is days or hours: 14d, 36h.

    **Examples**

    ```
    forestay dataset events.parquet --cutoff 2026-03-01 --cutoff 2026-04-01 --horizon 14d --out march
    forestay dataset recordings/online-retail-ii.parquet --every 14d --from 2010-03-07 --until 2010-10-01 \
        --cutoff 2010-10-01 --horizon 14d --horizon 60d --validate-from 2010-07-18 --test-from 2010-10-01 --out retail
    forestay dataset 2025.csv 2026.csv --every 7d --from 2025-06-01 --until 2026-06-01 --label less_spend --out spend
    RAY_ADDRESS=head:6379 forestay dataset events.parquet --cutoff 2026-03-01 --engine ray --workers 64 \
        --partitions 256 --out march
    ```
    """
    if not cutoff and every is None:
        raise typer.BadParameter("say one of: --cutoff TIME, --every SPAN --from TIME --until TIME")
    if (every is None) != (first is None) or (every is None) != (last is None):
        raise typer.BadParameter("--every, --from and --until go together")
    if spend_share is not None and label != "less_spend":
        raise typer.BadParameter("--spend-share is for --label less_spend")
    from forestay.cli.console import print_json
    from forestay.cli.datasets import Asked, make, show

    asked = Asked(
        files=files,
        out=out,
        cutoffs=cutoff or [],
        series=None if every is None or first is None or last is None else (every, first, last),
        horizons=horizon or ["60d"],
        observed=observed,
        label=label,
        spend_share=0.5 if spend_share is None else spend_share,
        known_until=known_until,
        validate_from=validate_from,
        test_from=test_from,
        suspicious_auc=suspicious_auc,
        partitions=partitions,
        workers=workers,
        engine=engine,
        strict=strict,
    )
    manifest = make(settings_of(ctx), asked)
    if as_json:
        print_json(manifest)
    else:
        show(manifest, out)
