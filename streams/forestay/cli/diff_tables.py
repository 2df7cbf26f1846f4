"""A comparison as tables for a terminal."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from forestay.cli.console import console, printable, table
from forestay.diff.difference import Difference, Example, Row
from forestay.diff.words import division_name, money, offer_name, share, signed, spend_told

if TYPE_CHECKING:
    from rich.table import Table

#: Changes, offers and examples shown: the rest is in the JSON.
_SHOWN: Final = 12


def print_difference(found: Difference, currency: str) -> None:
    """Prints what changes: the sums first, then where, then examples."""
    out = console()
    for line in _head(found, currency):
        out.print(line)
    tables = [("changes", _changes(found)), ("by kind", _amounts(found.kinds)), ("by offer", _amounts(found.offers))]
    tables += [(f"by {division_name(name)}", _amounts(rows)) for name, rows in found.segments.items()]
    tables += [("held back by guardrails", _suppressed(found)), ("examples", _examples(found.examples))]
    for title, one in tables:
        if one.row_count:
            out.print()
            out.print(title, style="bold")
            out.print(one)


def _head(found: Difference, currency: str) -> Iterator[str]:
    before, after, decisions = found.before, found.after, found.decisions
    yield f"users treated otherwise  {found.users.changed:,} of {found.users.total:,} ({share(found.users.share)})"
    yield (
        f"decisions                {decisions.same:,} as before, {decisions.changed:,} with another offer,"
        f" {decisions.only_before:,} before alone, {decisions.only_after:,} after alone"
    )
    change = signed(after.actions - before.actions)
    yield f"actions                  {before.actions:,} -> {after.actions:,} ({change})"
    yield (
        f"spend                    {money(before.cost)} -> {money(after.cost)} {currency}"
        f" ({spend_told(found.spend_change)})"
    )
    yield f"users acted on           {before.users_acted_on:,} -> {after.users_acted_on:,}"
    probabilities = found.probabilities
    if probabilities.changed and probabilities.mean_before is not None and probabilities.mean_after is not None:
        yield (
            f"churn probabilities      {probabilities.changed:,} change, by {share(probabilities.largest_change)} at"
            f" most; mean {share(probabilities.mean_before)} -> {share(probabilities.mean_after)}"
        )


def _changes(found: Difference) -> "Table":
    rows = table("from", "to", "decisions", "users", right=("decisions", "users"))
    for change in found.changes[:_SHOWN]:
        names = (printable(offer_name(offer)) for offer in (change.before, change.after))
        rows.add_row(*names, f"{change.decisions:,}", f"{change.users:,}")
    return rows


def _amounts(amounts: Sequence[Row]) -> "Table":
    rows = table(
        "", "actions", "after", "change", "cost", "after ", right=("actions", "after", "change", "cost", "after ")
    )
    for row in amounts[:_SHOWN]:
        first, second = row.before, row.after
        rows.add_row(
            printable(row.name),
            f"{first.actions:,}",
            f"{second.actions:,}",
            signed(second.actions - first.actions),
            money(first.cost),
            money(second.cost),
        )
    return rows


def _suppressed(found: Difference) -> "Table":
    rows = table("rule", "before", "after", "change", right=("before", "after", "change"))
    for count in found.suppressed:
        rows.add_row(
            printable(count.code), f"{count.before:,}", f"{count.after:,}", signed(count.after - count.before)
        )
    return rows


def _examples(examples: Sequence[Example]) -> "Table":
    rows = table("user", "decided at", "after", "from", "to", "cost", right=("cost",))
    for one in examples[:_SHOWN]:
        rows.add_row(
            printable(one.user_id),
            f"{one.decided_at:%Y-%m-%d %H:%M}",
            printable(one.trigger),
            printable(offer_name(one.before)),
            printable(offer_name(one.after)),
            f"{money(one.cost_before)} -> {money(one.cost_after)}",
        )
    return rows
