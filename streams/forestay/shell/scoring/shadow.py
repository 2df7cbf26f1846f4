"""The shadow: a version that scores the same batches once they are answered. It delays and fails nothing."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import grpc
from tritonclient.utils import InferenceServerException

from forestay.core.decision.answer import Answer
from forestay.core.decision.model_input import ModelInput
from forestay.shell.scoring.report import ScoringReport
from forestay.shell.scoring.served import Version

logger = logging.getLogger(__name__)

#: Batches it may be behind; what comes then is left out, and counted.
_WAITING: Final = 2
#: Seconds between two lines in the log.
_TELL_EVERY: Final = 600.0

#: Asks a version about users.
Ask = Callable[[Version, Sequence[ModelInput]], Awaitable[list[Answer]]]


class Shadow:
    """Scores along."""

    def __init__(self, ask: Ask, report: ScoringReport, seconds: float) -> None:
        """`ask` gives up after `seconds`."""
        self._ask = ask
        self._report = report
        self._seconds = seconds
        self._tasks: set[asyncio.Task[None]] = set()
        self._tell_at = time.monotonic() + _TELL_EVERY

    def begin(self, version: Version, inputs: Sequence[ModelInput], answers: Sequence[Answer]) -> None:
        """Takes a batch that was answered; returns at once. `inputs` are kept until it is done."""
        if len(self._tasks) >= _WAITING:
            self._report.shadow_dropped += len(inputs)
            return
        task = asyncio.create_task(self._score(version, inputs, answers), name="shadow")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Returns when it is done with all that it has taken."""
        await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        """Gives up what is under way, and tells the figures a last time."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tell()

    async def _score(self, version: Version, inputs: Sequence[ModelInput], answers: Sequence[Answer]) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                along = await self._ask(version, inputs)
        except (InferenceServerException, grpc.RpcError, TimeoutError):
            self._report.shadow_failed += len(inputs)
            return
        self._compare(answers, along)
        if time.monotonic() >= self._tell_at:
            self._tell()
            self._tell_at = time.monotonic() + _TELL_EVERY

    def _compare(self, answers: Sequence[Answer], along: Sequence[Answer]) -> None:
        pairs: dict[tuple[str, str], tuple[list[float], list[float]]] = {}
        for answer, other in zip(answers, along, strict=True):
            if not (is_probability(answer.probability) and is_probability(other.probability)):
                self._report.shadow_failed += not is_probability(other.probability)
                continue
            one, two = pairs.setdefault((answer.model.version, other.model.version), ([], []))
            one.append(answer.probability or 0.0)
            two.append(other.probability or 0.0)
        for versions, (one, two) in pairs.items():
            self._report.compare(*versions).add(one, two)

    def _tell(self) -> None:
        for (answering, along), found in self._report.differences.items():
            logger.info("shadow %s beside %s: %s", along, answering, found)


def is_probability(value: float | None) -> bool:
    """Says whether a version has answered with a probability."""
    return value is not None and 0 <= value <= 1
