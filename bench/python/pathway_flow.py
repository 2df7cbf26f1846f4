"""The job on Pathway: a stateful reducer, the input log persisted, a commit each second.

Its outputs leave a batch out of order, so the last record of some users is not their latest: the check fails it.
"""

from typing import Any

import msgspec
import orjson
import pathway as pw
from job import Meter, new_state, setting, update

encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode
FIELDS = {"user_id": str, "event": str, "ts": str, "price": float, "quantity": int}
meter = Meter()


def rolling(state: bytes | None, rows: list[tuple[list[Any], int]]) -> bytes:
    """Counts a user's events of a batch; outputs travel in the state, as a reducer has one result."""
    held = decode(state)[0] if state is not None else new_state()
    records = []
    for values in sorted((values for values, _ in rows), key=lambda values: values[2]):
        record = update(held, dict(zip(FIELDS, values, strict=True)))
        if record is not None:
            records.append(orjson.dumps(record).decode())
    meter.add(len(rows))
    return encode((held, records))


def records_of(state: bytes) -> list[str]:
    """Returns the outputs that travel in a state."""
    records: list[str] = decode(state)[1]
    return records


reading = {
    "bootstrap.servers": setting("BOOTSTRAP"),
    "group.id": setting("RUN"),
    "auto.offset.reset": "earliest",
    "fetch.queue.backoff.ms": "5",
}
writing = {"bootstrap.servers": setting("BOOTSTRAP"), "linger.ms": "20"}
schema = pw.schema_from_types(**FIELDS)
events = pw.io.kafka.read(
    reading, topic=setting("INPUT"), schema=schema, format="json", autocommit_duration_ms=1000, name="events"
)
features = pw.reducers.stateful_many(rolling)
states = events.groupby(events.user_id).reduce(
    events.user_id, state=features(events.user_id, events.event, events.ts, events.price, events.quantity)
)
changes = states.to_stream()
changes = changes.filter(changes.is_upsert)
outputs = changes.select(user_id=changes.user_id, record=pw.udf(records_of)(changes.state)).flatten(pw.this.record)
pw.io.kafka.write(
    outputs, writing, topic_name=setting("OUTPUT"), format="plaintext", key=outputs.user_id, value=outputs.record
)
persisted = pw.persistence.Config(
    pw.persistence.Backend.filesystem(f"{setting('STATE')}/pathway"),
    persistence_mode=pw.PersistenceMode.PERSISTING,
    snapshot_interval_ms=1000,
)
pw.run(monitoring_level=pw.MonitoringLevel.NONE, persistence_config=persisted)
