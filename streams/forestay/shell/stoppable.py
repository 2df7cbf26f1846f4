"""An aiokafka consumer that can be stopped while its broker is gone."""

import asyncio
from types import FunctionType
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher


def with_names(method: Any, **names: object) -> Any:
    """Returns `method` with other objects behind some of the names of its module.

    Raises:
        ImportError: it uses no such name: this aiokafka is not the one we know.
    """
    if missing := names.keys() - set(method.__code__.co_names):
        raise ImportError(f"{method.__qualname__} of aiokafka has no {sorted(missing)}: see shell/{__name__}.py")
    rebound = FunctionType(method.__code__, {**method.__globals__, **names}, method.__name__, method.__defaults__)
    rebound.__kwdefaults__ = method.__kwdefaults__
    return rebound


class StoppableFetcher(Fetcher):  # type: ignore[misc]
    """A fetcher that ends quietly.

    aiokafka's cancels its fetches and awaits each. One that failed and waits to be tried again does not catch that:
    whoever stops the consumer is told that it was cancelled itself, and the error it was about to raise is lost.
    """

    async def close(self) -> None:
        """Ends all fetches."""
        for tasks in ({self._fetch_task}, self._pending_tasks):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._pending_tasks.clear()
        await super().close()


class StoppableConsumer(AIOKafkaConsumer):  # type: ignore[misc]
    """A consumer with such a fetcher."""

    start = with_names(AIOKafkaConsumer.start, Fetcher=StoppableFetcher)
