"""The broker of a sitting, and what is asked of it."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import UnknownTopicOrPartitionError
from support.kafka import KafkaServer

PARTITIONS: Final = 4
#: The tests' broker starts fast and stays slow; this one is let warm up, with the heap the peers were measured on.
_JVM_VARIABLE: Final = "_JAVA_OPTIONS"
_JVM: Final = "-Xmx1g -XX:TieredStopAtLevel=4"
_LEADER_SECONDS: Final = 15.0


class Volume(NamedTuple):
    """What a topic holds: offsets from the first to the last, and bytes of its log on disk."""

    records: int
    bytes: int


class Broker:
    """Apache Kafka on loopback, its log in a folder."""

    def __init__(self, folder: Path) -> None:
        """Prepares it; `with` starts and ends it."""
        self._server = KafkaServer(folder)
        self._data = folder / "data"
        self.bootstrap = self._server.bootstrap

    def __enter__(self) -> Self:
        with _environment({_JVM_VARIABLE: _JVM}):
            self._server.start()
        self._admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        self._consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, group_id=None, enable_auto_commit=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with closing(self._admin), closing(self._consumer):
            pass
        self._server.stop()

    @property
    def pid(self) -> int:
        """Returns the broker's process id."""
        return self._server.pid

    def create(self, topic: str) -> None:
        """Makes a topic that keeps everything, and returns when it can be written."""
        forever = {"retention.ms": "-1", "retention.bytes": "-1"}
        self._admin.create_topics([NewTopic(topic, PARTITIONS, 1, topic_configs=forever)])
        deadline = time.monotonic() + _LEADER_SECONDS
        while True:
            with suppress(UnknownTopicOrPartitionError):
                self.end(topic)
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"topic {topic} has no leader after {_LEADER_SECONDS:.0f} s")
            time.sleep(0.1)

    def delete(self, topics: list[str]) -> None:
        """Deletes topics."""
        if topics:
            self._admin.delete_topics(topics)

    def end(self, topic: str) -> int:
        """Returns how many records were ever put on a topic that keeps everything."""
        ends = self._consumer.end_offsets([TopicPartition(topic, number) for number in range(PARTITIONS)])
        return sum(ends.values())

    def volumes(self, name_part: str) -> dict[str, Volume]:
        """Returns what each topic holds whose name contains `name_part`."""
        return {name: self._volume(name) for name in self._admin.list_topics() if name_part in name}

    def _volume(self, topic: str) -> Volume:
        folders = [folder for folder in self._data.iterdir() if folder.name.rpartition("-")[0] == topic]
        partitions = [TopicPartition(topic, number) for number in range(len(folders))]
        records = sum(self._consumer.end_offsets(partitions).values())
        return Volume(records, sum(file.stat().st_size for folder in folders for file in folder.glob("*.log")))

    def read(self, topic: str) -> Iterator[bytes]:
        """Yields the values of a topic from its beginning to what is now its end."""
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        with closing(
            KafkaConsumer(bootstrap_servers=self.bootstrap, group_id=None, enable_auto_commit=False)
        ) as consumer:
            consumer.assign(partitions)
            consumer.seek_to_beginning(*partitions)
            ends = consumer.end_offsets(partitions)
            while any(consumer.position(partition) < end for partition, end in ends.items()):
                for records in consumer.poll(500, max_records=50_000).values():
                    yield from (record.value for record in records)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Sets variables for what is started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
