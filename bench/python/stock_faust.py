"""The job on stock Faust: a table in memory with its changelog, at least once, a commit each second."""

import sys
from typing import Any

import faust
import msgspec
from faust.serializers import codecs
from faust.tables.recovery import Recovery
from job import Meter, new_state, setting, update

_encoder, _decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder()


class MessagePack(codecs.Codec):
    """State records; JSON would be larger and slower."""

    def _loads(self, s: bytes) -> Any:
        return _decoder.decode(s)

    def _dumps(self, s: Any) -> bytes:
        return _encoder.encode(s)


codecs.register("msgpack", MessagePack())
meter = Meter()
app = faust.App(
    setting("RUN"),
    broker=f"kafka://{setting('BOOTSTRAP')}",
    store="memory://",
    datadir=setting("STATE"),
    topic_partitions=4,
    topic_disable_leader=True,
    web_enabled=False,
    worker_redirect_stdouts=False,
    consumer_auto_offset_reset="earliest",
    stream_wait_empty=False,
    table_standby_replicas=0,
    broker_commit_interval=1.0,
    processing_guarantee="at_least_once",
)
source = app.topic(setting("INPUT"), key_type=bytes, value_type=None, key_serializer="raw", value_serializer="json")
output = app.topic(setting("OUTPUT"), key_type=bytes, key_serializer="raw", value_serializer="json")
schema: Any = faust.Schema(key_type=bytes, key_serializer="raw", value_serializer="msgpack")
features: Any = app.Table("features", partitions=4, key_type=bytes, schema=schema)
# The table's codec alone is not enough: its changelog topic reads records back with one of its own.
features.value_serializer = "msgpack"
features.changelog_topic.schema.value_serializer = "msgpack"
features.changelog_topic.value_serializer = "msgpack"
_set_recovery_started = Recovery._set_recovery_started  # noqa: SLF001 - Faust tells nobody when it begins


def _restoring(self: Recovery) -> None:
    meter.restore("begin")
    _set_recovery_started(self)


Recovery._set_recovery_started = _restoring  # type: ignore[method-assign] # noqa: SLF001


@features.on_recover  # type: ignore[untyped-decorator]
async def _restored() -> None:
    meter.restore("end")


@app.agent(source)
async def rolling(stream: Any) -> None:
    """Counts each event; the table is set anew so that Faust sees the change."""
    async for key, event in stream.items():
        state = features.get(key)
        if state is None:
            state = new_state()
        record = update(state, event)
        features[key] = state
        if record is not None:
            await output.send(key=key, value=record)
        meter.add(1)


if __name__ == "__main__":
    sys.argv = ["stock_faust", "worker", "-l", "warn", "--without-web"]
    app.main()
