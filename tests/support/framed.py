"""Values in Confluent's wire format as a producer writes them, and the schemas this project ships."""

import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import fastavro
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from forestay.formats.protoc import compiled
from forestay.formats.schema import Schema

_SCHEMAS = Path(__file__).parents[2] / "schemas"
CLICK_AVSC = (_SCHEMAS / "avro" / "click_event.avsc").read_text()
CLICK_PROTO = (_SCHEMAS / "protobuf" / "click_event.proto").read_text()


def event(**fields: Any) -> dict[str, Any]:
    """Returns an event as JSON has it; `fields` are changed or added."""
    return {"event_id": "e1", "user_id": "u1", "event": "page_view", "ts": 1_767_225_600_000, **fields}


def frame(schema_id: int, payload: bytes, indexes: bytes = b"") -> bytes:
    """Returns `payload` as a serializer frames it; `indexes` are Protobuf's, encoded."""
    return b"\0" + schema_id.to_bytes(4, "big") + indexes + payload


def avro(schema: Any, record: Any) -> bytes:
    """Returns `record` in Avro, written by fastavro as any producer would: logical types as Python's own."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), record)
    return stream.getvalue()


@cache
def message_class(text: str, name: str) -> Any:
    """Returns the class of the message `name` in a .proto text that imports only what Protobuf brings."""
    pool = DescriptorPool()
    for file in compiled(Schema("PROTOBUF", text)):
        pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName(name))


def protobuf(text: str, name: str, record: Mapping[str, Any]) -> bytes:
    """Returns `record`, as ProtoJSON has it, in Protobuf."""
    message = json_format.ParseDict(dict(record), message_class(text, name)())
    return bytes(message.SerializeToString())
