"""Fits and judges lists of items, for a person who watches or for a machine."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from forestay.cli.console import console, print_json, table
from forestay.cli.progress import progress
from forestay.core.units import to_milliseconds
from forestay.history.reading import EventFile
from forestay.settings import Settings
from forestay.trigger_file import load_triggers
from forestay_training.items.fitting import Wished, fit_items
from forestay_training.items.judging import judge
from forestay_training.items.orders import read_later, read_orders


class Wanted(NamedTuple):
    """The flags that `fit` and `evaluate` share; `moment` divides what is learned from and what is judged by."""

    events: Sequence[Path]
    moment: datetime | None
    most: int
    neighbours: int


def write_items(settings: Settings, wanted: Wanted, out: Path, *, as_json: bool) -> None:
    """Writes the lists, and prints what they rest on.

    Raises:
        ForestayError: files are wrong, or there is no order in them.
        OSError: a file cannot be read or written.
    """
    with progress() as tell:
        orders = read_orders(_files(settings, wanted), _milliseconds(wanted.moment), tell)
        items = fit_items(orders, Wished(wanted.most, wanted.neighbours), tell)
    data = items.model_dump_json().encode() + b"\n"
    out.write_bytes(data)
    found = {
        "out": str(out),
        "bytes": len(data),
        "orders": items.orders,
        "items": len(items.popular),
        "with_neighbours": len(items.together),
        "with_titles_alike": len(items.similar),
        "countries": len(items.countries),
    }
    if as_json:
        print_json(found)
        return
    rows = table("what", "how many", right=("how many",))
    for name, count in found.items():
        if name != "out":
            rows.add_row(name.replace("_", " "), f"{count:,}")
    console().print(rows)
    console().print(f"{out}: name it under `items` in the catalogue")


def judge_items(settings: Settings, wanted: Wanted, shown: int, seed: int, *, as_json: bool) -> None:
    """Prints how often each list has something of a later order.

    Raises:
        ForestayError: files are wrong, or there is no order before or after the moment.
        OSError: a file cannot be read.
    """
    moment = _milliseconds(wanted.moment)
    assert moment is not None  # noqa: S101 - `evaluate` asks for one
    with progress() as tell:
        orders = read_orders(_files(settings, wanted), moment, tell)
        items = fit_items(orders, Wished(wanted.most, wanted.neighbours), tell)
        later = read_later(_files(settings, wanted), moment, tell)
        found = {"learned_from": items.orders, **judge(items, later, shown, seed)}
    if as_json:
        print_json(found)
        return
    rows = table("list", "orders with one of them", "of users who met an item in 30 days")
    for name, rates in found["lists"].items():
        rows.add_row(name, *(_rate(rates[key]) for key in ("all", "with_taste")))
    console().print(rows)
    console().print(
        f"{shown} items shown, {found['orders']:,} orders with something new to the user, {found['with_taste']:,} of"
        f" them of users who met an item in the 30 days before; learned from {items.orders:,} earlier orders"
    )


def _rate(rate: dict[str, object]) -> str:
    value, interval = rate["value"], rate["interval"]
    if not isinstance(value, float) or not isinstance(interval, list):
        return "-"
    return f"{value:.1%} [{interval[0]:.1%}, {interval[1]:.1%}]"


def _files(settings: Settings, wanted: Wanted) -> list[EventFile]:
    rules = settings.engine.rules(settings.features, load_triggers(settings.triggers).rules())
    return [EventFile(path, rules, settings.topics.clickstream) for path in wanted.events]


def _milliseconds(moment: datetime | None) -> int | None:
    """Returns a moment without a zone as one in UTC."""
    if moment is None:
        return None
    return to_milliseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
