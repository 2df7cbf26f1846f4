"""What `forestay catalogue` finds: whether a catalogue can work, what is in it, and how two differ."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from forestay.catalogue_file import load_catalogue
from forestay.configuration import check_memory
from forestay.core.decision.catalogue import Catalogue, Offer
from forestay.settings import Settings
from forestay.trigger_file import load_triggers


class Change(NamedTuple):
    """What differs at one place of two catalogues; None stands for what is not there."""

    place: str
    before: Any
    after: Any


def checked(settings: Settings, path: Path | None) -> Catalogue:
    """Returns the catalogue in `path`, or that of the settings, as a worker with these settings would take it.

    Raises:
        ConfigurationError: it cannot work, by itself or with these settings.
    """
    catalogue = load_catalogue(path or settings.catalogue)
    check_memory(catalogue, settings.engine.rules(settings.features, load_triggers(settings.triggers).rules()))
    return catalogue


def content(catalogue: Catalogue) -> dict[str, Any]:
    """Returns all of a catalogue, with every default written out, and its version."""
    return {"version": catalogue.digest(), **catalogue.model_dump(mode="json", by_alias=True)}


def is_stopped(catalogue: Catalogue, offer: Offer) -> str:
    """Returns why an offer is made to nobody now, an empty text if it is not stopped."""
    if catalogue.switches.stops(offer.id, offer.kind):
        return "paused"
    return "out of stock" if offer.id in catalogue.switches.out_of_stock else ""


def changes(before: Catalogue, after: Catalogue) -> list[Change]:
    """Returns what differs, by place; offers go by their id, wherever they stand."""
    old, new = dict(_places(_keyed(before))), dict(_places(_keyed(after)))
    return [
        Change(place, old.get(place), new.get(place))
        for place in sorted(old.keys() | new.keys())
        if old.get(place) != new.get(place)
    ]


def line_of(change: Change) -> str:
    """Returns a change as a line for people."""
    return f"{change.place}: {_shown(change.before)} -> {_shown(change.after)}"


def _shown(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)


def _keyed(catalogue: Catalogue) -> dict[str, Any]:
    whole = catalogue.model_dump(mode="json", by_alias=True)
    order = [offer["id"] for offer in whole["offers"]]
    # Of equals the earlier offer wins, so their order is part of the policy.
    return {**whole, "offers": {offer["id"]: offer for offer in whole["offers"]}, "order of offers": order}


def _places(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yields every value that has no names in it, with the dotted names that lead to it."""
    if isinstance(value, dict) and value:
        for name, part in value.items():
            yield from _places(part, f"{place}.{name}" if place else str(name))
    else:
        yield place, value
