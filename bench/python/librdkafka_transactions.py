"""Each batch's outputs and offsets in one transaction of librdkafka, fenced by the group's metadata (KIP-447).

Arguments: BOOTSTRAP PREFIX LOAD SECONDS, with a load of forestay_bench.barrier_loads. Prints one line of JSON.
"""

import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from confluent_kafka import Consumer, Producer, TopicPartition

from forestay_bench.barrier_loads import LOADS, PARTITIONS, Done, Load, Meter, topics_of

_SECONDS = 30.0


class Owner:
    """The producer of one partition, and the group member whose generation fences it."""

    def __init__(self, bootstrap: str, prefix: str, number: int, member: Consumer) -> None:
        """Fences former owners."""
        self._topics = topics_of(prefix)
        self._number = number
        self._member = member
        self._source = f"{prefix}-clickstream"
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "transactional.id": f"{prefix}-{number}", "linger.ms": 0}
        )
        self._producer.init_transactions(_SECONDS)
        self._lock = threading.Lock()

    def write(self, load: Load, meter: Meter) -> None:
        """Makes batches until the time is up; a commit of state is part of the batch it falls to."""
        offset = 0
        for batch in meter.batches(load, self._number):
            time.sleep(max(batch.begins - time.monotonic(), 0))
            decisions, actions = batch.outputs()
            states = load.states if meter.state_due() else []
            offset += load.events
            self._producer.begin_transaction()
            for role, records in (("decisions", decisions), ("actions", actions), ("state", states)):
                for key, value in records:
                    self._producer.produce(self._topics[role], value, key, self._number)
                    self._producer.poll(0)
            position = TopicPartition(self._source, self._number, offset)
            self._producer.send_offsets_to_transaction([position], self._member.consumer_group_metadata(), _SECONDS)
            self._producer.commit_transaction(_SECONDS)
            meter.durable(batch)


def member_of(bootstrap: str, prefix: str) -> Consumer:
    """Returns a consumer that has joined the group and has all partitions."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": prefix, "enable.auto.commit": False})
    consumer.subscribe([f"{prefix}-clickstream"])
    while len(consumer.assignment()) < PARTITIONS:
        consumer.poll(0.1)
    return consumer


def main() -> None:
    """Runs what the arguments say."""
    bootstrap, prefix, name, seconds = sys.argv[1:]
    load = LOADS[name]
    member = member_of(bootstrap, prefix)

    def owners() -> list[Owner]:
        with ThreadPoolExecutor(PARTITIONS) as pool:
            return list(pool.map(lambda number: Owner(bootstrap, prefix, number, member), range(PARTITIONS)))

    def work(owned: list[Owner], length: float) -> list[Meter]:
        meters = [Meter(length) for _ in owned]
        with ThreadPoolExecutor(PARTITIONS) as pool:
            list(pool.map(lambda pair: pair[0].write(load, pair[1]), zip(owned, meters, strict=True)))
        return meters

    work(owners(), 2.0)
    started = time.monotonic()
    owned = owners()
    taken = time.monotonic() - started
    before = os.times()
    meters = work(owned, float(seconds))
    after = os.times()
    used = after.user + after.system - before.user - before.system
    print(json.dumps(asdict(Done.of(meters, load, used, taken))))


main()
