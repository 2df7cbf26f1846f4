"""Fits and judges lists of items, for a person who watches or for a machine."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from forestay.cli.console import console, print_json, table
from forestay.cli.progress import progress
from forestay.core.items.items import Items
from forestay.core.rules import Rules
from forestay.core.units import to_milliseconds
from forestay.history.point_in_time import Tell
from forestay.history.reading import EventFile
from forestay.settings import Settings
from forestay.trigger_file import load_triggers
from forestay_training.evaluation.served import ServedModel
from forestay_training.items.embedding import with_embeddings
from forestay_training.items.fitting import Wished, fit_items
from forestay_training.items.judging import judge
from forestay_training.items.next_fitting import Fitted, fit_next
from forestay_training.items.orders import Later, read_later, read_orders


class Wanted(NamedTuple):
    """The flags that `fit` and `evaluate` share; `moment` divides what is learned from and what is judged by."""

    events: Sequence[Path]
    moment: datetime | None
    most: int
    neighbours: int
    #: The folder of the model whose item head is fitted too; None: no head.
    model: Path | None


def write_items(settings: Settings, wanted: Wanted, out: Path, *, as_json: bool) -> None:
    """Writes the lists, and prints what they rest on.

    Raises:
        ForestayError: files are wrong, or there is no order in them.
        OSError: a file cannot be read or written.
    """
    with progress() as tell:
        moment = _milliseconds(wanted.moment)
        orders = read_orders(_files(settings, wanted), moment, tell)
        items = fit_items(orders, Wished(wanted.most, wanted.neighbours), tell)
        fitted = _fitted(_embedded(settings, wanted, tell), moment, tell)
        items = _with_head(items, fitted)
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
    } | _told(fitted)
    if as_json:
        print_json(found)
        return
    rows = table("what", "how many", right=("how many",))
    for name, count in found.items():
        if name != "out":
            rows.add_row(name.replace("_", " "), count if isinstance(count, str) else f"{count:,}")
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
        known = _embedded(settings, wanted, tell)
        fitted = _fitted(known, moment, tell)
        later = [one for one in known if one.at >= moment] or read_later(_files(settings, wanted), moment, tell)
        found = {
            "learned_from": items.orders,
            **judge(_with_head(items, fitted), later, shown, seed),
            **_told(fitted),
        }
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


def _embedded(settings: Settings, wanted: Wanted, tell: Tell) -> list[Later]:
    """Returns all orders with what the model had made of their users, if a head is wanted."""
    if wanted.model is None:
        return []
    model = ServedModel.load(wanted.model)
    files = _files(settings, wanted)
    rules = _rules(settings)._replace(deduplicate=True)
    return with_embeddings(read_later(files, 0, tell), files, rules, model, tell)


def _fitted(orders: Sequence[Later], before: int | None, tell: Tell) -> Fitted | None:
    if not orders:
        return None
    return fit_next([one for one in orders if before is None or one.at < before], tell)


def _with_head(items: Items, fitted: Fitted | None) -> Items:
    return items if fitted is None else items.model_copy(update={"next_item": fitted.head})


def _told(fitted: Fitted | None) -> dict[str, object]:
    if fitted is None:
        return {}
    return {
        "head_model": fitted.head.projection.version,
        "head_items": len(fitted.head.weights),
        "head_orders": fitted.orders,
        "head_prior": fitted.prior,
        "head_together": fitted.head.together,
        "head_hit_rate": round(fitted.hit_rate, 4),
    }


def _rate(rate: dict[str, object]) -> str:
    value, interval = rate["value"], rate["interval"]
    if not isinstance(value, float) or not isinstance(interval, list):
        return "-"
    return f"{value:.1%} [{interval[0]:.1%}, {interval[1]:.1%}]"


def _files(settings: Settings, wanted: Wanted) -> list[EventFile]:
    rules = _rules(settings)
    return [EventFile(path, rules, settings.topics.clickstream) for path in wanted.events]


def _rules(settings: Settings) -> Rules:
    return settings.engine.rules(settings.features, load_triggers(settings.triggers).rules())


def _milliseconds(moment: datetime | None) -> int | None:
    """Returns a moment without a zone as one in UTC."""
    if moment is None:
        return None
    return to_milliseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
