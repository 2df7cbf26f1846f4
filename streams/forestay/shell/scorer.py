"""Churn probabilities from Triton: one long-lived client, a deadline on every call, a circuit breaker (D10).

Which version answers whom is learnt from Triton (`shell/scoring`): the current one, a canary for a share of the
users, and a shadow that scores the same batches afterwards.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, Protocol, Self

import grpc
import tritonclient.grpc.aio as triton
from tritonclient.utils import InferenceServerException

from forestay.core.decision.answer import Answer, ModelIdentity
from forestay.core.decision.length_buckets import by_length, together
from forestay.core.decision.model_input import ModelInput, stack
from forestay.core.errors import ConfigurationError
from forestay.settings import TritonSettings
from forestay.shell.breaker import CircuitBreaker
from forestay.shell.scoring.asked import Asked
from forestay.shell.scoring.report import ScoringReport
from forestay.shell.scoring.requests import ask
from forestay.shell.scoring.served import OUTPUT, Served, Version, identity
from forestay.shell.scoring.shadow import Shadow, is_probability
from forestay.shell.triton_clients import advice, client_options

__all__ = ["MAX_ROWS", "OUTPUT", "UNKNOWN_MODEL", "Scorer", "TritonScorer", "identity"]

logger = logging.getLogger(__name__)

#: Rows of one request: the model's max_batch_size.
MAX_ROWS: Final = 256
#: The stamp of decisions made before the model was ever reached.
UNKNOWN_MODEL: Final = ModelIdentity("churn_transformer", "unknown", horizon_days=60)
#: Seconds after which the server is asked again which versions it serves: so long may a change take to be heard of.
_IDENTITY_SECONDS: Final = 10.0
#: The share of the deadline that a canary may take: the rest is the current version's, should it have to stand in.
_CANARY_DEADLINE: Final = 0.5

_NO_ANSWER: Final = (InferenceServerException, grpc.RpcError, TimeoutError)


class Scorer(Protocol):
    """Asks a model for churn probabilities."""

    @property
    def model(self) -> ModelIdentity:
        """Which model answers, but for those whom another version is tried on."""

    async def score(self, asked: Sequence[Asked]) -> list[Answer]:
        """Returns one answer a user, of none where the model gave none in time; never raises for that."""


class TritonScorer:
    """A scorer on a Triton server."""

    def __init__(
        self,
        settings: TritonSettings,
        thresholds: Sequence[float] = (0.5,),
        *,
        shadowed: bool = True,
        embedding: Callable[[], bool] = lambda: False,
    ) -> None:
        """Connects lazily: a worker starts, and decides by rule, without Triton.

        `thresholds`: probabilities at which something else is decided, for the report on a shadow; `shadowed`: one
        that is there is asked; `embedding` says whether answers are to carry the user's, where the
        model has one.
        """
        self._settings = settings
        self.report = ScoringReport(thresholds)
        self.served: Served | None = None
        #: Why the last request that got no answer got none.
        self.failure: Exception | None = None
        self._identify_at = 0.0
        #: What Triton calls the versions that have answered.
        self._numbers: dict[Version, str] = {}
        self._breaker = self._new_breaker()
        self._canary_breaker = self._new_breaker()
        self._slots = asyncio.Semaphore(settings.max_in_flight)
        self._shadowed = shadowed
        self._embedding = embedding
        self._shadow = Shadow(self._ask, self.report, settings.deadline_seconds)
        self._client: Any = None

    async def __aenter__(self) -> Self:
        """Opens the client and learns which model answers, if one does.

        Raises:
            ConfigurationError: the model expects another input than this code makes.
        """
        self._client = triton.InferenceServerClient(**client_options(self._settings))
        try:
            await self._identify()
        except (InferenceServerException, grpc.RpcError) as error:
            said = str(error)
            hint = advice(self._settings, said)
            logger.warning(
                "no model at %s yet, deciding by rule: %s", self._settings.url, f"{hint} ({said})" if hint else said
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the client."""
        await self._shadow.close()
        await self._client.close()

    @property
    def model(self) -> ModelIdentity:
        """See `Scorer.model`."""
        return UNKNOWN_MODEL if self.served is None else self.served.current.model

    async def score(self, asked: Sequence[Asked]) -> list[Answer]:
        """See `Scorer.score`. Requests of at most `MAX_ROWS` rows run side by side."""
        parts = [asked[start : start + MAX_ROWS] for start in range(0, len(asked), MAX_ROWS)]
        answers = await asyncio.gather(*(self._score_part(part) for part in parts))
        return [answer for part in answers for answer in part]

    def told(self) -> dict[str, Any]:
        """Returns which versions this worker asks and what it has seen of them, for its web port."""
        return {"model": self._settings.model, "served": self.served and self.served.told()} | self.report.told()

    async def settled(self) -> None:
        """Returns when the shadow is done with what was answered."""
        await self._shadow.settled()

    # -- one request ---------------------------------------------------------------------------------

    async def _score_part(self, asked: Sequence[Asked]) -> list[Answer]:
        if not self._breaker.allows(time.monotonic()):
            return self._nothing(asked)
        try:
            # The wait for a slot is ours, not the server's: it counts neither as late nor as a failure.
            async with self._slots, asyncio.timeout(self._settings.deadline_seconds):
                served = await self._known()
                answers = await self._answers(served, asked)
        except ConfigurationError as error:
            self.failure = error
            if self._breaker.failed(time.monotonic()):
                logger.error("deciding without the model: %s", error)  # noqa: TRY400 - it says what to do
            return self._nothing(asked)
        except _NO_ANSWER as error:
            self.failure = error
            if self._breaker.failed(time.monotonic()):
                logger.warning("Triton does not answer, deciding without it: %s", error or type(error).__name__)
            return self._nothing(asked)
        if self._breaker.succeeded():
            logger.info("Triton answers again")
        for answer in answers:
            self.report.answered[answer.model.version] += 1
        if served.shadow is not None and self._shadowed:
            self._shadow.begin(served.shadow, [one.input for one in asked], answers)
        return answers

    async def _answers(self, served: Served, asked: Sequence[Asked]) -> list[Answer]:
        """Asks the canary about the users of its share, and the current version about the others, side by side."""
        rollout, canary = served.rollout, served.canary
        tried: list[int] = []
        if rollout is not None and canary is not None and self._canary_breaker.allows(time.monotonic()):
            tried = [row for row, one in enumerate(asked) if rollout.is_canary(one.user_id)]
        if canary is None or not tried:
            return await self._current(served, [one.input for one in asked])
        others = sorted(set(range(len(asked))) - set(tried))
        answers = await asyncio.gather(
            self._canary(served, canary, [asked[row].input for row in tried]),
            self._current(served, [asked[row].input for row in others]),
            return_exceptions=True,
        )
        found: list[Answer] = []
        for part in answers:
            # Raised when both are done: what the other is asked for is not left behind.
            if isinstance(part, BaseException):
                raise part
            found += part
        by_row = dict(zip((*tried, *others), found, strict=True))
        return [by_row[row] for row in range(len(asked))]

    async def _canary(self, served: Served, canary: Version, inputs: Sequence[ModelInput]) -> list[Answer]:
        """Asks the canary; where it gives no answer, or none that is a probability, the current version does."""
        try:
            async with asyncio.timeout(self._settings.deadline_seconds * _CANARY_DEADLINE):
                answers = await self._ask(canary, inputs)
            if not all(is_probability(answer.probability) for answer in answers):
                raise InferenceServerException("it answers with what is no probability")
        except _NO_ANSWER as error:
            self.report.canary_failed += len(inputs)
            if self._canary_breaker.failed(time.monotonic()):
                logger.warning(
                    "the canary %s does not answer: %s", canary.model.version, error or type(error).__name__
                )
            return await self._current(served, inputs)
        self._canary_breaker.succeeded()
        return answers

    async def _current(self, served: Served, inputs: Sequence[ModelInput]) -> list[Answer]:
        """Asks the current version; where it has just been replaced, the one that has taken its place."""
        if not inputs:
            return []
        try:
            return await self._ask(served.current, inputs)
        except InferenceServerException:
            now = await self._identify()
            if now.current == served.current:
                raise
            return await self._ask(now.current, inputs)

    async def _ask(self, version: Version, inputs: Sequence[ModelInput]) -> list[Answer]:
        batch = stack(inputs)
        if not version.any_length:
            return await self._request(version, batch)
        parts = by_length(batch)
        if len(parts) == 1:
            return await self._request(version, parts[0].inputs)
        requests = [asyncio.ensure_future(self._request(version, part.inputs)) for part in parts]
        try:
            return together(parts, await asyncio.gather(*requests))
        finally:
            # Where one has failed the others are called off: nobody waits for them, and the slot is another's now.
            for request in requests:
                request.cancel()

    async def _request(self, version: Version, batch: ModelInput) -> list[Answer]:
        settings = self._settings
        answers, number = await ask(
            self._client, settings.model, version, batch, settings.deadline_seconds, embedding=self._embedding()
        )
        # A model that declares no roll-out is asked for its newest version: that may be another now.
        if self._numbers.setdefault(version, number) != number:
            raise InferenceServerException(f"version {number} answers, not {self._numbers[version]}")
        return answers

    def _nothing(self, asked: Sequence[Asked]) -> list[Answer]:
        return [Answer(None, self.model)] * len(asked)

    # -- who answers ---------------------------------------------------------------------------------

    async def _known(self) -> Served:
        if self.served is None or time.monotonic() >= self._identify_at:
            return await self._identify()
        return self.served

    async def _identify(self) -> Served:
        """Learns which versions are served, and that they read the input we make."""
        config = await self._client.get_model_config(
            self._settings.model, as_json=True, client_timeout=self._settings.deadline_seconds
        )
        known, self.served = self.served, Served.of(config["config"], self._settings.model)
        self._identify_at = time.monotonic() + _IDENTITY_SECONDS
        self._numbers.clear()
        if known != self.served:
            logger.info("model %s: %s", self._settings.model, _words(self.served))
            for fault in self.served.faults:
                logger.warning("it is left out: %s", fault)
        if known is None or known.canary != self.served.canary:
            self._canary_breaker = self._new_breaker()
        return self.served

    def _new_breaker(self) -> CircuitBreaker:
        return CircuitBreaker(self._settings.breaker_failures, self._settings.breaker_seconds)


def _words(served: Served) -> str:
    words = [f"version {served.current.model.version} answers"]
    if served.canary is not None and served.rollout is not None:
        words.append(f"{served.canary.model.version} {served.rollout.canary_share:.1%} of the users")
    if served.shadow is not None:
        words.append(f"{served.shadow.model.version} scores along")
    return ", ".join(words)
