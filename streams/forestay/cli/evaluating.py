"""Judges a model for a person who watches, or for a machine."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from forestay.cli.console import console, printable, table
from forestay.cli.featuring import rules_of, say_problems
from forestay.cli.places import check_file
from forestay.cli.progress import progress
from forestay.core.errors import ForestayError, UsageError
from forestay.dataset.plan import parse_span
from forestay.demo.stack import find
from forestay.history.moment import parse_moment
from forestay.history.reading import EventFile
from forestay.settings import Settings
from forestay_training.evaluation.evaluate import MODELS, Evaluated, Wanted, Watcher, evaluate
from forestay_training.evaluation.importance import report
from forestay_training.evaluation.making import Work
from forestay_training.evaluation.result import result

#: Parts the events are divided into: memory while rows are made is that of one a worker.
_PARTITIONS = 16
_COLUMNS = {
    "auc": "AUC",
    "ap": "AP",
    "lift_at_10": "lift@10%",
    "log_loss": "log-loss",
    "brier": "Brier",
    "ece": "ECE",
}


class Asked(NamedTuple):
    """The flags of `forestay evaluate` as they were written."""

    events: Sequence[Path]
    cutoffs: Sequence[str]
    horizon: str
    observed: str
    known_until: str | None
    model: Path | None
    train_before: str | None
    train_cutoffs: Sequence[str]
    models: str | None
    seed: int
    report: Path | None
    importance: bool
    learning_curve: bool
    draws: int
    workers: int | None
    strict: bool


def judge(settings: Settings, asked: Asked) -> dict[str, Any]:
    """Returns the figures, and writes the page if one is asked for.

    Raises:
        OSError: a file cannot be read or written.
        ForestayError: a flag, a file or the model is wrong, or there is nothing to judge by.
    """
    if not settings.features.feature_set().complete:
        raise ForestayError("the model reads all features: leave features.families and features.windows as they are")
    rules = rules_of(settings)
    wanted = _wanted(settings, asked)
    if asked.report is not None:
        check_file("--report", asked.report)
    files = [EventFile(path, rules, settings.topics.clickstream) for path in asked.events]
    known_until = _moment(asked.known_until)
    work = Work(rules, asked.workers or len(os.sched_getaffinity(0)), _PARTITIONS, known_until, asked.strict)
    with progress() as tell:
        evaluated = evaluate(files, wanted, work, Watcher(tell, _say))
        found = result(evaluated, asked.draws, tell)
        if asked.importance:
            worths = report(evaluated.division, evaluated.contenders, evaluated.trees, asked.draws, tell)
            found["importance"] = worths
        if asked.learning_curve:
            found["learning_curve"] = _curve(evaluated, asked)
    if asked.report is not None:
        # plotly is of another extra, and takes a second.
        from forestay_training.evaluation.page import write_page

        write_page(asked.report, found, evaluated)
    say_problems(evaluated.problems)
    for note in evaluated.notes:
        sys.stderr.write(f"{printable(note)}\n")
    return found


def _curve(evaluated: Evaluated, asked: Asked) -> list[dict[str, Any]]:
    # Torch takes seconds: where nothing is fitted it is not met.
    from forestay_training.evaluation.learning_curve import as_json, learning_curve
    from forestay_training.evaluation.neural import RECIPES

    if evaluated.trees is None:
        raise ForestayError("--learning-curve compares with lightgbm: leave it among --models")
    recipe = RECIPES["fused"]
    steps = learning_curve(evaluated.division, evaluated.trees, recipe, seed=asked.seed, draws=asked.draws, note=_say)
    return as_json(steps)


def _wanted(settings: Settings, asked: Asked) -> Wanted:
    names = frozenset(MODELS) if asked.models is None else frozenset(asked.models.split(","))
    unknown = sorted(names - frozenset(MODELS))
    if unknown:
        raise UsageError(f"--models {','.join(unknown)}: the models are {', '.join(MODELS)}")
    return Wanted(
        cutoffs=[parse_moment(cutoff) for cutoff in asked.cutoffs],
        horizon=parse_span(asked.horizon, "--horizon"),
        observed=parse_span(asked.observed, "--obs"),
        model=_model(settings, asked),
        fresh=asked.train_before is not None,
        train_before=_moment(asked.train_before),
        train_cutoffs=[parse_moment(cutoff) for cutoff in asked.train_cutoffs],
        models=names,
        seed=asked.seed,
    )


def _model(settings: Settings, asked: Asked) -> Path:
    """Returns the folder named, else the one `forestay model` ships in; for fresh models none has to be there."""
    if asked.model is not None:
        return asked.model
    fresh = asked.train_before is not None
    return (Path("model_repository") if fresh else find("model_repository", None)) / settings.triton.model


def _moment(text: str | None) -> int | None:
    return None if text is None else parse_moment(text)


def _say(text: str) -> None:
    sys.stderr.write(f"{printable(text)}\n")


def show(found: dict[str, Any]) -> None:
    """Shows the models' figures, and how they differ."""
    rows = table("model", "AUC", *list(_COLUMNS.values())[1:], "slope", right=(*_COLUMNS.values(), "slope"))
    for name, figures in found["models"].items():
        rows.add_row(
            name,
            _with_span(figures, "auc"),
            *(_number(figures[key]) for key in list(_COLUMNS)[1:]),
            _number(figures["calibration_slope"], 2),
        )
    console().print(rows)
    for pair, measures in found["differences"].items():
        auc, loss = measures["auc"], measures["log_loss"]
        console().print(f"{pair}: AUC {_signed(auc)}, log-loss {_signed(loss)}")
    train = found["train"]
    sys.stderr.write(
        f"{found['rows']:,} rows of {found['users']:,} users, {found['churn_rate']:.1%} left; fitted on"
        f" {train['rows']:,} rows at {len(train['cutoffs'])} cutoffs\n"
    )


def _with_span(figures: dict[str, Any], name: str) -> str:
    span = figures["intervals"][name]
    return _number(figures[name]) + ("" if span is None else f" [{span[0]:.3f}, {span[1]:.3f}]")


def _signed(difference: dict[str, Any]) -> str:
    span = difference["interval"]
    if difference["value"] is None:
        return "-"
    return f"{difference['value']:+.4f}" + ("" if span is None else f" [{span[0]:+.4f}, {span[1]:+.4f}]")


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
