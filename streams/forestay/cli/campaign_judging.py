"""Judges a randomised campaign, for a person who reads or for a machine."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from forestay.cli.console import console, printable, table
from forestay.cli.places import check_file
from forestay.cli.progress import progress
from forestay.core.errors import UsageError
from forestay_training.uplift.assess import Way, assess
from forestay_training.uplift.columns import listed
from forestay_training.uplift.dividing import divide
from forestay_training.uplift.learners import Learner
from forestay_training.uplift.reading import Columns, read_campaigns

#: Of one file, the half that judges: effects are as hard to measure as to learn.
_TEST_SHARE = 0.5


class Asked(NamedTuple):
    """The flags of `forestay uplift` as they were written."""

    train: Path
    test: Path | None
    treatment: str
    control: str
    outcome: str
    key: str | None
    features: Sequence[str] | None
    left_out: Sequence[str]
    ratio: Sequence[str]
    value: str | None
    worth: float | None
    cost: Sequence[str]
    learner: Learner
    draws: int
    seed: int
    report: Path | None


def judge(asked: Asked) -> dict[str, Any]:
    """Returns the figures, and writes the page if one is asked for.

    Raises:
        OSError: a file cannot be read or written.
        ForestayError: a file is no campaign, or too small a one.
    """
    worth = 1.0 if asked.worth is None else asked.worth
    columns = Columns(
        asked.treatment, asked.control, asked.outcome, asked.value, worth, asked.key, asked.features, asked.left_out
    )
    if asked.report is not None:
        check_file("--report", asked.report)
    with progress() as tell:
        train, test = read_campaigns(asked.train, asked.test, columns)
        if test is None:
            train, test = divide(train, _TEST_SHARE, asked.seed)
        way = Way(
            asked.learner,
            _costs(asked.cost, train.arms[1:]),
            _per_arm(asked.ratio, train.arms, "--ratio", 1.0),
            asked.draws,
            asked.seed,
        )
        found = {
            "train": {"file": str(asked.train), "people": train.size},
            "test": {"file": None if asked.test is None else str(asked.test), "people": test.size},
            "control": asked.control,
            "outcome": asked.outcome,
            "value": asked.value if asked.value is not None else worth,
            "cost": dict(zip(train.arms[1:], way.cost, strict=True)),
            "features": list(train.names),
            **assess(train, test, way, tell),
            "settings": {"learner": asked.learner, "draws": asked.draws, "seed": asked.seed},
        }
    if asked.report is not None:
        # plotly is of another extra, and takes a second.
        from forestay_training.uplift.page import write_page

        write_page(asked.report, found)
    return found


def _costs(written: Sequence[str], arms: Sequence[str]) -> tuple[float, ...]:
    if len(written) == 1 and "=" not in written[0]:
        return tuple(_number(written[0], "--cost") for _ in arms)
    return _per_arm(written, arms, "--cost", 0.0)


def _per_arm(written: Sequence[str], arms: Sequence[str], flag: str, default: float) -> tuple[float, ...]:
    told = dict.fromkeys(arms, default)
    for text in written:
        # An arm's name may hold =, a number does not.
        arm, equals, number = text.rpartition("=")
        if not equals or arm not in told:
            raise UsageError(f"{flag} {text}: say ARM=NUMBER; the arms are {listed(list(arms))}")
        told[arm] = _number(number, flag)
        if flag == "--ratio" and told[arm] == 0:
            raise UsageError(f"{flag} {text}: an arm of nobody is none")
    return tuple(told.values())


def _number(text: str, flag: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise UsageError(f"{flag} {text}: a number of 0 or more")
    return number


def show(found: dict[str, Any]) -> None:
    """Shows effects and policies, then what may be concluded; what speaks against the campaign goes to stderr."""
    columns = ("treatment", "people", "outcome", "untreated", "effect", "Qini", "AUUC")
    rows = table(*columns, right=columns[1:])
    for name, one in found["treatments"].items():
        rates = f"{one['outcome']:.2%}", f"{one['outcome_untreated']:.2%}"
        shown = (spanned(one[measure]) for measure in ("effect", "qini", "auuc"))
        rows.add_row(printable(name), f"{one['people']:,}", *rates, *shown)
    console().print(rows)
    heads = ("policy", "treated", "net a person", "by effect earns more")
    rows = table(*heads, right=heads[1:])
    for name, one in found["policies"].items():
        more = found["differences"].get(name)
        rows.add_row(
            printable(name), f"{one['treated']:.1%}", spanned(one["net"]), "" if more is None else spanned(more)
        )
    console().print(rows)
    for line in found["conclusions"]:
        console().print(printable(line))
    for line in found["checks"]["warnings"]:
        sys.stderr.write(f"forestay: warning: {printable(line)}\n")
    for line in found["checks"]["objections"]:
        sys.stderr.write(f"forestay: nothing is concluded: {printable(line)}\n")


def spanned(one: dict[str, Any]) -> str:
    """Returns a value with its interval."""
    if one["value"] is None:
        return "-"
    span = "" if one["interval"] is None else f" [{one['interval'][0]:+.4g}, {one['interval'][1]:+.4g}]"
    return f"{one['value']:+.4g}{span}"
