"""A stand-in for Triton's gRPC service: one model, one probability for everybody, in the clear or over TLS.

It can also lie: answer with what no model may answer.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc

from forestay.core.decision.model_input import INPUT_DIGEST
from forestay.shell.scorer import OUTPUT

if TYPE_CHECKING:
    # They need a library of the development's, which `make chaos` does without.
    from support.certificates import Authority, Identity

PROBABILITY = 0.25

#: Answers for so many rows, by what is wrong with them.
Answer = Callable[[int], "np.ndarray[Any, Any]"]
LIES: dict[str, Answer] = {
    "nan": lambda rows: np.full((rows, 1), np.nan, np.float32),
    "infinite": lambda rows: np.full((rows, 1), np.inf, np.float32),
    "above-one": lambda rows: np.full((rows, 1), 1.5, np.float32),
    "below-zero": lambda rows: np.full((rows, 1), -0.25, np.float32),
    "one-nan": lambda rows: np.array([[np.nan if row == 0 else PROBABILITY] for row in range(rows)], np.float32),
    "too-few-rows": lambda rows: np.full((max(rows - 1, 0), 1), PROBABILITY, np.float32),
    "too-many-columns": lambda rows: np.full((rows, 2), PROBABILITY, np.float32),
    "of-integers": lambda rows: np.full((rows, 1), 1, np.int64),
    "of-doubles": lambda rows: np.full((rows, 1), PROBABILITY, np.float64),
}
_DATATYPES = {"float32": "FP32", "float64": "FP64", "int64": "INT64"}


def _truth(rows: int) -> "np.ndarray[Any, Any]":
    return np.full((rows, 1), PROBABILITY, np.float32)


# The names are Triton's; the generated class has no types.
class _Service(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    def __init__(self, answer: Answer, delay: float) -> None:
        self._answer = answer
        self._delay = delay

    async def ServerLive(self, request: Any, context: Any) -> Any:  # noqa: N802
        del request, context
        return service_pb2.ServerLiveResponse(live=True)

    async def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802
        del request, context
        return service_pb2.ModelReadyResponse(ready=True)

    async def ModelConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        del context
        answer = service_pb2.ModelConfigResponse()
        answer.config.name = request.name
        declared = {"input_digest": INPUT_DIGEST, "model_version": "stand-in", "horizon_days": "60"}
        for name, value in declared.items():
            answer.config.parameters[name].string_value = value
        return answer

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        del context
        await asyncio.sleep(self._delay)
        rows = int(request.inputs[0].shape[0])
        answer = service_pb2.ModelInferResponse(model_name=request.model_name, model_version="1")
        told = self._answer(rows)
        output = answer.outputs.add()
        output.name, output.datatype = OUTPUT, _DATATYPES[told.dtype.name]
        output.shape.extend(told.shape)
        answer.raw_output_contents.append(told.tobytes())
        return answer


@asynccontextmanager
async def standing_in(
    identity: "Identity | None" = None, clients: "Authority | None" = None, delay: float = 0, lie: Answer = _truth
) -> AsyncIterator[int]:
    """Yields the port; with `clients` it asks for certificates these have signed. Answers take `delay` seconds."""
    server = grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(_Service(lie, delay), server)
    if identity is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        credentials = grpc.ssl_server_credentials(
            [(identity.key.read_bytes(), identity.certificate.read_bytes())],
            root_certificates=clients.file.read_bytes() if clients else None,
            require_client_auth=clients is not None,
        )
        port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)
