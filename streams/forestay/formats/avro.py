"""Avro values, read by fastavro with the schema they were written with."""

from io import BytesIO
from typing import Any, ClassVar

from fastavro import schemaless_reader

from forestay.core.errors import DeadLetter
from forestay.formats.avro_schema import WRAPPED, prepared
from forestay.formats.decoder import Reader, RegistryDecoder
from forestay.formats.schema import Schema
from forestay.formats.wire import HEADER

#: What fastavro and the readers of logical types raise on bytes that are not of the schema.
_MALFORMED = (EOFError, IndexError, KeyError, OverflowError, ValueError)


class AvroDecoder(RegistryDecoder):
    """Reads Avro in Confluent's wire format."""

    kind: ClassVar[str] = "AVRO"

    def _reader(self, schema: Schema) -> Reader:
        parsed = prepared(schema)

        def read(value: bytes) -> dict[str, Any]:
            return _read(value, parsed)

        return read


def _read(value: bytes, parsed: Any) -> dict[str, Any]:
    stream = BytesIO(value)
    stream.seek(HEADER)
    try:
        record: Any = schemaless_reader(stream, parsed, None)
    except _MALFORMED as error:
        raise DeadLetter("not_avro", "the value is cut off, or not of the schema it names") from error
    left = len(value) - stream.tell()
    if left:
        raise DeadLetter("not_avro", f"the value goes on for {left} bytes after its schema's end")
    content = record[WRAPPED]
    if not isinstance(content, dict):
        raise DeadLetter("contract", "the value is no record")
    return content
