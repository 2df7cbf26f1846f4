"""The comparison as one HTML file: it needs no network, no script, and reads well on a telephone."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from forestay.diff.difference import Difference, Row
from forestay.diff.words import division_name, money, offer_name, share, signed
from forestay.pages.environment import environment

#: Rows of one table; an offer table of a large catalogue would be long.
_MOST_ROWS: Final = 40


class Tile(NamedTuple):
    """One figure of the head."""

    value: str
    name: str


class Sides(NamedTuple):
    """What is compared, in words, and what the limits say: lines of what is exceeded, or None without limits."""

    before: str
    after: str
    currency: str
    exceeded: Sequence[str] | None


def write_page(path: Path, difference: Difference, sides: Sides) -> None:
    """Writes the page to `path`."""
    path.write_text(page(difference, sides), encoding="utf-8")


def page(difference: Difference, sides: Sides) -> str:
    """Returns the page; the same comparison gives the same bytes."""
    own = environment("forestay.diff")
    own.filters |= {"offer": offer_name, "money": money, "share": share, "signed": signed}
    return own.get_template("page.html.j2").render(
        found=difference, sides=sides, tiles=list(_tiles(difference, sides.currency)), tables=_tables(difference)
    )


def _tiles(found: Difference, currency: str) -> Iterator[Tile]:
    users, before, after = found.users, found.before, found.after
    yield Tile(f"{users.changed:,}", f"users treated otherwise, {share(users.share)} of {users.total:,}")
    change = signed(after.actions - before.actions)
    yield Tile(change, f"actions: {before.actions:,} before, {after.actions:,} after")
    spend = "new" if found.spend_change is None else f"{found.spend_change:+.1%}"
    yield Tile(spend, f"spend: {money(before.cost)} before, {money(after.cost)} after, {currency}")
    reached = signed(after.users_acted_on - before.users_acted_on)
    yield Tile(reached, f"users acted on: {before.users_acted_on:,} before, {after.users_acted_on:,} after")


def _tables(found: Difference) -> list[dict[str, Any]]:
    """Returns the tables of amounts: name, whether its rows have ids for names, rows, and the most actions of one."""
    named: list[tuple[str, list[Row]]] = [("By kind", found.kinds), ("By offer", found.offers)]
    named += [(f"By {division_name(division)}", rows) for division, rows in found.segments.items()]
    return [
        {
            "name": name,
            "of_ids": rows is found.offers,
            "rows": rows[:_MOST_ROWS],
            "more": max(len(rows) - _MOST_ROWS, 0),
            "most": max((max(row.before.actions, row.after.actions) for row in rows), default=0) or 1,
        }
        for name, rows in named
        if rows
    ]
