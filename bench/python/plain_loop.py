"""A loop by hand, an upper bound for plain Python: no restore, no rebalance, no local store.

At least once: state in dicts, users touched go once a second to a compacted changelog, then the offsets.
"""

import time

import msgspec
import orjson
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from job import Meter, State, new_state, setting, update

PARTITIONS = 4
COMMIT_SECONDS = 1.0

run, source, output, bootstrap = setting("RUN"), setting("INPUT"), setting("OUTPUT"), setting("BOOTSTRAP")
changelog = f"{run}-changelog"
compacted = NewTopic(changelog, PARTITIONS, 1, config={"cleanup.policy": "compact"})
admin = AdminClient({"bootstrap.servers": bootstrap})
admin.create_topics([compacted])[changelog].result()
consumer = Consumer(
    {
        "bootstrap.servers": bootstrap,
        "group.id": run,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "fetch.queue.backoff.ms": 5,
        "queued.min.messages": 1_000_000,
    }
)
producer = Producer(
    {
        "bootstrap.servers": bootstrap,
        "linger.ms": 20,
        "acks": "all",
        "enable.idempotence": True,
        "queue.buffering.max.messages": 1_000_000,
    }
)
consumer.assign([TopicPartition(source, number, 0) for number in range(PARTITIONS)])
meter = Meter()
loads, dumps, encode, produce = orjson.loads, orjson.dumps, msgspec.msgpack.Encoder().encode, producer.produce
states: list[dict[bytes, State]] = [{} for _ in range(PARTITIONS)]
touched: list[set[bytes]] = [set() for _ in range(PARTITIONS)]
positions: dict[int, int] = {}


def commit() -> None:
    """Makes state durable, then the offsets."""
    for number in range(PARTITIONS):
        for user in touched[number]:
            produce(changelog, encode(states[number][user]), user, number)
        touched[number].clear()
    producer.flush()
    if positions:
        offsets = [TopicPartition(source, number, offset + 1) for number, offset in positions.items()]
        consumer.commit(offsets=offsets, asynchronous=False)


due = time.monotonic() + COMMIT_SECONDS
while True:
    messages = consumer.consume(1000, 0.2)
    for message in messages:
        key, partition, event = message.key(), message.partition(), loads(message.value())
        of_partition = states[partition]
        state = of_partition.get(key)
        if state is None:
            state = of_partition[key] = new_state()
        record = update(state, event)
        touched[partition].add(key)
        if record is not None:
            produce(output, dumps(record), key, partition)
        positions[partition] = message.offset()
    producer.poll(0)
    if messages:
        meter.add(len(messages))
    if time.monotonic() >= due:
        commit()
        due = time.monotonic() + COMMIT_SECONDS
