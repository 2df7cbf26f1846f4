"""Makes a training set for a person who watches."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from forestay.cli.console import console, printable, table
from forestay.cli.featuring import rules_of, say_problems
from forestay.cli.progress import progress
from forestay.core.errors import ForestayError
from forestay.core.rules import Rules
from forestay.dataset.build import Wishes, build
from forestay.dataset.local import make_locally
from forestay.dataset.on_ray import make_on_ray
from forestay.dataset.plan import Label, Plan, Split, every, parse_span
from forestay.history.moment import parse_moment
from forestay.history.reading import EventFile
from forestay.settings import Settings

if TYPE_CHECKING:
    from rich.table import Table

#: Labels side by side; more of them do not fit into 80 columns.
_BESIDE: Final = 4


class Asked(NamedTuple):
    """The flags of `forestay dataset` as they were written; `series` is --every, --from and --until."""

    files: Sequence[Path]
    out: Path
    cutoffs: Sequence[str]
    series: tuple[str, str, str] | None
    horizons: Sequence[str]
    observed: str
    label: str
    spend_share: float
    known_until: str | None
    validate_from: str | None
    test_from: str | None
    suspicious_auc: float
    partitions: int
    workers: int | None
    engine: str
    strict: bool


def make(settings: Settings, asked: Asked) -> dict[str, Any]:
    """Makes the set; returns its manifest.

    Raises:
        OSError: a file cannot be read or written.
        ForestayError: a flag or a file is wrong, or a check for leakage failed.
    """
    if not settings.features.feature_set().complete:
        raise ForestayError("the model reads all features: leave features.families and features.windows as they are")
    rules = rules_of(settings)
    plan = plan_of(asked, rules)
    plan.check()
    files = [EventFile(path, rules, settings.topics.clickstream) for path in asked.files]
    wishes = Wishes(
        make_on_ray if asked.engine == "ray" else make_locally,
        asked.workers or len(os.sched_getaffinity(0)),
        _moment(asked.known_until),
        asked.suspicious_auc,
        asked.strict,
    )
    with progress() as tell:
        built = build(files, plan, wishes, asked.out, tell)
    say_problems(built.problems)
    if built.later:
        sys.stderr.write(f"{built.later:,} left out, they are after --known-until\n")
    _say_empty(asked, built.manifest["rows"])
    return built.manifest


def _say_empty(asked: Asked, rows: dict[str, int]) -> None:
    """Says which split was asked for and has no rows: nobody would notice before a model is to be judged."""
    bounds = {
        Split.VALIDATION: ("--validate-from", asked.validate_from),
        Split.TEST: ("--test-from", asked.test_from),
    }
    for split, (flag, bound) in bounds.items():
        if bound is not None and not rows[split]:
            sys.stderr.write(
                f"warning: no row is for {split}: {flag} {bound} holds out no cutoff with active users; --cutoff adds"
                " one\n"
            )


def plan_of(asked: Asked, rules: Rules) -> Plan:
    """Returns what the flags ask for.

    Raises:
        ForestayError: a moment or a span is none.
    """
    cutoffs = [parse_moment(cutoff) for cutoff in asked.cutoffs]
    if asked.series is not None:
        span, first, last = asked.series
        cutoffs += every(parse_span(span, "--every"), parse_moment(first), parse_moment(last))
    return Plan(
        cutoffs=tuple(sorted(set(cutoffs))),
        horizons=tuple(sorted({parse_span(horizon, "--horizon") for horizon in asked.horizons})),
        observed=parse_span(asked.observed, "--obs"),
        label=Label(asked.label),
        spend_share=asked.spend_share,
        validate_from=_moment(asked.validate_from),
        test_from=_moment(asked.test_from),
        partitions=asked.partitions,
        lateness=rules.lateness,
        idle=rules.idle,
        merge_identities=rules.merge_identities,
    )


def _moment(text: str | None) -> int | None:
    return None if text is None else parse_moment(text)


def show(manifest: dict[str, Any], out: Path) -> None:
    """Shows rows and churn rates by split: a row a split, or a row a label where they are many."""
    console().print((_by_split if len(manifest["label"]["columns"]) <= _BESIDE else _by_label)(manifest))
    parts, again = len(manifest["parts"]), manifest["leakage"]["rows_made_again"]
    sys.stderr.write(f"{parts} parts in {printable(str(out))}; {again:,} rows made again, and the same\n")


def _by_split(manifest: dict[str, Any]) -> "Table":
    names = manifest["label"]["columns"]
    shown = table("split", "rows", *names, right=("rows", *names))
    for split in _splits(manifest):
        shown.add_row(split, f"{manifest['rows'][split]:,}", *(_rate(manifest, name, split) for name in names))
    return shown


def _by_label(manifest: dict[str, Any]) -> "Table":
    splits = _splits(manifest)
    shown = table("label", *splits, right=splits)
    shown.add_row("rows", *(f"{manifest['rows'][split]:,}" for split in splits))
    for name in manifest["label"]["columns"]:
        shown.add_row(name, *(_rate(manifest, name, split) for split in splits))
    return shown


def _splits(manifest: dict[str, Any]) -> list[str]:
    return [str(split) for split in Split if manifest["rows"][split]]


def _rate(manifest: dict[str, Any], name: str, split: str) -> str:
    rate = manifest["labels"][name][split]["churn_rate"]
    return "unknown yet" if rate is None else f"{rate:.2%}"
