"""The embedded Triton: the real server, on loopback, serving a model repository as it is.

The wheel it comes from has Triton's Python backend only; the backend ``onnxruntime`` that the repository asks for is
played by ``triton_backend/onnxruntime/model.py``. A Triton with the native backend serves the same folder.
"""

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path

import tritonclient.grpc.aio
from tritonclient.utils import InferenceServerException

from forestay.embedded.errors import EmbeddedError, ProcessFailedError
from forestay.embedded.lifecycle import Startable
from forestay.embedded.ports import LOOPBACK, free_ports, is_listening, require_free
from forestay.embedded.process import ChildProcess, Command
from forestay.embedded.triton_backends import backend_folder
from forestay.embedded.triton_environment import Progress, TritonEnvironment, prepare

_READY_WITHIN = 60.0  # seconds; it takes 0.3 s and a model's loading
_STOP_WITHIN = 10.0  # seconds; it takes 2.5 s to 4 s
_ATTEMPTS = 3  # a free port can be taken between choosing it and listening on it
_PORT_TAKEN = "already in use"  # in the server's log
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (where the Python backend lays its regions)


class EmbeddedTriton(Startable):
    """A Triton server for as long as the ``async with`` lasts, with every model of a repository loaded."""

    def __init__(
        self,
        *,
        model_repository: Path,
        log: Path,
        grpc_port: int | None = None,
        progress: Progress = lambda _text: None,
        cache: Path | None = None,
    ) -> None:
        """Prepare a server; nothing starts yet.

        Args:
            model_repository: Folder of models; only read. Their configurations must name inputs and outputs.
            log: File that takes the server's output, and before it the installer's; overwritten.
            grpc_port: Port of the gRPC service on loopback, or None for any free one; the other two are always any.
            progress: Told in words what takes long: the installation at the first start.
            cache: Folder for the server's environment, or None for the user's cache.
        """
        self._repository = model_repository
        self._log = log
        self._fixed_port = grpc_port
        self._progress = progress
        self._cache = cache
        self._ports = (0, 0, 0)
        self._child: ChildProcess | None = None
        self._name = ""

    @property
    def grpc_address(self) -> str:
        """``127.0.0.1:port`` of the gRPC service; the port is 0 until it is known."""
        return f"{LOOPBACK}:{self._ports[0]}"

    @property
    def http_address(self) -> str:
        """``127.0.0.1:port`` of the HTTP service."""
        return f"{LOOPBACK}:{self._ports[1]}"

    @property
    def metrics_url(self) -> str:
        """Where Prometheus finds the server's metrics."""
        return f"http://{LOOPBACK}:{self._ports[2]}/metrics"

    @property
    def process(self) -> ChildProcess:
        """The running process, for its id, its log and its end.

        Raises:
            EmbeddedError: It does not run.
        """
        if self._child is None:
            raise EmbeddedError("the embedded Triton does not run")
        return self._child

    async def start(self) -> None:
        """Make the environment if need be, start the server and wait until it serves all models.

        Raises:
            EmbeddedError: The repository holds no model, the port that was asked for is taken, or the extra
                ``embedded`` is not installed.
            TritonEnvironmentError: The environment cannot be made on this machine.
            ProcessFailedError: It ended, or was not ready in time; a model may be at fault.
        """
        models = _models(self._repository)
        if self._fixed_port:
            require_free(self._fixed_port)
        environment = await prepare(self._progress, log=self._log, cache=self._cache)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._start_once(environment, models)
            except ProcessFailedError as error:
                await self.stop()
                if attempt == _ATTEMPTS or _PORT_TAKEN not in str(error):
                    raise
            except BaseException:
                await self.stop()
                raise
            else:
                return

    async def _start_once(self, environment: TritonEnvironment, models: Sequence[str]) -> None:
        # A name of its own tells this server's answers, and its shared memory, from those of others.
        self._name = name = f"forestay-{secrets.token_hex(8)}"
        free, http, metrics = free_ports(3)
        grpc = self._fixed_port or free
        self._ports = (grpc, http, metrics)
        backends = await asyncio.to_thread(backend_folder, environment)
        argv: list[str | Path] = [environment.server, *_flags(name, self._repository, backends, models, self._ports)]
        command = Command("the embedded Triton", argv, self._log, environment.variables(), stop_within=_STOP_WITHIN)
        self._child = ChildProcess(command)
        await self._child.start()
        await self._child.ready(lambda: _serves(self._ports, name), within=_READY_WITHIN)

    async def stop(self) -> None:
        """Stop it. Safe to call again."""
        if self._child is not None:
            await self._child.stop()
            self._child = None
            _remove_shared_memory(self._name)


def _models(repository: Path) -> list[str]:
    models = sorted(path.parent.name for path in repository.glob("*/config.pbtxt"))
    if not models:
        raise EmbeddedError(f"No model to serve: {repository} has no folder with a config.pbtxt.")
    return models


def _flags(
    name: str, repository: Path, backends: Path, models: Sequence[str], ports: tuple[int, int, int]
) -> list[str]:
    grpc, http, metrics = ports
    return [
        f"--id={name}",
        f"--model-repository={repository.resolve()}",
        f"--backend-directory={backends}",
        f"--backend-config=python,shm-region-prefix-name={name}",
        *(f"--{service}-address={LOOPBACK}" for service in ("grpc", "http", "metrics")),
        *(f"--grpc-port={grpc}", f"--http-port={http}", f"--metrics-port={metrics}"),
        "--http-thread-count=2",
        "--metrics-interval-ms=500",
        "--model-control-mode=explicit",
        *(f"--load-model={model}" for model in models),
        # Completing a configuration starts each stub once more: 1.4 s for nothing, since ours are complete.
        "--disable-auto-complete-config",
    ]


async def _serves(ports: tuple[int, int, int], name: str) -> bool:
    """Return whether the server is the one called ``name`` and ready with all its models."""
    port, _, metrics = ports
    await is_listening(metrics)  # it comes up last
    async with tritonclient.grpc.aio.InferenceServerClient(f"{LOOPBACK}:{port}") as client:
        try:
            metadata = await client.get_server_metadata()
            return metadata.name == name and bool(await client.is_server_ready())
        except InferenceServerException:
            return False


def _remove_shared_memory(name: str) -> None:
    """Remove the regions of a server that was killed before it could; there are none after an ordinary stop."""
    for region in _SHARED_MEMORY.glob(f"{name}*"):
        region.unlink(missing_ok=True)
