"""`forestay budget`: what is left of budgets, and how well they would be spent."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from forestay.cli.console import console, print_json, table
from forestay.cli.flags import settings_of

if TYPE_CHECKING:
    from rich.table import Table

    from forestay.budgets.status import Standing

app = typer.Typer(no_args_is_help=True, help="See what is left of budgets, and how well they are spent.")
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")]


@app.command()
def status(
    ctx: typer.Context,
    *,
    by_partition: Annotated[
        bool, typer.Option("--by-partition", help="A row a partition: its share, what it received and gave.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is spent, reserved and left of every budget of the catalogue in force, by period and arm.

    It is read from the state's changelog, so it is as of the workers' last commits. Amounts are whole hundredths of
    the currency, or points. The price says how much more than itself a unit is counted as, from the partition where
    it is least to that where it is most. What came back was reserved, and is left again; what is on the way was given
    by one partition, and not yet taken in by another. docs/budgets.md says more.

    **Examples**

    ```
    forestay budget status
    forestay budget status --by-partition
    forestay budget status --json
    ```
    """
    from forestay.cli.budgeting import look

    found, partitions = look(settings_of(ctx))
    if as_json:
        accounts = [one._asdict() | {"shares": [share._asdict() for share in one.shares]} for one in found]
        print_json({"partitions": partitions, "accounts": accounts})
        return
    rows = _by_partition(found) if by_partition else _by_account(found, partitions)
    console().print(
        rows if found else "nothing was drawn from any budget of the catalogue in force yet, or it has none"
    )


def _by_account(found: Sequence["Standing"], partitions: int) -> "Table":
    amounts = ("limit", "spent", "reserved", "left", "on the way", "came back")
    rows = table("budget", "period", "arm", "unit", *amounts, "price", "partitions dry", right=(*amounts, "price"))
    for one in found:
        price = f"{one.price_least:.2f} to {one.price_most:.2f}"
        units = (one.limit, one.spent, one.reserved, one.left, one.on_the_way, one.returned)
        numbers = [f"{number:,}" for number in units]
        rows.add_row(one.budget, one.period, one.arm or "", one.unit, *numbers, price, f"{one.dry} of {partitions}")
    return rows


def _by_partition(found: Sequence["Standing"]) -> "Table":
    amounts = ("share", "received", "given", "spent", "reserved", "left")
    rows = table("budget", "period", "arm", "partition", *amounts, "price", right=("partition", *amounts, "price"))
    for one in found:
        for share in one.shares:
            numbers = [f"{getattr(share, name):,}" for name in amounts]
            account = (one.budget, one.period, one.arm or "")
            rows.add_row(*account, str(share.partition), *numbers, f"{share.price:.2f}")
    return rows


@app.command()
def simulate(
    *,
    users: Annotated[int, typer.Option(min=100, max=10_000_000, help="Users a day.")] = 100_000,
    limit: Annotated[int, typer.Option(min=1, max=10**12, help="The budget, in hundredths.")] = 3_000_000,
    partitions: Annotated[int, typer.Option(min=1, max=1_000, help="Partitions that share it.")] = 1,
    seeds: Annotated[
        int, typer.Option(min=1, max=1_000, help="Days of other users, 0.3 s and 10,000 users each.")
    ] = 3,
    moves: Annotated[
        bool, typer.Option("--moves/--apart", help="Let what is left move between partitions, at one price.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Spend a budget on synthetic users, and compare with the most that could be had for it.

    Five offers from 1 to 20 in the currency, or none, for each user; what they are worth is drawn at random. The
    engine's own books reserve and set the price. Days: the first, which begins without a price; the second, which
    goes on; and one without prices, spent as users come. The season lets values swing by half over the day, and gives
    the budget the hours of another day. Shares are of the optimum of the linear programme.

    **Examples**

    ```
    forestay budget simulate
    forestay budget simulate --users 100000 --partitions 8 --moves --seeds 20 --json
    ```
    """
    from forestay.cli.budgeting import simulated

    found = simulated(users, limit, partitions, seeds, moves=moves)
    if as_json:
        print_json(
            {
                "users": users,
                "limit": limit,
                "partitions": partitions,
                "moves": moves,
                "seeds": seeds,
                "share_of": found,
            }
        )
        return
    rows = table(
        "values", "day", "value", "least", "spent", "overspent", right=("value", "least", "spent", "overspent")
    )
    for season, days in found.items():
        for day, figures in days.items():
            shares = [f"{figures[name]:.4f}" for name in ("value_mean", "value_least", "spent_mean")]
            rows.add_row(season, day, *shares, str(figures["overspent"]))
    console().print(rows)
