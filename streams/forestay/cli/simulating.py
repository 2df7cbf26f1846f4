"""Runs made-up worlds, for a person who watches or for a machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from forestay.cli.console import console, table
from forestay.cli.places import check_file
from forestay.cli.progress import progress
from forestay.history.reading import EventFile
from forestay.settings import Settings
from forestay.trigger_file import load_triggers
from forestay_training.simulation.effects import DEFAULT_EFFECTS, load_effects
from forestay_training.simulation.results import told
from forestay_training.simulation.rhythm import default_rhythm, fit_rhythm
from forestay_training.simulation.study import Size, study


class Wanted(NamedTuple):
    """The flags of `forestay simulate` as they were written."""

    events: Sequence[Path]
    effects: Path | None
    users: int
    days: int
    seeds: Sequence[int]
    workers: int
    report: Path | None


def simulated(settings: Settings, wanted: Wanted) -> dict[str, Any]:
    """Returns the figures, and writes the page if one is asked for.

    Raises:
        OSError: a file cannot be read or written.
        ForestayError: events or effects are wrong, or too few users order.
    """
    if wanted.report is not None:
        check_file("--report", wanted.report)
    effects = load_effects(wanted.effects or DEFAULT_EFFECTS)
    size = Size(wanted.users, wanted.days, wanted.seeds)
    with progress() as tell:
        fitted = default_rhythm()
        if wanted.events:
            files = _files(settings, wanted.events)
            fitted = fit_rhythm(files, wanted.seeds[0], tell)
        seen = study(fitted.rhythm, effects, size, min(wanted.workers, len(wanted.seeds)), tell)
    found = told(fitted, effects, size, seen)
    if wanted.report is not None:
        # plotly takes a second.
        from forestay_training.simulation.page import write_page

        write_page(wanted.report, found)
    return found


def show(found: dict[str, Any]) -> None:
    """Prints the figures."""
    said = console()
    worlds = len(found["seeds"])
    said.print(
        f"synthetic: {worlds} world{'s' if worlds > 1 else ''} of {found['users']:,} users, {found['days']} days"
    )
    rows = table("policy", "decisions", "regret", "in the last period", "gain above nothing", right=("decisions",))
    for name, one in found["policies"].items():
        last = one["periods"][-1]["regret"]
        rows.add_row(name, f"{one['decisions']:,}", _span(one["regret"]), _span(last), _span(one["gain"]))
    said.print(rows)
    rows = table("valued by a log", "estimator", "held the truth", "of", "mean error", right=("held the truth", "of"))
    for candidate, one in found["coverage"].items():
        for name, held in one["estimators"].items():
            rows.add_row(candidate, name, f"{held['share']:.1%}", f"{held['logs']:,}", _span(held["error"]))
    said.print(rows)
    pacing = found["pacing"]
    said.print(
        f"budget: {pacing['days']:,} days, {pacing['overspent']} overspent, {pacing['used']:.0%} used;"
        f" at most {pacing['furthest']:.0%} of the day's spending from its plan"
    )
    said.print(
        f"rhythm: {found['rhythm']['fit']['distance']:.1%} of users would have to change their number of orders"
    )


def _span(one: dict[str, Any]) -> str:
    span = one["interval"]
    if one["value"] is None:
        return "-"
    return f"{one['value']:.2f}" if span is None else f"{one['value']:.2f} [{span[0]:.2f}, {span[1]:.2f}]"


def _files(settings: Settings, paths: Sequence[Path]) -> list[EventFile]:
    rules = settings.engine.rules(settings.features, load_triggers(settings.triggers).rules())
    return [EventFile(path, rules, settings.topics.clickstream) for path in paths]
