"""The job on Bytewax: batches of 1,000, a recovery snapshot to SQLite each second."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import msgspec
import orjson
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import cluster_main
from job import Meter, new_state, setting, update

encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode
meter = Meter()


class Rolling(StatefulBatchLogic):  # type: ignore[misc] # Bytewax is not in the project's environment.
    """One user's state."""

    __slots__ = ("_state",)

    def __init__(self, held: bytes | None) -> None:
        """Takes up what a snapshot held."""
        self._state = decode(held) if held is not None else new_state()

    def on_batch(self, values: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
        """Counts a user's events of a batch; keeps the state."""
        records = [record for event in values if (record := update(self._state, event)) is not None]
        meter.add(len(values))
        return records, False

    def snapshot(self) -> bytes:
        """Returns what recovery takes up."""
        return encode(self._state)


def keyed(messages: list[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Decodes a batch."""
    for message in messages:
        event = orjson.loads(message.value)
        yield event["user_id"], event


def as_message(keyed_record: tuple[str, dict[str, Any]]) -> Any:
    """Encodes an output record."""
    return KafkaSinkMessage(keyed_record[0].encode(), orjson.dumps(keyed_record[1]))


brokers = [setting("BOOTSTRAP")]
flow = Dataflow("rolling")
source = KafkaSource(
    brokers, [setting("INPUT")], batch_size=1000, add_config={"fetch.queue.backoff.ms": "5"}, tail=True
)
events = op.flat_map_batch("decode", op.input("in", flow, source), keyed)
messages = op.map("encode", op.stateful_batch("features", events, Rolling), as_message)
op.output("out", messages, KafkaSink(brokers, setting("OUTPUT")))

if __name__ == "__main__":
    folder = Path(setting("STATE"), "recovery")
    folder.mkdir()
    init_db_dir(folder, 1)
    snapshots = RecoveryConfig(folder)
    cluster_main(flow, [], 0, epoch_interval=timedelta(seconds=1), recovery_config=snapshots, worker_count_per_proc=1)
