"""What the decoders of Avro and Protobuf share: schemas by id, and the contract."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from pydantic import ValidationError

from forestay.core.decoding.decode import describe
from forestay.core.errors import DeadLetter
from forestay.formats.schema import Schema, UnusableSchemaError
from forestay.formats.wire import named_schema, schema_id
from forestay_schemas.click_event import MAX_ITEMS, ClickEvent

#: Reads a whole value, its frame included, as a record under its own field names.
Reader = Callable[[bytes], dict[str, Any]]


class RegistryDecoder(ABC):
    """Reads values whose schemas it has learnt. The caller bounds a value's size (`MAX_VALUE_BYTES`).

    A reader takes memory and time in proportion to its value, whatever bytes it is given.
    """

    #: The registry's word for what this one reads.
    kind: ClassVar[str]

    def __init__(self) -> None:
        """Knows no schema yet."""
        # By id; a schema that cannot be used has its reason here. Ids are for ever: nothing is asked twice.
        self._readers: dict[int, Reader | str] = {}

    def missing(self, values: Iterable[bytes | None]) -> set[int]:
        """Returns the ids of schemas that these values name and that are not known yet."""
        named = {schema_id(value) for value in values if value is not None}
        return {number for number in named if number is not None and number not in self._readers}

    def learn(self, schema_id: int, schema: Schema) -> None:
        """Takes the schema with this id; one that cannot be used makes dead letters of its values, and nothing else.

        Blocks while a .proto file is compiled (50 ms).

        Raises:
            ConfigurationError: the compiler itself failed.
        """
        if schema.kind != self.kind:
            self._readers[schema_id] = f"schema {schema_id} is of type {schema.kind}; {self.kind} is read here"
            return
        try:
            self._readers[schema_id] = self._reader(schema)
        except UnusableSchemaError as error:
            self._readers[schema_id] = f"schema {schema_id} cannot be used: {error}"

    def to_dict(self, value: bytes) -> dict[str, Any]:
        """Returns the record in `value` under its own field names, as its JSON would have it.

        Moments are integer milliseconds since the epoch, decimals are numbers, bytes are base64.

        Raises:
            DeadLetter: the value cannot be read.
        """
        number = named_schema(value)
        reader = self._readers.get(number)
        if reader is None:
            raise DeadLetter(
                "unknown_schema", f"the registry does not have schema {number}, or not all that it refers to"
            )
        if isinstance(reader, str):
            raise DeadLetter("unusable_schema", reader)
        return reader(value)

    def decode(self, value: bytes) -> ClickEvent:
        """Returns the event in `value`. A field that is null counts as left out: Avro has no other way to say so.

        Raises:
            DeadLetter: the value cannot be read, or what it holds breaks the contract.
        """
        fields = {name: content for name, content in self.to_dict(value).items() if content is not None}
        items = fields.get("items")
        # Counted before they are checked: a hundred thousand wrong items would each be described, for seconds.
        if isinstance(items, list) and len(items) > MAX_ITEMS:
            raise DeadLetter("contract", f"items: an event has at most {MAX_ITEMS}, this one has {len(items)}")
        try:
            return ClickEvent.model_validate(fields)
        except ValidationError as error:
            raise DeadLetter(*describe(error)) from error

    @abstractmethod
    def _reader(self, schema: Schema) -> Reader:
        """Returns what reads values of this schema.

        Raises:
            UnusableSchemaError: no value can be read with it.
        """
