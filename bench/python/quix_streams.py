"""The job on Quix Streams: RocksDB with a changelog, at least once, a commit each second."""

from typing import Any

import msgspec
from job import Meter, new_state, setting, update
from quixstreams import Application

encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode
meter = Meter()
app = Application(
    broker_address=setting("BOOTSTRAP"),
    consumer_group=setting("RUN"),
    auto_offset_reset="earliest",
    state_dir=setting("STATE"),
    processing_guarantee="at-least-once",
    commit_interval=1.0,
    use_changelog_topics=True,
    loglevel="WARNING",
    auto_create_topics=True,
    consumer_extra_config={"fetch.queue.backoff.ms": 5},
)
source = app.topic(setting("INPUT"), key_deserializer="str", value_deserializer="json")
output = app.topic(setting("OUTPUT"), key_serializer="str", value_serializer="json")


def rolling(event: dict[str, Any], store: Any) -> dict[str, Any] | None:
    """Counts one event; state goes through the store as bytes."""
    held = store.get_bytes("s")
    state = decode(held) if held is not None else new_state()
    record = update(state, event)
    store.set_bytes("s", encode(state))
    meter.add(1)
    return record


app.dataframe(source).apply(rolling, stateful=True).filter(lambda record: record is not None).to_topic(output)
app.run()
