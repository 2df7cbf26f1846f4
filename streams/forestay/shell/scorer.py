"""Churn probabilities from Triton: one long-lived client, a deadline on every call, a circuit breaker (D10)."""

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import grpc
import numpy as np
import tritonclient.grpc.aio as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from forestay.core.decision.answer import ModelIdentity
from forestay.core.decision.model_input import INPUT_DIGEST, ModelInput, stack
from forestay.core.errors import ConfigurationError
from forestay.settings import TritonSettings
from forestay.shell.breaker import CircuitBreaker
from forestay.shell.triton_clients import advice, client_options, declared_parameters

logger = logging.getLogger(__name__)

#: Rows of one request: the model's max_batch_size.
MAX_ROWS = 256
#: The stamp of decisions made before the model was ever reached.
UNKNOWN_MODEL = ModelIdentity("churn_transformer", "unknown", horizon_days=60)
OUTPUT = "churn_probability"
#: Seconds after which the server is asked again which version it serves: so long may decisions of a roll-out
#: carry the stamp of the version before.
_IDENTITY_SECONDS = 30.0


class Scorer(Protocol):
    """Asks a model for churn probabilities."""

    @property
    def model(self) -> ModelIdentity:
        """Which model answers."""

    async def score(self, inputs: Sequence[ModelInput]) -> list[float | None]:
        """Returns one probability an input, None where the model gave none in time; never raises for that."""


class TritonScorer:
    """A scorer on a Triton server."""

    def __init__(self, settings: TritonSettings) -> None:
        """Connects lazily: a worker starts, and decides by rule, without Triton."""
        self._settings = settings
        self._model: ModelIdentity | None = None
        self._identify_at = 0.0
        self._breaker = CircuitBreaker(settings.breaker_failures, settings.breaker_seconds)
        self._slots = asyncio.Semaphore(settings.max_in_flight)
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
        await self._client.close()

    @property
    def model(self) -> ModelIdentity:
        """See `Scorer.model`."""
        return self._model or UNKNOWN_MODEL

    async def score(self, inputs: Sequence[ModelInput]) -> list[float | None]:
        """See `Scorer.score`. Requests of at most `MAX_ROWS` rows run side by side."""
        parts = [inputs[start : start + MAX_ROWS] for start in range(0, len(inputs), MAX_ROWS)]
        answers = await asyncio.gather(*(self._score_part(part) for part in parts))
        return [probability for answer in answers for probability in answer]

    async def _score_part(self, inputs: Sequence[ModelInput]) -> list[float | None]:
        nothing: list[float | None] = [None] * len(inputs)
        if not self._breaker.allows(time.monotonic()):
            return nothing
        try:
            # The wait for a slot is ours, not the server's: it counts neither as late nor as a failure.
            async with self._slots, asyncio.timeout(self._settings.deadline_seconds):
                if self._model is None or time.monotonic() >= self._identify_at:
                    await self._identify()
                probabilities = await self._infer(stack(inputs))
        except ConfigurationError as error:
            if self._breaker.failed(time.monotonic()):
                logger.error("deciding without the model: %s", error)  # noqa: TRY400 - it says what to do
            return nothing
        except (InferenceServerException, grpc.RpcError, TimeoutError) as error:
            if self._breaker.failed(time.monotonic()):
                logger.warning("Triton does not answer, deciding without it: %s", error or type(error).__name__)
            return nothing
        if self._breaker.succeeded():
            logger.info("Triton answers again")
        return probabilities

    async def _infer(self, batch: ModelInput) -> list[float | None]:
        result = await self._client.infer(
            self._settings.model,
            [_tensor(name, array) for name, array in batch._asdict().items()],
            outputs=[triton.InferRequestedOutput(OUTPUT)],
            client_timeout=self._settings.deadline_seconds,
        )
        answer = result.as_numpy(OUTPUT)
        rows = len(batch.features)
        if answer is None or answer.shape != (rows, 1):
            raise InferenceServerException(f"{OUTPUT} has shape {getattr(answer, 'shape', None)}, not ({rows}, 1)")
        return [float(probability) for probability in answer[:, 0]]

    async def _identify(self) -> None:
        """Learns the model's version and horizon, and that it reads the input we make."""
        config = await self._client.get_model_config(
            self._settings.model, as_json=True, client_timeout=self._settings.deadline_seconds
        )
        known, self._model = self._model, identity(config["config"], self._settings.model)
        self._identify_at = time.monotonic() + _IDENTITY_SECONDS
        if known is None or known.version != self._model.version:
            logger.info("model %s version %s", self._model.name, self._model.version)


def identity(config: dict[str, Any], name: str) -> ModelIdentity:
    """Returns the identity a model's configuration declares.

    Raises:
        ConfigurationError: it was trained on another input than this code makes, or does not say.
    """
    parameters = declared_parameters(config)
    digest = parameters.get("input_digest")
    if digest != INPUT_DIGEST:
        raise ConfigurationError(
            f"model {name} was trained on input {digest}, this worker makes {INPUT_DIGEST}: serve the model that"
            " belongs to this version, or train it again with `python -m forestay_training`"
        )
    try:
        return ModelIdentity(name, parameters["model_version"], int(parameters["horizon_days"]))
    except (KeyError, ValueError) as error:
        declared = json.dumps(parameters)
        raise ConfigurationError(f"model {name} declares no {error} in its config.pbtxt: {declared}") from error


def _tensor(name: str, array: "np.ndarray[Any, Any]") -> triton.InferInput:
    tensor = triton.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
    tensor.set_data_from_numpy(np.ascontiguousarray(array))
    return tensor
