"""Shows what is known of an item."""

from pathlib import Path

from forestay.catalogue_file import load_items
from forestay.cli.console import console, print_json, printable, table
from forestay.core.errors import ForestayError


def show_item(item: str, path: Path, *, as_json: bool) -> None:
    """Prints an item's neighbours.

    Raises:
        ForestayError: the file is wrong, or does not know the item.
    """
    items = load_items(path)
    place = items.popular.index(item) + 1 if item in items.popular else None
    together, similar = items.together.get(item, ()), items.similar.get(item, ())
    if place is None and not together and not similar:
        raise ForestayError(f"{path} knows no item {item}: it has {len(items.popular):,}")
    if as_json:
        print_json({"item": item, "popularity": place, "together": together, "similar": similar})
        return
    rows = table("ordered together", "score", "titled alike", "score", right=("score",))
    for number in range(max(len(together), len(similar))):
        cells = [
            cell
            for some in (together, similar)
            for cell in ((printable(some[number][0]), f"{some[number][1]:.3f}") if number < len(some) else ("", ""))
        ]
        rows.add_row(*cells)
    console().print(rows)
    console().print(f"{printable(item)} is number {place:,} of {len(items.popular):,} by orders")
