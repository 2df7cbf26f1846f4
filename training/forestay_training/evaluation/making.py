"""The rows of a question, made of events by the code that serves, in a folder that is gone afterwards."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from forestay.core.rules import Rules
from forestay.core.units import DAY
from forestay.dataset.build import Wishes, build
from forestay.dataset.local import make_locally
from forestay.dataset.plan import Plan
from forestay.history.point_in_time import Tell
from forestay.history.reading import EventFile, Problems
from forestay_training.evaluation.question import Question
from forestay_training.training_set import TrainingSet

#: Days by which somebody may have come back: the network learns when, the judge asks by the last alone.
_EDGES: Final = (1, 2, 3, 5, 7, 10, 14, 21, 28, 35, 42, 49, 56, 70, 90)
#: A judge reports a feature that tells the label; a training set refuses it.
_ANY_AUC: Final = 1.0


class Work(NamedTuple):
    """How rows are made: the worker's rules, processes, parts, and up to when events are known (None: the newest)."""

    rules: Rules
    workers: int
    partitions: int
    known_until: int | None
    strict: bool


def make_rows(files: Sequence[EventFile], question: Question, work: Work, tell: Tell) -> tuple[TrainingSet, Problems]:
    """Returns rows at all cutoffs of the question, and what could not be read.

    Raises:
        LeakError: a row knows what came after it.
        OSError: a file cannot be read.
        ForestayError: a file is damaged, or there are no rows.
    """
    plan = Plan(
        cutoffs=tuple(sorted({*question.train_cutoffs, *question.cutoffs})),
        horizons=horizons(question.horizon),
        observed=question.observed,
        test_from=question.cutoffs[0],
        partitions=work.partitions,
        lateness=work.rules.lateness,
        idle=work.rules.idle,
        merge_identities=work.rules.merge_identities,
    )
    wishes = Wishes(make_locally, work.workers, work.known_until, _ANY_AUC, work.strict)
    with TemporaryDirectory(prefix="forestay-evaluate-") as folder:
        made = Path(folder) / "rows"
        built = build(files, plan, wishes, made, tell)
        return TrainingSet.load(made), built.problems


def horizons(horizon: int) -> tuple[int, ...]:
    """Returns the label's horizon and shorter ones before it, in milliseconds."""
    return (*(days * DAY for days in _EDGES if days * DAY < horizon), horizon)
