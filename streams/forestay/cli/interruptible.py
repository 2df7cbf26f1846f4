"""Runs a coroutine that Ctrl-C and SIGTERM cancel, once; its clean-up is not disturbed by a second."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")
_SHELL = 128


class Stopped(Exception):  # noqa: N818 - it is what happened, not a fault
    """The work was cancelled by a signal; `code` is the exit code a shell expects for it."""

    def __init__(self, number: signal.Signals) -> None:
        """Keeps the signal's number as an exit code."""
        super().__init__(number.name)
        self.code = _SHELL + number


def run_interruptible(work: Coroutine[Any, Any, _T]) -> _T:
    """Runs `work` to its end.

    Raises:
        Stopped: SIGINT or SIGTERM came and `work` ended by its cancellation; the cause is what it raised.
    """
    received: list[signal.Signals] = []

    async def main() -> _T:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()

        def stop(number: signal.Signals) -> None:
            if not received:
                task.cancel()
            received.append(number)

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop, number)
        return await task

    try:
        return asyncio.run(main())
    except BaseException as error:
        if received:
            raise Stopped(received[0]) from error
        raise
