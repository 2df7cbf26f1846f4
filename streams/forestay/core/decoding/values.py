"""How a record's bytes become an event where they are not JSON: what the core asks of a decoder."""

from collections.abc import Iterable
from typing import Any, Protocol

from forestay_schemas.click_event import ClickEvent


class ValueDecoder(Protocol):
    """Reads values that name their schema by a number (Confluent's wire format); forestay.formats has two.

    It reaches nothing outside: the shell fetches the schemas that are `missing` before a batch is decoded.
    """

    def missing(self, values: Iterable[bytes | None]) -> set[int]:
        """Returns the ids of schemas that these values name and that are not known yet."""
        ...

    def decode(self, value: bytes) -> ClickEvent:
        """Returns the event in `value`.

        Raises:
            DeadLetter: the value cannot be read (`not_framed`, `unknown_schema`, `unusable_schema`, `not_avro`,
                `not_protobuf`), or what it holds breaks the contract (`contract`).
        """
        ...

    def to_dict(self, value: bytes) -> dict[str, Any]:
        """Returns the record in `value` under its own field names, as its JSON would have it.

        Raises:
            DeadLetter: the value cannot be read.
        """
        ...
