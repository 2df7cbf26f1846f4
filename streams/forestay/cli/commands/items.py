"""`forestay items`: what goes with what, for recommendations."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

_HELP = """
Learn what goes with what, for recommendations that fill themselves.

A catalogue with `items: FILE` may have offers of the kind recommendation whose `list` is `together` (ordered together
with what the user met lately), `similar` (titled alike), `next` (what the churn model says is ordered next) or
`popular`. docs/actions.md says more.
"""
app = typer.Typer(no_args_is_help=True, help=_HELP, rich_markup_mode="markdown")

_Events = Annotated[
    list[Path],
    typer.Option(
        metavar="FILE", help="Recordings, Parquet, CSV or JSON lines of events; repeatable.", show_default=False
    ),
]
_Most = Annotated[int, typer.Option(min=1, max=100_000, help="The most ordered items are kept.")]
_Neighbours = Annotated[int, typer.Option(min=1, max=50, help="Neighbours kept of each item.")]
_Next = Annotated[
    bool, typer.Option("--next", help="Fit the item head of the model too, for the list `next`: minutes.")
]
_Model = Annotated[
    Path, typer.Option(metavar="FOLDER", help="The model served, whose embedding of users the item head reads.")
]
_SERVED = Path("model_repository/churn_transformer")
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.callback()
def items() -> None:
    """Holds the commands below it."""


@app.command()
def fit(
    ctx: typer.Context,
    *,
    events: _Events,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the lists.")] = Path("items.json"),
    before: Annotated[
        datetime | None, typer.Option(help="Learn from orders before this moment (UTC).", show_default="all")
    ] = None,
    most: _Most = 5_000,
    neighbours: _Neighbours = 10,
    head: _Next = False,
    model: _Model = _SERVED,
    as_json: _Json = False,
) -> None:
    """Write the file that a catalogue names under `items`.

    Items ordered together: the cosine of their orders, shrunk where a pair is rare. Items alike: the cosine of the
    TF-IDF weights of their titles. With --next also what users order next, by the embedding that the served model has
    of them: it holds for that version of the model alone. Needs the extra train.

    **Examples**

    ```
    forestay items fit --events march.parquet --events april.parquet --out items.json
    forestay items fit --events orders.parquet --next
    forestay items show 85123A --items items.json
    ```
    """
    from forestay.cli.flags import settings_of
    from forestay.cli.item_lists import Wanted, write_items

    write_items(
        settings_of(ctx), Wanted(events, before, most, neighbours, model if head else None), out, as_json=as_json
    )


@app.command()
def evaluate(
    ctx: typer.Context,
    *,
    events: _Events,
    since: Annotated[datetime, typer.Option(help="Learn before this moment (UTC), judge by orders from it on.")],
    shown: Annotated[int, typer.Option(min=1, max=50, help="Items shown.")] = 10,
    most: _Most = 5_000,
    neighbours: _Neighbours = 10,
    head: _Next = False,
    model: _Model = _SERVED,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 1,
    as_json: _Json = False,
) -> None:
    """Tell how often a list has something of the next order, beside popularity.

    Learns from orders before the moment and is judged by later ones: the share with at least one of the items shown,
    which are never those the user met in the 30 days before. Intervals of 95 % by users.

    **Example**

    ```
    forestay items evaluate --events orders.parquet --since 2010-10-01
    ```
    """
    from forestay.cli.flags import settings_of
    from forestay.cli.item_lists import Wanted, judge_items

    wanted = Wanted(events, since, most, neighbours, model if head else None)
    judge_items(settings_of(ctx), wanted, shown, seed, as_json=as_json)


@app.command()
def show(
    item: Annotated[str, typer.Argument(help="The item's id.", show_default=False)],
    *,
    items: Annotated[Path, typer.Option("--items", metavar="FILE", help="What `forestay items fit` wrote.")] = Path(
        "items.json"
    ),
    as_json: _Json = False,
) -> None:
    """Show an item's neighbours and its place by popularity.

    **Example**

    ```
    forestay items show 85123A --items items.json
    ```
    """
    from forestay.cli.item_showing import show_item

    show_item(item, items, as_json=as_json)
