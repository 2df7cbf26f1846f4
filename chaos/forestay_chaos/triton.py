"""Triton behind a door: workers know one address, behind which stands the real server, or one that lies."""

import asyncio
import os
import signal
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from support.triton_stand_in import LIES, standing_in

from forestay.embedded.triton import EmbeddedTriton
from forestay_chaos.errors import ChaosError
from forestay_chaos.paths import MODELS

_UP_SECONDS: Final = 120.0
_DO_SECONDS: Final = 30.0
_CHUNK: Final = 65_536
__all__ = ["LIES", "TritonSeat"]


class TritonSeat:
    """The embedded Triton with the repository's model, in a loop and a thread of its own."""

    def __init__(self, folder: Path) -> None:
        """Prepares; `with` starts and ends it. The server's log goes to `folder`."""
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="triton", daemon=True)
        self._triton: EmbeddedTriton | None = None
        self._lying: Any = None
        self._target = ""
        self._pipes: set[asyncio.Task[None]] = set()
        self._door: asyncio.Server | None = None
        self._starts = 0
        self.address = ""

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._do(self._open(), _UP_SECONDS)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ChaosError):
            self._do(self._close(), _DO_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        if not self._thread.is_alive():
            self._loop.close()

    # -- what is done to it ------------------------------------------------------------------------------

    def kill(self) -> None:
        """SIGKILL; the door stays, with nobody behind it."""
        self._send(signal.SIGKILL)

    def stall(self) -> None:
        """SIGSTOP: it takes requests and answers none."""
        self._send(signal.SIGSTOP)

    def lie(self, how: str) -> None:
        """Puts one behind the door that answers as `how` of `LIES` says."""
        self._do(self._begin_lying(how), _DO_SECONDS)

    def mend(self) -> "Future[None]":
        """Begins to put the real one back, alive; the future is done when it serves."""
        return asyncio.run_coroutine_threadsafe(self._mend(), self._loop)

    def await_mended(self) -> None:
        """Returns when the real one serves.

        Raises:
            ChaosError: it does not.
        """
        self._do(self._mend(), _UP_SECONDS)

    # -- in the loop ---------------------------------------------------------------------------------------

    def _do(self, work: "Coroutine[Any, Any, None]", seconds: float) -> None:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            future.result(seconds)
        except TimeoutError:
            future.cancel()
            raise ChaosError(f"Triton did not do as told within {seconds:g} s: logs in {self._folder}") from None

    def _send(self, number: signal.Signals) -> None:
        triton = self._triton
        if triton is not None and triton.process.pid and triton.process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(triton.process.pid, number)

    async def _open(self) -> None:
        self._mending = asyncio.Lock()
        self._door = await asyncio.start_server(self._pipe, "127.0.0.1", 0)
        self.address = "{}:{}".format(*self._door.sockets[0].getsockname()[:2])
        await self._mend()

    async def _close(self) -> None:
        if self._door is not None:
            self._door.close()
        self._hang_up()
        await self._end_lying()
        if self._triton is not None:
            self._send(signal.SIGKILL)
            await self._triton.stop()

    async def _mend(self) -> None:
        async with self._mending:
            await self._end_lying()
            self._send(signal.SIGCONT)
            if self._triton is None or self._triton.process.returncode is not None or not await self._alive():
                if self._triton is not None:
                    self._send(signal.SIGKILL)
                    await self._triton.stop()
                    self._triton = None
                self._starts += 1
                log = self._folder / f"triton.{self._starts}.log"
                triton = EmbeddedTriton(model_repository=MODELS, log=log)
                await triton.start()
                self._triton = triton
            self._turn_to(self._triton.grpc_address)

    async def _alive(self) -> bool:
        """Says whether the process is not on its way out: the keeper tells its end a moment later."""
        assert self._triton is not None  # noqa: S101 - asked of one that was started
        with suppress(TimeoutError):
            await asyncio.wait_for(self._triton.process.wait(), 0.2)
            return False
        return True

    async def _begin_lying(self, how: str) -> None:
        async with self._mending:
            await self._end_lying()
            self._lying = standing_in(lie=LIES[how])
            self._turn_to(f"127.0.0.1:{await self._lying.__aenter__()}")

    async def _end_lying(self) -> None:
        if self._lying is not None:
            lying, self._lying = self._lying, None
            await lying.__aexit__(None, None, None)

    def _turn_to(self, target: str) -> None:
        if target != self._target:
            self._target = target
            self._hang_up()

    def _hang_up(self) -> None:
        for pipe in list(self._pipes):
            pipe.cancel()

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Joins a caller with whoever stands behind the door now."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - streams call this in a task
        self._pipes.add(task)
        far: asyncio.StreamWriter | None = None
        try:
            host, _, port = self._target.rpartition(":")
            far_reader, far = await asyncio.open_connection(host, int(port))
            async with asyncio.TaskGroup() as both:
                both.create_task(_copy(reader, far))
                both.create_task(_copy(far_reader, writer))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            self._pipes.discard(task)
            for end in (writer, far):
                if end is not None:
                    end.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    raise ConnectionResetError
