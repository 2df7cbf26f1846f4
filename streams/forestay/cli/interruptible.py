"""Runs work that Ctrl-C and SIGTERM end: by cancelling it, or by asking it to end in its own way."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
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
    """Runs `work` to its end; a signal cancels it, and a second one does not disturb its clean-up.

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


def run_until_asked(start: Callable[[asyncio.Event], Coroutine[Any, Any, _T]]) -> _T:
    """Runs what `start` makes to its end; a signal sets the event it is given, a second one cancels it.

    Raises:
        KeyboardInterrupt: it was cancelled.
    """

    async def main() -> _T:
        asked = asyncio.Event()
        work = asyncio.ensure_future(start(asked))
        loop = asyncio.get_running_loop()

        def end() -> None:
            if asked.is_set():
                work.cancel()
            asked.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end)
        try:
            return await work
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None

    return asyncio.run(main())
