"""Protobuf values, read with messages made at run time from the .proto texts a registry keeps."""

from collections.abc import Sequence
from typing import Any, ClassVar

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from forestay.core.errors import DeadLetter
from forestay.formats.decoder import Reader, RegistryDecoder
from forestay.formats.protobuf_values import MessageReader
from forestay.formats.protoc import compiled
from forestay.formats.schema import Schema, UnusableSchemaError
from forestay.formats.wire import message_indexes


class ProtobufDecoder(RegistryDecoder):
    """Reads Protobuf in Confluent's wire format."""

    kind: ClassVar[str] = "PROTOBUF"

    def _reader(self, schema: Schema) -> Reader:
        return _File(compiled(schema)).read


class _File:
    """A .proto file: its messages by their indexes."""

    def __init__(self, files: Sequence[Any]) -> None:
        """Takes FileDescriptorProtos, the file itself last."""
        # A pool of its own: another version of the schema has messages of the same names.
        self._pool = DescriptorPool()
        try:
            for file in files:
                self._pool.Add(file)
        except TypeError as error:
            raise UnusableSchemaError(f"its descriptors do not fit together ({error})") from error
        self._names = dict(_named_messages(files[-1].message_type, (), files[-1].package))
        self._readers: dict[tuple[int, ...], tuple[Any, MessageReader]] = {}

    def read(self, value: bytes) -> dict[str, Any]:
        """Returns the record in a framed value.

        Raises:
            DeadLetter: it is not what the schema says.
        """
        indexes, start = message_indexes(value)
        message_class, reader = self._readers.get(indexes) or self._learn(indexes)
        try:
            return reader.to_dict(message_class.FromString(value[start:]))
        # A text of proto2 that is not UTF-8 is found when it is read: a ValueError.
        except (DecodeError, ValueError) as error:
            raise DeadLetter("not_protobuf", "the value is cut off, or not of the schema it names") from error

    def _learn(self, indexes: tuple[int, ...]) -> tuple[Any, MessageReader]:
        name = self._names.get(indexes)
        if name is None:
            raise DeadLetter("not_protobuf", f"the schema has no message with the indexes {list(indexes)}")
        descriptor = self._pool.FindMessageTypeByName(name)
        self._readers[indexes] = GetMessageClass(descriptor), MessageReader(descriptor)
        return self._readers[indexes]


def _named_messages(
    messages: Sequence[Any], within: tuple[int, ...], prefix: str
) -> list[tuple[tuple[int, ...], str]]:
    """Returns the full names of messages by their indexes, as Confluent's Java serializer counts them.

    protoc makes a message for each map field; it stands in no .proto file, and is not counted.
    """
    found = []
    declared = [message for message in messages if not message.options.map_entry]
    for index, message in enumerate(declared):
        name = f"{prefix}.{message.name}" if prefix else message.name
        found.append(((*within, index), name))
        found += _named_messages(message.nested_type, (*within, index), name)
    return found
