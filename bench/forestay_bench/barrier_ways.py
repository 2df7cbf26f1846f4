"""A process of its own that makes batches durable in one of several ways: `python -m forestay_bench.barrier_ways`.

Arguments: WAY BOOTSTRAP PREFIX LOAD SECONDS, with a load of `barrier_bench`. Prints one line of JSON.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Any, Protocol

import uvloop
from aiokafka import AIOKafkaProducer

from forestay.core.record import OutputRecord
from forestay.settings import KafkaSettings, TopicSettings
from forestay.shell.fence import KafkaFence
from forestay.shell.kafka_clients import connection_options
from forestay.shell.producer_ids import ProducerIds
from forestay.shell.publisher import KafkaPublisher
from forestay_bench.barrier_loads import LOADS, PARTITIONS, Done, Load, Meter, Record, topics_of
from forestay_bench.processes import own_cpu_seconds

_DEADLINE = 30.0


class Way(Protocol):
    """How a partition's outputs and state become durable."""

    async def open(self, stack: AsyncExitStack) -> None:
        """Connects; what it opens is closed with `stack`."""

    async def take(self, number: int) -> None:
        """Takes a partition over."""

    async def outputs(self, number: int, decisions: list[OutputRecord], actions: list[OutputRecord]) -> None:
        """Makes a batch's outputs durable."""

    async def state(self, number: int, records: list[OutputRecord]) -> None:
        """Makes states durable."""


class Barrier:
    """What the engine does: idempotent, decisions awaited before actions; `fenced` or not."""

    def __init__(self, kafka: KafkaSettings, topics: TopicSettings, *, fenced: bool) -> None:
        """Connects to nothing yet."""
        self.kafka = kafka
        self.topics = topics
        self._fenced = fenced
        self._publisher = KafkaPublisher(kafka, _DEADLINE)
        self._ids = ProducerIds(kafka)
        self._fence = KafkaFence(kafka, topics, self._ids, self._publisher)

    async def open(self, stack: AsyncExitStack) -> None:
        """See `Way.open`."""
        await stack.enter_async_context(self._publisher)
        await stack.enter_async_context(self._ids)

    async def take(self, number: int) -> None:
        """See `Way.take`."""
        if self._fenced:
            await self._fence.take([number])

    async def outputs(self, number: int, decisions: list[OutputRecord], actions: list[OutputRecord]) -> None:
        """See `Way.outputs`."""
        await self._publisher.publish(self.topics.decisions, number, decisions)
        await self._publisher.publish(self.topics.actions, number, actions)

    async def state(self, number: int, records: list[OutputRecord]) -> None:
        """See `Way.state`."""
        await self._publisher.publish(self.topics.state, number, records)


class Transactions:
    """aiokafka's transactions, a producer a partition."""

    def __init__(self, kafka: KafkaSettings, name: str) -> None:
        """`name` tells its transactional ids from others of the group."""
        self._kafka = kafka
        self._name = name
        self._stack = AsyncExitStack()
        self._producers: dict[int, Any] = {}

    async def open(self, stack: AsyncExitStack) -> None:
        """See `Way.open`."""
        self._stack = stack

    async def take(self, number: int) -> None:
        """Fences former owners by starting a producer of the same transactional id."""
        producer = AIOKafkaProducer(
            **connection_options(self._kafka),
            transactional_id=f"{self._kafka.group_id}-{self._name}-{number}",
            acks="all",
            max_batch_size=262_144,
            max_request_size=4 * 1_048_576,
        )
        self._producers[number] = await self._stack.enter_async_context(producer)

    async def write(self, number: int, written: Sequence[tuple[str, list[OutputRecord]]]) -> None:
        """Writes records to the partition of topics, all or none of them."""
        producer = self._producers[number]
        await producer.begin_transaction()
        for topic, records in written:
            at = 0
            while at < len(records):
                batch = producer.create_batch()
                while at < len(records) and batch.append(
                    timestamp=None, key=records[at].key, value=records[at].value
                ):
                    at += 1
                batch.close()
                await producer.send_batch(batch, topic, partition=number)
        await producer.commit_transaction()


