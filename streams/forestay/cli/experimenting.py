"""Plans, reads and simulates experiments for a person who watches, or for a machine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from forestay.catalogue_file import load_catalogue
from forestay.cli.console import console, print_json, table
from forestay.cli.progress import progress
from forestay.core.errors import ForestayError
from forestay.core.experiments.settings import Experiment
from forestay.core.units import to_datetime
from forestay.history.moment import parse_moment
from forestay.settings import Settings
from forestay_training.experiments import planning, simulating
from forestay_training.experiments.a_a import a_a
from forestay_training.experiments.baseline import Baseline, baseline
from forestay_training.experiments.exposures import read_acted, read_exposures
from forestay_training.experiments.log import Log, Topics
from forestay_training.experiments.metrics import BY_NAME
from forestay_training.experiments.planning import Design
from forestay_training.experiments.readout import read_out
from forestay_training.experiments.simulating import Scene

__all__ = ["Baseline", "Design", "Scene", "Wanted", "of_log", "plan", "read", "simulate"]

_VERDICTS: Final = {
    "better": "better than control",
    "worse": "worse than control",
    "no_difference_found": "no difference found",
    "undecided": "not decided yet",
}


class Wanted(NamedTuple):
    """The flags of `forestay experiment read` as they were written."""

    experiment: str
    log: Sequence[Path]
    catalogue: Path | None
    as_of: str | None
    a_a: int
    html: Path | None


def of_log(settings: Settings, log: Sequence[Path], metric: str) -> Baseline:
    """Returns what a metric is like in a log, of the users who were acted upon."""
    return baseline(read_acted(_log(settings, log)), BY_NAME[metric])


def _log(settings: Settings, paths: Sequence[Path]) -> Log:
    return Log(paths, Topics(settings.topics.decisions, settings.topics.outcomes))


def plan(metric: Baseline, design: Design, *, as_json: bool) -> None:
    """Prints sizes, days and the power curve.

    Raises:
        UsageError: metric and lift make no sense together.
    """
    found = planning.plan(metric, design)
    if as_json:
        print_json(found)
        return
    rows = table("", "users", "on average", "days", "on average, days", right=("users", "on average", "days"))
    for name, title in (("one_look", "one look at the end"), ("looks", f"{design.looks} looks")):
        size = found[name]
        days = ("-", "-") if size["days"] is None else (f"{size['days']:.0f}", f"{size['expected_days']:.0f}")
        rows.add_row(title, f"{size['users']:,}", f"{size['expected_users']:,}", *days)
    console().print(rows)
    varies = "" if metric.deviation is None else f" with deviation {metric.deviation:.4g}"
    console().print(
        f"of a mean of {metric.mean:.4g}{varies}; covariates take {metric.variance_cut:.0%} off the variance"
    )
    curve = ", ".join(f"{point['lift']:+.1%}: {point['power']:.0%}" for point in found["power_curve"])
    console().print(f"power of the looks by lift: {curve}")


def read(settings: Settings, wanted: Wanted, *, as_json: bool) -> bool:
    """Prints the read-out, writes the page if asked; says whether it could be read."""
    experiment = _experiment(settings, wanted)
    exposures = read_exposures(_log(settings, wanted.log), experiment)
    as_of = None if wanted.as_of is None else to_datetime(parse_moment(wanted.as_of))
    found = read_out(exposures, experiment, as_of)
    if wanted.a_a and not found["blocked"]:
        with progress() as tell:
            found["a_a"] = a_a(exposures, experiment, wanted.a_a, lambda done, all_: tell("A/A", done, all_))
    if wanted.html is not None:
        # jinja2 is of another extra.
        from forestay_training.experiments.page import write_page

        write_page(wanted.html, found)
    if as_json:
        print_json(found)
    else:
        _show(found)
    return not found["blocked"]


def _experiment(settings: Settings, wanted: Wanted) -> Experiment:
    path = wanted.catalogue or settings.catalogue
    experiments = load_catalogue(path).experiments
    for experiment in experiments:
        if experiment.id == wanted.experiment:
            return experiment
    there = ", ".join(one.id for one in experiments) or "none"
    raise ForestayError(f"{path} has no experiment {wanted.experiment}; there are: {there}")


def _show(found: Mapping[str, Any]) -> None:
    exposed, known = _by_arm(found["exposed"]), _by_arm(found["known"])
    console().print(f"{found['experiment']} as of {found['as_of']}: exposed {exposed}; known by now {known}")
    if found["blocked"]:
        p_value = min(found["sample_ratio"]["p_exposed"], found["sample_ratio"]["p_known"])
        console().print(
            f"NOT TO BE READ: sizes like these come by chance once in {1 / max(p_value, 1e-300):.3g} experiments."
            " Something removes users from an arm, or records one less: find it, and begin anew with another salt."
        )
        return
    if found["in_two_arms"]:
        console().print(f"{found['in_two_arms']:,} users were seen in two arms, and count in their first")
    missing = found["missing"][found["primary"]["metric"]]
    if any(missing.values()):
        console().print(f"due and missing, left out: {_by_arm(missing)}")
    for arm, of in found["primary"]["arms"].items():
        _show_arm(arm, of, found["primary"])
    _show_rows("guardrail", "limit", found["guardrails"])
    if found["secondary"] is None:
        console().print("other metrics are told when this one is decided")
    else:
        _show_rows("metric", "p_value_adjusted", found["secondary"])
    if "a_a" in found:
        told = found["a_a"]
        console().print(
            f"A/A: {told['found']} of {told['dealt']} random deals of these users differ at p < {told['alpha']:g}"
            f" ({told['share']:.1%}, {told['interval'][0]:.1%} to {told['interval'][1]:.1%})"
        )


def _by_arm(users: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} in {arm}" for arm, count in users.items())


def _show_arm(arm: str, of: Mapping[str, Any], primary: Mapping[str, Any]) -> None:
    when = f" at the look of {of['found_at'][:10]}" if of["found_at"] else ""
    console().print(f"{arm}: {_VERDICTS[of['verdict']]} in {primary['title']}{when}")
    rows = table("look", "users", "control", arm, "effect", "interval", "p", "p needed")
    for look in of["looks"]:
        users = f"{look['users']:,} of {primary['planned_users']:,}"
        rows.add_row(
            look["at"][:10], users, *_effect(look), _number(look["p_value"]), _number(look["p_value_needed"])
        )
    console().print(rows)


def _show_rows(what: str, last: str, rows: Sequence[Mapping[str, Any]]) -> None:
    shown = table(what, "arm", "users", "control", "treated", "effect", "interval", last.replace("_", " "), "")
    for row in rows:
        alarm = "ALARM" if row.get("alarm") else ""
        shown.add_row(row["metric"], row["arm"], f"{row['users']:,}", *_effect(row), _number(row[last]), alarm)
    console().print(shown)


def _effect(row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    interval = "" if row["interval"] is None else f"{row['interval'][0]:+.4g} to {row['interval'][1]:+.4g}"
    relative = "" if row["relative"] is None else f" ({row['relative']:+.1%})"
    return _number(row["control"]), _number(row["treatment"]), f"{row['effect']:+.4g}{relative}", interval


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def simulate(scene: Scene, lifts: list[float], *, as_json: bool) -> None:
    """Prints how often each way finds something at each lift, and after how many users."""
    with progress() as tell:
        rows = simulating.simulate(scene, lifts, lambda done, whole: tell("simulations", done, whole))
    if as_json:
        print_json({"scene": scene._asdict(), "synthetic": True, "rows": rows})
        return
    shown = table("lift", "way", "covariate", "found", "interval", "users", right=("found", "users"))
    for row in rows:
        interval = f"{row['interval'][0]:.1%} to {row['interval'][1]:.1%}"
        covariate = "score" if row["score"] else "-"
        shown.add_row(
            f"{row['lift']:+.0%}", row["way"], covariate, f"{row['found']:.1%}", interval, f"{row['users']:,.0f}"
        )
    console().print(shown)
    console().print(f"{scene.simulations:,} simulations a lift, of {scene.users:,} synthetic users each")
