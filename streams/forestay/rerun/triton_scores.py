"""Scores by Triton for a rerun: a server that does not answer ends it, where a worker would decide by rule."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from tritonclient.utils import InferenceServerException

from forestay.core.decision.answer import Answer
from forestay.core.decision.situation import Situation
from forestay.core.errors import ConfigurationError, ForestayError
from forestay.settings import TritonSettings
from forestay.shell.scorer import TritonScorer

#: A rerun is in no hurry: so long may one call take (seconds).
_PATIENCE: Final = 60.0
_UNKNOWN_MODEL: Final = "unknown model"


class TritonScores:
    """A Triton server, asked from code that waits."""

    def __init__(self, settings: TritonSettings, *, embedding: bool = False) -> None:
        """Connects when the context is entered; with `embedding` answers carry the user's."""
        self._url = settings.url
        self._model = settings.model
        patient = {"deadline_seconds": max(settings.deadline_seconds, _PATIENCE), "breaker_failures": 1_000_000}
        self._scorer = TritonScorer(settings.model_copy(update=patient), shadowed=False, embedding=lambda: embedding)
        self._loop = asyncio.Runner()

    def __enter__(self) -> Self:
        self._loop.run(self._scorer.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.run(self._scorer.__aexit__(kind, error, trace))
        self._loop.close()

    def answer(self, situations: Sequence[Situation]) -> list[Answer]:
        """See `Scores.answer`.

        Raises:
            ForestayError: the server gave no answer.
        """
        if not situations:
            return []
        answers = self._loop.run(self._scorer.score(situations))
        if any(answer.probability is None for answer in answers):
            raise ForestayError(f"{self._why()}, or decide without the model with --scores none")
        return answers

    def _why(self) -> str:
        failure = self._scorer.failure
        if isinstance(failure, ConfigurationError):
            return f"Triton at {self._url} answers, but the model {self._model} cannot be asked: {failure}"
        # What Triton says of a name it does not know, and of a model without a version that is ready.
        if isinstance(failure, InferenceServerException) and _UNKNOWN_MODEL in str(failure):
            return (
                f"Triton at {self._url} answers, but has no model {self._model} that is ready ({failure}): load it,"
                " name another with triton.model"
            )
        return f"Triton at {self._url} does not answer: start it, name another with --triton-url"
