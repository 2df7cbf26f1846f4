"""Judges a policy by a log, for a person who reads or for a machine."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from forestay.catalogue_file import load_catalogue
from forestay.cli.console import console, printable, table
from forestay.cli.progress import progress
from forestay.core.errors import ForestayError, UsageError
from forestay_training.offpolicy import open_bandit
from forestay_training.offpolicy.assess import Way, assess
from forestay_training.offpolicy.catalogue_policy import reweigh
from forestay_training.offpolicy.log import Log, Matrix
from forestay_training.offpolicy.own_log import NAMED, OwnLog, own_log
from forestay_training.offpolicy.records import read_records
from forestay_training.offpolicy.reward_model import Kind

Tell = Callable[[str, int, int | None], None]
_CATALOGUES = (".yaml", ".yml")


class Asked(NamedTuple):
    """The flags of `forestay ope` as they were written."""

    log: Sequence[Path]
    policy: str
    form: str
    reward_function: str | None
    by: str
    at_least: float | str | None
    reward_model: Kind
    draws: int
    seed: int
    report: Path | None


class Given(NamedTuple):
    """A log, the candidate's probabilities (N, A), and what else is to be told of them."""

    log: Log
    target: Matrix
    told: dict[str, Any]


def judge(asked: Asked) -> dict[str, Any]:
    """Returns the figures, and writes the page if one is asked for.

    Raises:
        OSError: a file cannot be read or written.
        ForestayError: a log or the policy is wrong, or there is nothing to judge by.
    """
    way = Way(asked.by, asked.reward_model, asked.draws, asked.seed, asked.at_least)
    with progress() as tell:
        given = _open_bandit(asked) if asked.form == "open-bandit" else _own(asked, tell)
        found = {
            "log": [str(path) for path in asked.log],
            "format": asked.form,
            "policy": asked.policy,
            **given.told,
            **assess(given.log, given.target, way, tell),
            "settings": {"draws": asked.draws, "seed": asked.seed},
        }
    if asked.report is not None:
        # plotly is of another extra, and takes a second.
        from forestay_training.offpolicy.page import write_page

        write_page(asked.report, found)
    return found


def _open_bandit(asked: Asked) -> Given:
    if len(asked.log) > 1:
        raise UsageError("a log of Open Bandit is one file: name one --log")
    if asked.reward_function is not None:
        raise UsageError("--reward-function: the reward of Open Bandit is the click")
    read = open_bandit.read(asked.log[0])
    if asked.policy == "logged":
        if read.log.logging is None:
            raise ForestayError(
                "--policy logged: this log tells the probability of the item shown only; judge random or bts"
            )
        return Given(read.log, read.log.logging, {"reward_function": "click", "left_out": {}})
    return Given(read.log, read.target(asked.policy), {"reward_function": "click", "left_out": {}})


def _own(asked: Asked, tell: Tell) -> Given:
    records = read_records(asked.log, lambda done: tell("records", done, None))
    own = own_log(records, asked.reward_function)
    log, target = _candidate(asked.policy, own)
    return Given(log, target, {"reward_function": own.function, "left_out": own.left_out})


def _candidate(policy: str, own: OwnLog) -> tuple[Log, Matrix]:
    if policy == "logged" and own.log.logging is not None:
        return own.log, own.log.logging
    if policy in NAMED:
        return own.log, NAMED[policy](own.log)
    if Path(policy).suffix not in _CATALOGUES:
        raise UsageError(f"--policy {policy}: a catalogue is a .yaml file; by name there are logged, {_names()}")
    return reweigh(own.log, own.decisions, load_catalogue(Path(policy)))


def _names() -> str:
    return ", ".join(NAMED)


def show(found: dict[str, Any]) -> None:
    """Shows the estimates, then what they rest on, then the verdict."""
    columns = ("estimator", "a decision", "above the log's policy", "relative", "cut")
    rows = table(*columns, right=columns[1:])
    for name, one in found["estimates"].items():
        relative = "-" if one["relative"] is None else f"{one['relative']:.6f}"
        knob = "" if one["knob"] is None else str(one["knob"])
        rows.add_row(name, spanned(one), spanned(one["gain"], "+"), relative, knob)
    rows.add_row("logged", spanned(found["logged"]), "", "", "")
    console().print(rows)
    for line in told(found):
        console().print(printable(line))
    for reason in found["verdict"]["reasons"]:
        sys.stderr.write(f"forestay: {printable(reason)}\n")


def told(found: dict[str, Any]) -> list[str]:
    """Returns support, reward model, A/A check and verdict in words."""
    support, model, same = found["support"], found["reward_model"], found["same_policy"]
    left = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in found["left_out"].items() if count)
    counted = f"{found['decisions']:,} decisions of {found['users']:,} users"
    behind = (
        f"support: {support['effective']:,.0f} decisions count ({support['share']:.1%}), largest weight"
        f" {support['largest_weight']:.1f}, mean weight {support['mean_weight']:.3f}, untried {support['gap']:.2%}"
    )
    foreseen = (
        f"reward model ({model['kind']}): expected {model['expected']:.4g}, came {model['came']:.4g}, off by"
        f" {model['error']:.2g} on average over tenths"
    )
    lines = [counted + (f"; left out: {left}" if left else ""), behind, foreseen]
    if same is None:
        lines.append("A/A check: not possible, the log tells the probability of the chosen action only")
    else:
        but = f", but not for {', '.join(same['failed'])}" if same["failed"] and same["passed"] else ""
        lines.append(f"A/A check: {'holds' if same['passed'] else 'fails'}{but}")
    verdict = found["verdict"]
    gate = "" if verdict["passed"] is None else f"; gate {'passed' if verdict['passed'] else 'not passed'}"
    return [*lines, f"verdict by {verdict['by']}: {verdict['said']}{gate}"]


def spanned(one: dict[str, Any], sign: str = "") -> str:
    """Returns a value with its interval."""
    if one["value"] is None:
        return "-"
    span = "" if one["interval"] is None else f" [{one['interval'][0]:{sign}.4g}, {one['interval'][1]:{sign}.4g}]"
    return f"{one['value']:{sign}.4g}{span}"
