"""`forestay budget`: what is left of budgets, and how well they would be spent."""

from typing import Annotated

import typer

from forestay.cli.console import console, print_json, table
from forestay.cli.flags import settings_of

app = typer.Typer(no_args_is_help=True, help="See what is left of budgets, and how well they are spent.")
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")]


@app.command()
def status(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show what is spent, reserved and left of every budget in the catalogue, by period and arm.

    It is read from the state's changelog, so it is as of the workers' last commits. Amounts are whole hundredths of
    the currency, or points. The price says how much more than itself a unit is counted as, from the partition where
    it is least to that where it is most. docs/budgets.md says more.

    **Examples**

    ```
    forestay budget status
    forestay budget status --json
    ```
    """
    from forestay.cli.budgeting import look

    found, partitions = look(settings_of(ctx))
    if as_json:
        print_json({"partitions": partitions, "accounts": [one._asdict() for one in found]})
        return
    amounts = ("limit", "spent", "reserved", "left")
    rows = table("budget", "period", "arm", "unit", *amounts, "price", "partitions dry", right=(*amounts, "price"))
    for one in found:
        price = f"{one.price_least:.2f} to {one.price_most:.2f}"
        numbers = [f"{getattr(one, name):,}" for name in amounts]
        rows.add_row(one.budget, one.period, one.arm or "", one.unit, *numbers, price, f"{one.dry} of {partitions}")
    console().print(rows if found else "nothing was drawn from any budget of the catalogue yet")


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
