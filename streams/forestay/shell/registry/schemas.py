"""The schemas a worker's values need, fetched before the pure core reads a batch (docs/formats.md)."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from forestay.core.record import Record
from forestay.formats import decoder_of
from forestay.settings import FormatSettings, TopicSettings, ValueFormat
from forestay.shell.registry.registry import SchemaRegistry


class Schemas:
    """A decoder of Avro or Protobuf values, and the registry it learns from."""

    def __init__(self, formats: FormatSettings, topics: TopicSettings) -> None:
        """Connects with the first schema that is missing.

        Raises:
            ConfigurationError: the extra `registry` is not installed.
        """
        self.decoder = decoder_of("avro" if formats.clickstream is ValueFormat.AVRO else "protobuf")
        self._topics = topics
        self._formats = formats
        self._registry: SchemaRegistry | None = None

    async def __aenter__(self) -> Self:
        """Opens the client in the loop it will be used in."""
        self._registry = SchemaRegistry(self._formats)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the connections."""
        if self._registry is not None:
            await self._registry.close()

    async def prepare(self, topic: str, records: Sequence[Record]) -> None:
        """Has the decoder learn what the values of these records name.

        Raises:
            RegistryError: the registry does not answer within its deadline, or refuses.
        """
        if self._registry is not None and topic == self._topics.clickstream:
            await self._registry.prepare(self.decoder, [record.value for record in records])
