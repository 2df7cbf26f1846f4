"""The judge: from files of events to the figures of every model on the same rows."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forestay.core.errors import ForestayError
from forestay.dataset.plan import moment_text, span_text
from forestay.history.point_in_time import Tell
from forestay.history.reading import EventFile, Problems
from forestay_training.evaluation.baselines import Trees
from forestay_training.evaluation.contenders import Contender, blend, fit_baselines, fit_trees
from forestay_training.evaluation.making import Work, make_rows
from forestay_training.evaluation.question import Question, ask
from forestay_training.evaluation.rows import Division, Rows, divide
from forestay_training.evaluation.served import ServedModel
from forestay_training.evaluation.survey import Survey

#: In the order of reports: what is simplest first.
MODELS: Final[tuple[str, ...]] = ("recency", "bg_nbd", "logistic", "lightgbm", "gru", "transformer", "fused", "blend")
_NETWORKS: Final = frozenset({"gru", "transformer", "fused"})


class Wanted(NamedTuple):
    """What to evaluate: times and spans in milliseconds, models by their names.

    `model` is the folder whose model is `fused`; with `fresh` all are fitted, and the folder is not looked at.
    """

    cutoffs: Sequence[int]
    horizon: int
    observed: int
    model: Path
    fresh: bool
    train_before: int | None
    train_cutoffs: Sequence[int]
    models: frozenset[str]
    seed: int


class Evaluated(NamedTuple):
    """The question, its rows, each model's answers on the test rows, and what a reader has to know.

    `trees` is LightGBM's setting, if it was tuned.
    """

    question: Question
    division: Division
    contenders: Mapping[str, Contender]
    trees: Trees | None
    served: ServedModel | None
    notes: Sequence[str]
    problems: Problems
    sources: Sequence[Mapping[str, Any]]


class Watcher(NamedTuple):
    """Who is told: of stages with a length, and of steps in words."""

    tell: Tell
    note: Callable[[str], None]


def evaluate(files: Sequence[EventFile], wanted: Wanted, work: Work, watcher: Watcher) -> Evaluated:
    """Makes the rows, fits and asks the models.

    Raises:
        OSError: a file cannot be read.
        ForestayError: there is no model, no row, one class only, or the cutoffs cannot be.
    """
    served = None if wanted.fresh else ServedModel.load(wanted.model)
    survey = Survey(files, work.known_until, watcher.tell)
    question = ask(
        survey,
        wanted.cutoffs,
        wanted.horizon,
        wanted.observed,
        train_before=wanted.train_before,
        train_cutoffs=wanted.train_cutoffs,
        known_until=work.known_until,
    )
    made, problems = make_rows(files, question, work, watcher.tell)
    division = divide(Rows.of(made, question.horizon), question.cutoffs[0])
    _check(division, question, fresh=wanted.fresh)
    notes = _notes(division, question, served)
    contenders, trees = _contenders(division, survey, wanted, served, watcher)
    ordered = {name: contenders[name] for name in MODELS if name in contenders}
    return Evaluated(question, division, ordered, trees, served, notes, problems, made.manifest["sources"])


def _contenders(
    division: Division, survey: Survey, wanted: Wanted, served: ServedModel | None, watcher: Watcher
) -> tuple[dict[str, Contender], Trees | None]:
    found: dict[str, Contender] = {}
    trees = None
    if division.train.enough:
        found |= fit_baselines(division, survey, wanted.models, watcher.note)
        if wanted.models & {"lightgbm", "blend", *_NETWORKS}:
            found["lightgbm"], trees = fit_trees(division, watcher.note)
        networks = wanted.models & _NETWORKS | ({"fused"} if "blend" in wanted.models else set())
        if served is None and trees is not None and networks:
            from forestay_training.evaluation.neural import fit_networks  # noqa: PLC0415 - torch takes seconds

            found |= fit_networks(division, trees, networks, wanted.seed, watcher.note)
    if served is not None:
        found["fused"] = _ask_served(served, division, watcher)
    if "blend" in wanted.models and {"lightgbm", "fused"} <= found.keys():
        found["blend"] = blend(found["lightgbm"], found["fused"], division)
    return {name: contender for name, contender in found.items() if name in wanted.models}, trees


def _ask_served(served: ServedModel, division: Division, watcher: Watcher) -> Contender:
    def churn(rows: Rows) -> NDArray[np.float64]:
        if not len(rows):
            return np.empty(0)
        return served.churn(rows.inputs, rows.horizon, lambda done: watcher.tell("asking the model", done, len(rows)))

    setting = f"version {served.version}, as served"
    return Contender(setting, None, None, churn(division.test), churn)


def _check(division: Division, question: Question, *, fresh: bool) -> None:
    left = int(division.test.churned.sum())
    if left in {0, len(division.test)}:
        raise ForestayError(
            f"{'all' if left else 'none'} of the test rows ({len(division.test):,}) have left within"
            f" {span_text(question.horizon)}: with one class there is nothing to tell apart. Look at --cutoff,"
            " --horizon and --obs"
        )
    if fresh and not division.train.enough:
        raise ForestayError(
            f"{len(division.train):,} rows to train on, {int(division.train.churned.sum()):,} of whom have left, are"
            f" too few for models of their own: labels must end by {moment_text(question.learnt_until)}. Choose a"
            " later --train-before or a shorter --horizon, or leave it out to evaluate the model of the repository"
        )


def _notes(division: Division, question: Question, served: ServedModel | None) -> list[str]:
    notes = []
    if served is not None:
        trained_until = served.parameters.get("trained_until", "")
        if trained_until > moment_text(question.cutoffs[0]):
            notes.append(
                f"the model has seen events up to {trained_until}, after the first cutoff: if they are these, its"
                " figures are too good"
            )
        if not served.speaks_of(question.horizon):
            notes.append(
                f"the model speaks of {span_text(served.horizon)}, asked is {span_text(question.horizon)}: its order"
                " counts, its probabilities are of another question"
            )
        notes.append("gru and transformer alone are fitted fresh only: say --train-before TIME")
    if not division.train.enough:
        notes.append(
            f"no baselines: {len(division.train):,} rows have a label that ends by"
            f" {moment_text(question.learnt_until)}, too few to fit any"
        )
    elif not division.calibration.enough:
        notes.append("too few rows to calibrate on: probabilities are as fitted")
    return notes
