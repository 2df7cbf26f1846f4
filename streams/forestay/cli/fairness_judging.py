"""Judges who is made offers, for a person who reads or for a machine."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from forestay.catalogue_file import load_catalogue
from forestay.cli.console import console, printable, table
from forestay.cli.progress import progress
from forestay.core.errors import ForestayError, UsageError
from forestay_training.fairness.groups import by_file, by_tier, tells_country, with_countries
from forestay_training.fairness.judging import Rule, judge
from forestay_training.fairness.treatment import earned, treatment
from forestay_training.offpolicy.records import read_records


class Asked(NamedTuple):
    """The flags of `forestay fair` as they were written."""

    log: Sequence[Path]
    groups: Path | None
    candidate: Path | None
    least: float
    allow: Sequence[str]
    least_users: int
    reward_function: str | None
    draws: int
    seed: int
    report: Path | None


def judged(catalogue_file: Path, asked: Asked) -> dict[str, Any]:
    """Returns the figures, and writes the page if one is asked for.

    Raises:
        OSError: a file cannot be read or written.
        ForestayError: a log, a catalogue or the groups are wrong, or there is nothing to judge.
    """
    rule = Rule(asked.least, asked.least_users, _allowed(asked.allow), asked.draws, asked.seed)
    catalogue = load_catalogue(asked.candidate or catalogue_file)
    with progress() as tell:
        records = read_records(asked.log, lambda done: tell("records", done, None))
        decisions = [records.decisions[name] for name in sorted(records.decisions)]
        if not decisions:
            raise ForestayError("there is no decision in the log")
        groups = by_tier(catalogue, decisions) if asked.groups is None else by_file(asked.groups, decisions)
        if asked.groups is not None and tells_country(asked.groups):
            # A candidate with prices of parity may go by it.
            records = with_countries(records, decisions, groups)
            decisions = list(records.decisions.values())
        made = treatment(decisions, catalogue, candidate=asked.candidate is not None)
        candidate = None if asked.candidate is None else catalogue
        gained = earned(records, decisions, candidate, asked.reward_function, asked.seed)
        tell("draws of users", 0, None)
        found = judge(groups, [decision.user_id for decision in decisions], made, gained, rule)
    unknown = sorted(rule.allowed.keys() - found.keys())
    if unknown:
        raise UsageError(f"--allow {unknown[0]}: there are the groups {', '.join(found)}")
    told = {
        "log": [str(path) for path in asked.log],
        "groups_from": "tiers" if asked.groups is None else str(asked.groups),
        "candidate": None if asked.candidate is None else str(asked.candidate),
        "decisions": len(decisions),
        "users": len({decision.user_id for decision in decisions}),
        "least": asked.least,
        "groups": found,
        "uplift_doubts": list(gained.doubts),
        "passed": all(one["verdict"] != "unequal" for one in found.values()),
        "settings": {"draws": asked.draws, "seed": asked.seed},
    }
    if asked.report is not None:
        # plotly is of another extra, and takes a second.
        from forestay_training.fairness.page import write_page

        write_page(asked.report, told)
    return told


def _allowed(flags: Sequence[str]) -> dict[str, str]:
    found = {}
    for flag in flags:
        name, _sign, reason = flag.partition("=")
        if not name or not reason:
            raise UsageError(f"--allow {flag}: GROUP=REASON, and the reason stands in the report")
        found[name] = reason
    return found


def show(found: dict[str, Any]) -> None:
    """Shows a row for each group, then what is unequal."""
    columns = (
        "group",
        "users",
        "selected",
        "beside others",
        "cost a decision",
        "cost of a basket",
        "uplift",
        "verdict",
    )
    rows = table(*columns, right=columns[1:-1])
    for name, one in found["groups"].items():
        rows.add_row(
            printable(name),
            f"{one['users']:,}",
            spanned(one["selected"], ".1%"),
            spanned(one["selected_beside_others"], ".2f"),
            spanned(one["cost_a_decision"], ".3g"),
            spanned(one["cost_of_a_basket"], ".2%"),
            spanned(one["uplift_a_decision"], "+.3g"),
            one["verdict"].replace("_", " "),
        )
    console().print(rows)
    for name, one in found["groups"].items():
        if one["verdict"] == "allowed":
            console().print(printable(f"{name} may differ: {one['allowed']}"))
        if one["verdict"] == "unequal":
            sys.stderr.write(f"forestay: {printable(name)} is treated unlike the others\n")
    for doubt in found["uplift_doubts"]:
        console().print(printable(f"uplift is not to be relied on: {doubt}"))
    gate = "passed" if found["passed"] else "not passed"
    console().print(f"{found['decisions']:,} decisions of {found['users']:,} users; gate {gate}")


def spanned(one: dict[str, Any], form: str) -> str:
    """Returns a value with its interval."""
    if one["value"] is None:
        return "-"
    value = format(one["value"], form)
    return (
        value if one["interval"] is None else f"{value} [{', '.join(format(end, form) for end in one['interval'])}]"
    )
