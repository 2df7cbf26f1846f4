"""The embedded machines for tests that block: in a loop of their own, with settings for them, and records sent."""

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AsyncExitStack, contextmanager
from typing import Any, NamedTuple

from kafka import KafkaProducer
from support.builders import Click

from forestay.embedded.lifecycle import Startable
from forestay.settings import KafkaSettings, Settings
from forestay.shell.kafka_clients import connection_options

Headers = tuple[tuple[str, bytes], ...]


class Outgoing(NamedTuple):
    """A record to be sent; without a partition it goes where its key belongs, without a timestamp it is of now."""

    value: bytes
    key: bytes | None = None
    partition: int | None = None
    timestamp: int | None = None
    headers: Headers = ()


@contextmanager
def running(*machines: Startable) -> Iterator[None]:
    """Starts the machines in this order, and stops them in the other, in a loop and a thread of their own."""
    up: Future[Callable[[], object]] = Future()
    with ThreadPoolExecutor(1) as threads:
        serving: Future[None] = threads.submit(lambda: asyncio.run(_serve(machines, up)))
        try:
            either: list[Future[Any]] = [serving, up]
            wait(either, return_when=FIRST_COMPLETED)
            if serving.done():
                serving.result()
            yield
        finally:
            # Where the wait was broken off, they come up later, and are to stop then.
            up.add_done_callback(lambda stop: stop.result()())
            serving.result()


async def _serve(machines: Iterable[Startable], up: Future[Callable[[], object]]) -> None:
    loop, asked = asyncio.get_running_loop(), asyncio.Event()
    async with AsyncExitStack() as started:
        for machine in machines:
            await started.enter_async_context(machine)
        up.set_result(lambda: loop.call_soon_threadsafe(asked.set))
        await asked.wait()


def embedded_kafka(bootstrap_servers: str, *, group_id: str = "forestay", session: int = 2) -> KafkaSettings:
    """How to reach the embedded broker.

    `session` is in seconds. The broker answers a join after half of it, so that is what a hand-over may take: 2 is
    quickest, 4 leaves two members on two busy cores 2 s.
    """
    return KafkaSettings(
        bootstrap_servers=bootstrap_servers,
        group_id=group_id,
        session_timeout_seconds=session,
        rebalance_timeout_seconds=session,
        fetch_wait_seconds=0.02,
        idempotent_producer=False,
    )


def send_records(settings: Settings, topic: str, records: Iterable[Outgoing]) -> None:
    """Puts records on a topic, in this order; returns when all are there."""
    producer = KafkaProducer(**connection_options(settings.kafka), acks="all", linger_ms=20, enable_idempotence=False)
    try:
        sent = [
            producer.send(
                topic,
                value=one.value,
                key=one.key,
                partition=one.partition,
                timestamp_ms=one.timestamp,
                headers=list(one.headers),
            )
            for one in records
        ]
        for each in sent:
            each.get(60)
    finally:
        producer.close()


def send_clicks(settings: Settings, clicks: Iterable[Click]) -> None:
    """Puts events on the clickstream as of their own time, each into the partition of its user."""
    send_records(
        settings,
        settings.topics.clickstream,
        (Outgoing(json.dumps(one).encode(), one["user_id"].encode(), timestamp=one["ts"]) for one in clicks),
    )
