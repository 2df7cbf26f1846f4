"""Recorded scores for a rerun by the ledger; on demand the model is asked again, and must agree."""

from collections.abc import Sequence
from typing import Final

from forestay.core.decision.answer import Answer
from forestay.core.decision.ladder import SCORE_DIGITS
from forestay.core.decision.situation import Situation
from forestay.rerun.scores import NoScores, ScoreBook, Scores

#: Scores that do not agree, told of one batch.
_SHOWN: Final = 3


class CheckedScores:
    """The scores of the recorded decisions.

    Where a model is asked again and agrees within the tolerance, the recorded score stands: all that follows from it
    is the same to the byte. Where it does not, its own answer does.
    """

    def __init__(self, again: Scores | None = None, tolerance: float = 0.0) -> None:
        """`again` is what is asked again; None: nothing is."""
        self.book = ScoreBook(NoScores())
        #: Scores asked again, and the largest difference there was.
        self.asked = 0
        self.largest = 0.0
        self._again = again
        self._tolerance = tolerance
        self._said: list[str] = []
        self._missing = 0
        self._other_input = 0

    def answer(self, situations: Sequence[Situation]) -> list[Answer]:
        """See `Scores.answer`."""
        missing, other_input = self.book.missing, self.book.other_input
        answers = self.book.answer(situations)
        self._missing += self.book.missing - missing
        self._other_input += self.book.other_input - other_input
        if self._again is None:
            return answers
        scored = [number for number, answer in enumerate(answers) if answer.probability is not None]
        again = self._again.answer([situations[number] for number in scored])
        for number, answer in zip(scored, again, strict=True):
            answers[number] = self._agreed(situations[number], answers[number], answer)
        return answers

    def forget(self) -> None:
        """Forgets what would explain a difference: the batch is as recorded."""
        self._said, self._missing, self._other_input = [], 0, 0

    def causes(self) -> list[str]:
        """Returns what of the scores may be behind a difference."""
        causes = self._said[:_SHOWN]
        if self._missing:
            causes.append(f"{self._missing} of the scores needed are not recorded")
        if self._other_input:
            causes.append(f"{self._other_input} recorded scores were given for another input: the features differ")
        return causes

    def _agreed(self, situation: Situation, recorded: Answer, asked: Answer) -> Answer:
        assert recorded.probability is not None  # noqa: S101 - only these are asked again
        assert asked.probability is not None  # noqa: S101 - a model asked again answers, or the rerun ends
        self.asked += 1
        # Rounded as it would be in a decision: what is logged is what is used.
        off = abs(recorded.probability - round(asked.probability, SCORE_DIGITS))
        self.largest = max(self.largest, off)
        if off <= self._tolerance and recorded.model.version == asked.model.version:
            return recorded
        self._said.append(
            f"the model (version {asked.model.version}) gives {asked.probability:.6f} for decision"
            f" {situation.decision_id}, recorded is {recorded.probability:.6f} (version {recorded.model.version})"
        )
        return asked
