"""Prices parity by a log, for a person who reads or for a machine."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from forestay.catalogue_file import load_catalogue
from forestay.cli.console import console, printable, table
from forestay.cli.fairness_judging import spanned
from forestay.cli.progress import progress
from forestay.core.errors import ForestayError, UsageError
from forestay.core.policy.parity_measure import Measure
from forestay_schemas.types import GroupedBy
from forestay_training.fairness.groups import by_file, by_tier, tells_country, with_countries
from forestay_training.fairness.price_cost import Case, Drawing, cost_of
from forestay_training.fairness.pricing import Wanted, priced
from forestay_training.offpolicy.records import read_records


class AskedPrice(NamedTuple):
    """The flags of `forestay fair --price` as they were written."""

    out: Path
    measure: Measure
    log: Sequence[Path]
    groups: Path | None
    catalogue: Path
    least: float
    least_users: int
    draws: int
    seed: int
    reward_function: str | None


def price_parity(asked: AskedPrice) -> dict[str, Any]:
    """Writes the prices, and returns what they change and cost.

    Raises:
        OSError: a file cannot be read or written.
        ForestayError: a log, a catalogue or the groups are wrong, or no prices do.
    """
    by = GroupedBy.TIER if asked.groups is None else _by_country(asked.groups)
    catalogue = load_catalogue(asked.catalogue)
    with progress() as tell:
        records = read_records(asked.log, lambda done: tell("records", done, None))
        decisions = [records.decisions[name] for name in sorted(records.decisions)]
        if not decisions:
            raise ForestayError("there is no decision in the log")
        groups = by_tier(catalogue, decisions) if asked.groups is None else by_file(asked.groups, decisions)
        if by is GroupedBy.COUNTRY:
            records = with_countries(records, decisions, groups)
            decisions = [records.decisions[name] for name in sorted(records.decisions)]
        wanted = Wanted(by, asked.measure, asked.least, asked.least_users)
        prices = priced(decisions, groups, catalogue, wanted, lambda done: tell("rounds of prices", done, None))
        tell("their cost", 0, None)
        drawing = Drawing(asked.draws, asked.seed, asked.reward_function)
        cost = cost_of(Case(records, decisions, groups, catalogue), prices, drawing)
    asked.out.write_text(prices.model_dump_json() + "\n")
    return {
        "out": str(asked.out),
        "by": str(by),
        "measure": str(asked.measure),
        "least": asked.least,
        "decisions": len(decisions),
        "users": len({decision.user_id for decision in decisions}),
        **cost,
        "settings": {"draws": asked.draws, "seed": asked.seed},
    }


def _by_country(path: Path) -> GroupedBy:
    if not tells_country(path):
        raise UsageError(
            f"--price: a decision knows a user's tier and country alone, so {path} needs the columns user_id and"
            " country, as the clickstream tells it; without --groups prices go by tier"
        )
    return GroupedBy.COUNTRY


def show_prices(found: dict[str, Any]) -> None:
    """Shows a row for each group, then what it costs."""
    discount = found["measure"] == Measure.DISCOUNT
    columns = (
        found["by"],
        "users",
        "before",
        "after",
        "price of a unit of cost" if discount else "price of an offer",
    )
    rows = table(*columns, right=columns[1:])
    for name, one in found["groups"].items():
        rates = ("-" if one[when] is None else f"{one[when]:.2%}" for when in ("before", "after"))
        price = "too few users" if one["price"] is None else f"{one['price']:+.4g}"
        rows.add_row(printable(name), f"{one['users']:,}", *rates, price)
    console().print(rows)
    console().print(
        f"cost a decision: {spanned(found['cost_a_decision'], '.3g')} by the policy's own values,"
        f" {spanned(found['cost_share'], '.2%')} of them"
    )
    outcomes = found["cost_by_outcomes"]
    told = "not known, there are none" if outcomes is None else spanned(outcomes, ".3g")
    console().print(f"cost a decision with a choice, by outcomes: {told}")
    console().print(f"{found['out']}: name it in the catalogue's policy as `parity`, after counsel was asked")
    if not found["in_band"]:
        sys.stderr.write("forestay: over the whole log the groups are still outside the band: give a --least above\n")
