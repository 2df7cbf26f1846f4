"""Durable state on a real broker without a worker: what one would have left, and the ways to spoil it."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata
from support.builders import MODEL, START, catalogue, click, offer

from forestay.core.partition import Partition
from forestay.core.record import OutputRecord
from forestay.core.rules import Rules
from forestay.core.state.seal import sealed_records
from forestay.core.units import HOUR
from forestay.settings import Settings
from forestay.shell.recovery.recover import Recovered, recover
from forestay.shell.topics import declare

#: All that happens happens here.
PARTITION = 0


class Durable:
    """Topics of their own, and what a worker leaves on partition 0 of them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.topics = settings.topics
        self._options = {"bootstrap_servers": settings.kafka.bootstrap_servers}
        declare(settings.kafka, settings.topics)

    async def recovered(self) -> Recovered:
        return (await recover(self.settings.kafka, self.topics, [PARTITION]))[PARTITION]

    async def work(self, users: int = 4, events: int = 12) -> None:
        """Sends events, and does with them what a worker does: decisions, then state, then the group's offset."""
        found = await self.recovered()
        core = Partition(PARTITION, self.topics.sources, Rules(), catalogue(offer("a")))
        core.restore(found.users, found.mark, found.made)
        self.write(self.topics.state, *sealed_records(found.opening))
        begin = core.positions.get(self.topics.clickstream, 0)
        clicks = [
            click(f"e{begin + n}", f"u{n % users}", "purchase", START + (begin + n) * HOUR, price=9)
            for n in range(events)
        ]
        records = [OutputRecord(str(one["user_id"]).encode(), json.dumps(one).encode()) for one in clicks]
        self.write(self.topics.clickstream, *records)
        applied = core.apply(self.topics.clickstream, self.read(self.topics.clickstream, begin))
        decisions = core.settle(applied.situations, {}, MODEL).decisions
        end = self.write(
            self.topics.decisions, *(OutputRecord(b"", made.model_dump_json().encode()) for made in decisions)
        )
        self.write(self.topics.state, *sealed_records(core.checkpoint(end, 2)))
        self.commit(core.positions[self.topics.clickstream])

    def write(self, topic: str, *records: OutputRecord) -> int:
        """Writes records to partition 0; returns where it ends then."""
        end = 0
        with KafkaProducer(**self._options) as producer:
            sent = [producer.send(topic, value, key, partition=PARTITION) for key, value, _ in records]
            for one in sent:
                end = one.get(20).offset + 1
        return end

    def read(self, topic: str, begin: int = 0) -> list[Any]:
        """Returns the records of partition 0 from an offset on."""
        tp = TopicPartition(topic, PARTITION)
        records: list[Any] = []
        with KafkaConsumer(**self._options, enable_auto_commit=False) as consumer:
            consumer.assign([tp])
            end = consumer.end_offsets([tp])[tp]
            consumer.seek(tp, max(begin, consumer.beginning_offsets([tp])[tp]))
            while consumer.position(tp) < end:
                for batch in consumer.poll(500).values():
                    records += batch
        return records

    def commit(self, position: int, group: str | None = None) -> None:
        """Commits an offset of the clickstream to the group."""
        tp = TopicPartition(self.topics.clickstream, PARTITION)
        with KafkaConsumer(**self._options, group_id=group or self.settings.kafka.group_id) as consumer:
            consumer.assign([tp])
            consumer.commit({tp: OffsetAndMetadata(position, "", -1)})

    # -- ways to spoil it ------------------------------------------------------------------------------

    def make_again(self, topic: str, partitions: int | None = None, configs: Mapping[str, str] | None = None) -> None:
        """Deletes a topic and makes one of the same name."""
        wanted = {
            "num_partitions": partitions or self.topics.partitions,
            "replication_factor": 1,
            "configs": dict(configs or {}),
        }
        with KafkaAdminClient(**self._options) as admin:
            admin.delete_topics([topic])
            _until(lambda: _is_gone(admin, topic))
            admin.create_topics({topic: wanted})
            admin.wait_for_topics([topic])

    def delete_until(self, topic: str, offset: int) -> None:
        """Deletes the records of partition 0 before an offset, as retention does: of a changelog too, once let."""
        with KafkaAdminClient(**self._options) as admin:
            if topic == self.topics.state:
                policy = {"cleanup.policy": "compact,delete"}
                admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, policy)])
            admin.delete_records({TopicPartition(topic, PARTITION): offset})

    def grow(self, partitions: int, *topics: str) -> None:
        """Gives topics more partitions."""
        with KafkaAdminClient(**self._options) as admin:
            admin.create_partitions({topic: NewPartitions(partitions) for topic in topics})
            for topic in topics:
                _until(lambda topic=topic: len(admin.describe_topics([topic])[0]["partitions"]) == partitions)  # type: ignore[misc]

    def delete_group(self) -> None:
        """Has the broker forget the group with its offsets."""
        with KafkaAdminClient(**self._options) as admin:
            admin.delete_groups([self.settings.kafka.group_id])


def _is_gone(admin: KafkaAdminClient, topic: str) -> bool:
    try:
        return bool(admin.describe_topics([topic])[0]["error_code"])
    except KafkaError:
        return True


def _until(holds: Callable[[], bool], within: float = 30.0) -> None:
    """Waits for what the broker does in its own time; it has no event for it."""
    deadline, pause = time.monotonic() + within, threading.Event()
    while not holds():
        assert time.monotonic() < deadline
        pause.wait(0.05)
