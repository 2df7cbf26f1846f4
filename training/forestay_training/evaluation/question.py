"""What an evaluation asks: of whom, when, how far ahead; and which moments may be learnt from."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from forestay.core.errors import ForestayError
from forestay.core.units import DAY
from forestay.dataset.plan import moment_text, span_text
from forestay_training.evaluation.survey import Survey

#: A training cutoff has at least this much of the data behind it, or as much as users are observed.
_BEHIND: Final = 90 * DAY
_STEPS: Final = (14 * DAY, 7 * DAY)
#: Weekly cutoffs where fortnightly ones give fewer rows than this, and the oldest dropped where they give more.
_FEW: Final = 12_000
_MANY: Final = 60_000


class Question(NamedTuple):
    """Times and spans in milliseconds; `cutoffs` rise, and users are asked about who ordered within `observed`.

    `learnt_until`: labels that are learnt from end by then; it is the first test cutoff or earlier.
    """

    cutoffs: tuple[int, ...]
    horizon: int
    observed: int
    learnt_until: int
    train_cutoffs: tuple[int, ...]


def ask(
    survey: Survey,
    cutoffs: Sequence[int],
    horizon: int,
    observed: int,
    *,
    train_before: int | None,
    train_cutoffs: Sequence[int],
    known_until: int | None,
) -> Question:
    """Returns the question, with training cutoffs of its own where none are given.

    Raises:
        ForestayError: a label cannot be known, nobody is active, or what is learnt from looks into what is judged.
    """
    tested = tuple(sorted(set(cutoffs)))
    end = survey.newest if known_until is None else known_until
    _check_tests(survey, tested, horizon, observed, end)
    until = tested[0] if train_before is None else train_before
    if until > tested[0]:
        raise ForestayError(
            f"--train-before {moment_text(until)} lies after the first --cutoff {moment_text(tested[0])}: models"
            " would learn from what they are judged on"
        )
    late = [cutoff for cutoff in train_cutoffs if cutoff + horizon > until]
    if late:
        raise ForestayError(
            f"--train-cutoff {moment_text(late[0])}: its labels are known {span_text(horizon)} later, after"
            f" {moment_text(until)}, from where on nothing may be learnt"
        )
    chosen = tuple(sorted(set(train_cutoffs))) or _cutoffs(survey, until - horizon, observed)
    return Question(tested, horizon, observed, until, chosen)


def _check_tests(survey: Survey, cutoffs: Sequence[int], horizon: int, observed: int, end: int) -> None:
    for cutoff in cutoffs:
        if cutoff + horizon > end:
            raise ForestayError(
                f"the data end at {moment_text(end)}: who has left {span_text(horizon)} after --cutoff"
                f" {moment_text(cutoff)} is not known. Choose an earlier cutoff or a shorter --horizon; if the data"
                " are complete to a later moment, say --known-until"
            )
        if not survey.active(cutoff, observed):
            raise ForestayError(
                f"nobody ordered in the {span_text(observed)} before --cutoff {moment_text(cutoff)}: there is nobody"
                f" to ask about. The events begin at {moment_text(survey.oldest)}; look at --cutoff and --obs"
            )


def _cutoffs(survey: Survey, last: int, observed: int) -> tuple[int, ...]:
    """Returns the newest cutoffs a fortnight or a week apart that give enough rows, and not too many."""
    first = survey.oldest + min(observed, _BEHIND)
    chosen: list[int] = []
    for step in _STEPS:
        chosen, rows = [], 0
        for cutoff in range(last, first - 1, -step):
            rows += survey.active(cutoff, observed)
            if rows > _MANY and chosen:
                break
            chosen.append(cutoff)
        if rows >= _FEW:
            break
    return tuple(sorted(chosen))
