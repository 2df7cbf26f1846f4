"""A stand-in for Triton's gRPC service: one model, one probability for everybody, in the clear or over TLS."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import numpy as np
from support.certificates import Authority, Identity
from tritonclient.grpc import service_pb2, service_pb2_grpc

from forestay.core.decision.model_input import INPUT_DIGEST
from forestay.shell.scorer import OUTPUT

PROBABILITY = 0.25


# The names are Triton's; the generated class has no types.
class _Service(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    def __init__(self, delay: float) -> None:
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
        output = answer.outputs.add()
        output.name, output.datatype = OUTPUT, "FP32"
        output.shape.extend([rows, 1])
        answer.raw_output_contents.append(np.full((rows, 1), PROBABILITY, np.float32).tobytes())
        return answer


@asynccontextmanager
async def standing_in(
    identity: Identity | None = None, clients: Authority | None = None, delay: float = 0
) -> AsyncIterator[int]:
    """Yields the port; with `clients` it asks for certificates these have signed. Answers take `delay` seconds."""
    server = grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(_Service(delay), server)
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
