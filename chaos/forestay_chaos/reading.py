"""Everything that is on a run's topics, read as anyone may read it: what is committed, from first to last."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kafka import TopicPartition
from kafka.errors import KafkaError

from forestay.recording import RecordedMessage, RecordingMetadata, write_recording
from forestay_chaos.cluster import Cluster
from forestay_chaos.errors import ChaosError
from forestay_chaos.read_record import ReadRecord

_ONCE_SECONDS: Final = 30.0


def read_all(
    cluster: Cluster, topics: Mapping[str, str], partitions: int, within: float
) -> dict[str, list[ReadRecord]]:
    """Returns all records by role; `topics` gives each role's name. Each partition's are in order.

    Raises:
        ChaosError: they cannot be read within so many seconds.
    """
    deadline = time.monotonic() + within
    while True:
        try:
            return _read(cluster, topics, partitions)
        except (KafkaError, TimeoutError) as error:
            if time.monotonic() > deadline:
                raise ChaosError(f"the topics cannot be read: {error!r}") from error
            time.sleep(0.5)


def keep(read: Mapping[str, list[ReadRecord]], partitions: Mapping[str, int], file: Path) -> None:
    """Writes what was read to a recording, in which anyone can look it up (`forestay replay`, `open_recording`)."""
    rows = (RecordedMessage(*record) for records in read.values() for record in records)
    metadata = RecordingMetadata(description="all topics of a run of the fault harness", partitions=dict(partitions))
    write_recording(file, rows, metadata)


def _read(cluster: Cluster, topics: Mapping[str, str], partitions: int) -> dict[str, list[ReadRecord]]:
    role_of = {name: role for role, name in topics.items()}
    found: dict[str, list[ReadRecord]] = {role: [] for role in topics}
    asked = [TopicPartition(name, number) for name in role_of for number in range(partitions)]
    deadline = time.monotonic() + _ONCE_SECONDS
    with cluster.reader() as reader:
        ends = reader.end_offsets(asked)
        open_ = [tp for tp, end in ends.items() if end > 0]
        reader.assign(open_)
        reader.seek_to_beginning(*open_)
        while open_:
            for tp, records in reader.poll(timeout_ms=100, max_records=10_000).items():
                found[role_of[tp.topic]].extend(
                    ReadRecord(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, tuple(r.headers))
                    for r in records
                )
            open_ = [tp for tp in open_ if reader.position(tp) < ends[tp]]
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(open_)} partitions are not at their ends, {open_[0]} the first")
    return found
