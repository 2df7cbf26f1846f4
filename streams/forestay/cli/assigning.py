"""Tells a user's arms, and why."""

from pathlib import Path
from typing import Any

from forestay.catalogue_file import load_catalogue
from forestay.cli.console import console, print_json, printable, table
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.guardrails import in_holdout
from forestay.core.experiments.assignment import arm_of, bucket, places
from forestay.core.experiments.settings import Experiment
from forestay.settings import Settings
from forestay_schemas.types import rfc3339


def assign(settings: Settings, user_id: str, catalogue: Path | None, *, as_json: bool) -> None:
    """Prints the arms of a user in all experiments of a catalogue, by default of the one in force."""
    shop = load_catalogue(catalogue or settings.catalogue)
    found = told(shop, user_id)
    if as_json:
        print_json(found)
        return
    if not found["experiments"]:
        console().print(f"the catalogue {shop.name} has no experiments")
        return
    rows = table("experiment", "arm", "why")
    for one in found["experiments"]:
        rows.add_row(one["experiment"], one["arm"] or "-", one["why"])
    console().print(rows)


def told(shop: Catalogue, user_id: str) -> dict[str, Any]:
    """Returns the user's arms with the reasons as one JSON object."""
    held = in_holdout(user_id, shop)
    rows = [_told(experiment, user_id, held=held) for experiment in shop.experiments]
    return {"user_id": printable(user_id), "holdout": held, "experiments": rows}


def _told(experiment: Experiment, user_id: str, *, held: bool) -> dict[str, Any]:
    arm = None if held else arm_of(experiment, user_id)
    return {
        "experiment": experiment.id,
        "arm": None if arm is None else arm.id,
        "why": "in the holdout, which takes part in nothing" if held else _why(experiment, user_id),
        "from": rfc3339(experiment.start),
        "until": rfc3339(experiment.until),
    }


def _why(experiment: Experiment, user_id: str) -> str:
    place = bucket("layer", experiment.layer, user_id)
    first, last = experiment.room
    where = f"bucket {place} of layer {experiment.layer}"
    if not first <= place < last:
        return f"{where}, outside {first} to {last - 1}"
    drawn = bucket("arm", experiment.salt, user_id)
    taken = ", ".join(
        f"{arm.id} {range_.start} to {range_.stop - 1}" if range_ else f"{arm.id} none"
        for arm, range_ in zip(experiment.arms, places(experiment), strict=True)
    )
    return f"{where}; bucket {drawn} of salt {experiment.salt}: {taken}"
