"""Child processes that are watched, stopped in order, and never left behind.

Each child runs under a small keeper process (``keeper.py``), in a session of its own: Ctrl-C in the terminal reaches
this process alone, which then stops its children in the order it wants; and if this process is killed, even with
SIGKILL, the keepers stop the children and all that these have started. Linux only.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from forestay.embedded.errors import ProcessFailedError
from forestay.embedded.lifecycle import Startable

_KEEPER = Path(__file__).with_name("keeper.py")
_PROBE_EVERY = 0.02  # seconds: a start takes 0.05 s (broker) to 2 s (Triton)
_KEEPER_MARGIN = 5.0  # seconds the keeper has, past the command's own, to kill and reap what is left
_TAIL_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Command:
    """What to run.

    Attributes:
        name: How messages call it.
        argv: The program, by path or by name on PATH, and its arguments.
        log: File that takes standard output and error; overwritten.
        env: The whole environment, or None to inherit this process's.
        cwd: Folder to run in, or None for this process's.
        stop_signal: What asks it to end.
        stop_within: Seconds from ``stop_signal`` to SIGKILL.
    """

    name: str
    argv: Sequence[str | Path]
    log: Path
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within: float = 5.0


class ChildProcess(Startable):
    """One run of a command: ``async with ChildProcess(command) as child`` starts it, and stops it at the end."""

    def __init__(self, command: Command) -> None:
        """Prepare a run of ``command``; nothing starts yet."""
        self._command = command
        self._keeper: asyncio.subprocess.Process | None = None
        self._pid = 0

    @property
    def command(self) -> Command:
        """What this runs."""
        return self._command

    @property
    def pid(self) -> int:
        """The process id of the command itself (not of its keeper); 0 before the start."""
        return self._pid

    @property
    def returncode(self) -> int | None:
        """The exit status, 128 + N if signal N ended it; None while it runs or before the start."""
        return None if self._keeper is None else self._keeper.returncode

    async def start(self) -> None:
        """Start the command.

        Raises:
            ProcessFailedError: It was started before, or its keeper did not come up.
        """
        if self._keeper is not None:
            raise ProcessFailedError(f"{self._command.name} was started before")
        self._command.log.parent.mkdir(parents=True, exist_ok=True)
        with self._command.log.open("wb") as log:
            self._keeper = await asyncio.create_subprocess_exec(
                *self._keeper_argv(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._command.env,
                cwd=self._command.cwd,
                start_new_session=True,
            )
        try:
            line = await self._keeper.stdout.readline() if self._keeper.stdout else b""
        except BaseException:
            await self.stop()
            raise
        if not line.strip().isdigit():
            await self.stop()
            raise self._failure("did not start")
        self._pid = int(line)

    def _keeper_argv(self) -> list[str]:
        command = self._command
        return [
            # -I and -S: no site, no environment, no current folder; the keeper must not depend on what it keeps.
            *(sys.executable, "-I", "-S", str(_KEEPER)),
            *(str(os.getpid()), str(int(command.stop_signal)), str(command.stop_within)),
            *(str(argument) for argument in command.argv),
        ]

    async def ready(self, probe: Callable[[], Awaitable[bool]], *, within: float) -> None:
        """Wait until ``probe`` answers true; the child is left running if it does not.

        Args:
            probe: Asked every 20 ms; an ``OSError`` of it counts as not yet.
            within: Seconds to wait.

        Raises:
            ProcessFailedError: The child ended, or the time is over.
        """
        probing = asyncio.create_task(self._probe_until_ready(probe))
        ending = asyncio.create_task(self.wait())
        try:
            await asyncio.wait({probing, ending}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                raise self._failure(f"ended with status {describe_status(ending.result())} before it was ready")
            if not probing.done():
                raise self._failure(f"was not ready within {within:g} s")
            probing.result()
        finally:
            for task in (probing, ending):
                task.cancel()
            await asyncio.gather(probing, ending, return_exceptions=True)

    @staticmethod
    async def _probe_until_ready(probe: Callable[[], Awaitable[bool]]) -> None:
        while True:
            with contextlib.suppress(OSError):
                if await probe():
                    return
            await asyncio.sleep(_PROBE_EVERY)

    async def wait(self) -> int:
        """Wait for the end of the child, for whatever reason; return its exit status."""
        if self._keeper is None:
            raise ProcessFailedError(f"{self._command.name} was not started")
        return await self._keeper.wait()

    async def stop(self) -> None:
        """Stop the child and all it started; return once they are gone. Safe to call again.

        The request is made before the first await: a caller that is cancelled here has stopped it all the same.
        """
        keeper = self._keeper
        if keeper is None:
            return
        if keeper.stdin is not None:
            keeper.stdin.close()
        try:
            async with asyncio.timeout(self._command.stop_within + _KEEPER_MARGIN):
                await keeper.wait()
                if keeper.stdout is not None:
                    # The end of a process may be known before that of its pipe: a loop closed in between would
                    # leave the pipe open.
                    await keeper.stdout.read()
        except TimeoutError:
            keeper.kill()  # and with it, by its parent-death signal, the command
            await keeper.wait()

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of the log, at most 16 KiB of them."""
        try:
            with self._command.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
                text = log.read().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _failure(self, what: str) -> ProcessFailedError:
        tail = self.log_tail() or "(nothing)"
        return ProcessFailedError(f"{self._command.name} {what}. The end of its log, {self._command.log}:\n{tail}")


def describe_status(status: int) -> str:
    """Return an exit status in words: ``0``, ``1``, ``137 (SIGKILL)``."""
    number = status - 128 if status > 128 else -status  # noqa: PLR2004 (the shell's convention)
    try:
        return f"{status} ({signal.Signals(number).name})"
    except ValueError:
        return str(status)