class StateInTransactions(Barrier):
    """Outputs as the barrier writes them; each commit of state is a transaction."""

    def __init__(self, kafka: KafkaSettings, topics: TopicSettings) -> None:
        """Connects to nothing yet."""
        super().__init__(kafka, topics, fenced=False)
        self._states = Transactions(kafka, "state")

    async def open(self, stack: AsyncExitStack) -> None:
        """See `Way.open`."""
        await super().open(stack)
        await self._states.open(stack)

    async def take(self, number: int) -> None:
        """See `Way.take`."""
        await self._states.take(number)

    async def state(self, number: int, records: list[OutputRecord]) -> None:
        """See `Way.state`."""
        await self._states.write(number, [(self.topics.state, records)])


class AllInTransactions(StateInTransactions):
    """Each batch's decisions and actions are a transaction too."""

    def __init__(self, kafka: KafkaSettings, topics: TopicSettings) -> None:
        """Connects to nothing yet."""
        super().__init__(kafka, topics)
        self._outputs = Transactions(kafka, "outputs")

    async def open(self, stack: AsyncExitStack) -> None:
        """See `Way.open`."""
        await super().open(stack)
        await self._outputs.open(stack)

    async def take(self, number: int) -> None:
        """See `Way.take`."""
        await super().take(number)
        await self._outputs.take(number)

    async def outputs(self, number: int, decisions: list[OutputRecord], actions: list[OutputRecord]) -> None:
        """See `Way.outputs`."""
        await self._outputs.write(number, [(self.topics.decisions, decisions), (self.topics.actions, actions)])


def way_of(name: str, kafka: KafkaSettings, topics: TopicSettings) -> Way:
    """Returns the way of that name."""
    if name == "state":
        return StateInTransactions(kafka, topics)
    if name == "all":
        return AllInTransactions(kafka, topics)
    return Barrier(kafka, topics, fenced=name == "fence")


async def run(way: Way, load: Load, seconds: float) -> Done:
    """Runs the load on all partitions side by side; taking them over is done twice, and timed the second time."""
    async with AsyncExitStack() as stack:
        await way.open(stack)
        await asyncio.gather(*(way.take(number) for number in range(PARTITIONS)))
        # Broker and client are warm after some batches.
        await asyncio.gather(*(drive(way, load, number, Meter(2.0)) for number in range(PARTITIONS)))
        started = time.monotonic()
        await asyncio.gather(*(way.take(number) for number in range(PARTITIONS)))
        taken = time.monotonic() - started
        meters = [Meter(seconds) for _ in range(PARTITIONS)]
        used = own_cpu_seconds()
        await asyncio.gather(*(drive(way, load, number, meter) for number, meter in enumerate(meters)))
        return Done.of(meters, load, own_cpu_seconds() - used, taken)


async def drive(way: Way, load: Load, number: int, meter: Meter) -> None:
    """Makes batches of one partition until the time is up; states travel beside them, as in the engine."""
    saving: asyncio.Task[None] | None = None
    for batch in meter.batches(load, number):
        if batch.begins > (now := time.monotonic()):
            await asyncio.sleep(batch.begins - now)
        decisions, actions = batch.outputs()
        await way.outputs(number, _outputs(decisions), _outputs(actions))
        meter.durable(batch)
        if meter.state_due():
            if saving is not None:
                await saving
            saving = asyncio.create_task(way.state(number, _outputs(load.states)))
    if saving is not None:
        await saving


def _outputs(records: list[Record]) -> list[OutputRecord]:
    return [OutputRecord(record.key, record.value) for record in records]


def main() -> None:
    """Runs what the arguments say."""
    name, bootstrap, prefix, load, seconds = sys.argv[1:]
    kafka = KafkaSettings(bootstrap_servers=bootstrap, group_id=prefix)
    way = way_of(name, kafka, TopicSettings(**topics_of(prefix)))
    print(json.dumps(asdict(uvloop.run(run(way, LOADS[load], float(seconds))))))  # noqa: T201


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
