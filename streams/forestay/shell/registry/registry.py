"""A client of a schema registry with Confluent's API: it fetches what a decoder has not learnt yet.

A registry that does not answer stops the line: a schema that cannot be had says nothing about the records. Only the
registry's own word that it has no such schema makes dead letters of them.
Source: Confluent Platform, "Schema Registry API Reference".
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Final, NoReturn, Protocol
from urllib.parse import quote

from forestay.formats.schema import Reference, Schema
from forestay.settings import FormatSettings
from forestay.shell.registry.http import RegistryError, RegistryHttp, SchemaAnswer, TryAgainError

logger = logging.getLogger(__name__)

#: An id the registry does not know is asked for again after so many seconds: it may be registered by then.
FORGET_SECONDS: Final = 60.0
#: A follower may not have a schema yet that its leader has just taken: before records are given up, a second look.
SECOND_LOOK_SECONDS: Final = 0.5
#: So many unknown ids are remembered: a hostile producer names new ones for ever.
_MAX_UNKNOWN: Final = 10_000
#: A schema may refer to so many others, directly or not.
_MAX_REFERENCES: Final = 200
_PAUSE_SECONDS: Final = 0.1
_MAX_PAUSE_SECONDS: Final = 2.0


class LearningDecoder(Protocol):
    """What the client asks of a decoder: see forestay.formats.decoder."""

    def missing(self, values: Iterable[bytes | None]) -> set[int]:
        """Returns the ids of schemas that these values name and that are not known yet."""
        ...

    def learn(self, schema_id: int, schema: Schema) -> None:
        """Takes the schema with this id."""
        ...


class SchemaRegistry:
    """Fetches schemas once each. To be made, used and closed in one event loop."""

    def __init__(self, formats: FormatSettings, now: Callable[[], float] = time.monotonic) -> None:
        """Connects with the first schema that is missing. `now` is a monotonic clock in seconds."""
        self._http = RegistryHttp(formats)
        self._seconds = formats.registry_timeout_seconds
        self._now = now
        self._unknown: dict[int, float] = {}
        self._lock = asyncio.Lock()

    async def prepare(self, decoder: LearningDecoder, values: Iterable[bytes | None]) -> None:
        """Has `decoder` learn the schemas that `values` name. What the registry does not have stays missing.

        Raises:
            RegistryError: it does not answer within the deadline (each schema has its own), or refuses.
        """
        values = list(values)
        if not self._due(decoder, values):
            return
        async with self._lock:  # another partition may be asking for the same
            unknown = await self._teach(decoder, self._due(decoder, values))
            if unknown:
                await asyncio.sleep(SECOND_LOOK_SECONDS)
                self._remember(await self._teach(decoder, unknown))

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.close()

    def _due(self, decoder: LearningDecoder, values: Iterable[bytes | None]) -> list[int]:
        now = self._now()
        return sorted(number for number in decoder.missing(values) if self._unknown.get(number, now) <= now)

    def _remember(self, unknown: Iterable[int]) -> None:
        for number in unknown:
            self._unknown.pop(number, None)
            self._unknown[number] = self._now() + FORGET_SECONDS
        while len(self._unknown) > _MAX_UNKNOWN:
            self._unknown.pop(next(iter(self._unknown)))

    async def _teach(self, decoder: LearningDecoder, numbers: Iterable[int]) -> list[int]:
        """Has `decoder` learn these schemas; returns the ids of those the registry does not have."""
        unknown = []
        for number in numbers:
            schema = await self._fetch(number)
            if schema is None:
                unknown.append(number)
                continue
            # A .proto file is compiled: 50 ms in which other partitions go on.
            await asyncio.to_thread(decoder.learn, number, schema)
            self._unknown.pop(number, None)
        return unknown

    async def _fetch(self, number: int) -> Schema | None:
        attempts = _Attempts(self._http)
        try:
            async with asyncio.timeout(self._seconds):
                answer = await attempts.get(f"/schemas/ids/{number}")
                if answer is None:
                    return None
                references: dict[str, Reference] = {}
                if not await _collect(attempts, answer, references, ()):
                    return None
        except TimeoutError:
            self._give_up(number, attempts.failure)
        return Schema(answer.kind or "AVRO", answer.text, tuple(references.values()))

    def _give_up(self, number: int, failure: str) -> NoReturn:
        raise RegistryError(
            f"the schema registry at {self._http.url} did not give schema {number} within {self._seconds:g} s"
            f" ({failure}); nothing was skipped: start it or correct format.registry_url, then start the worker again"
        )


class _Attempts:
    """Asks until there is an answer; the caller sets the deadline. Knows what failed last."""

    def __init__(self, http: RegistryHttp) -> None:
        self._http = http
        self.failure = "no answer"

    async def get(self, path: str) -> SchemaAnswer | None:
        """Returns the answer, None if the registry does not have it."""
        pause = _PAUSE_SECONDS
        while True:
            try:
                return await self._http.get(path)
            except TryAgainError as error:
                if pause == _PAUSE_SECONDS:
                    logger.warning("the schema registry: %s; asking again", error)
                self.failure = str(error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _MAX_PAUSE_SECONDS)


async def _collect(
    attempts: _Attempts, answer: SchemaAnswer, into: dict[str, Reference], within: tuple[str, ...]
) -> bool:
    """Puts all that `answer` refers to into `into`, each after what it refers to itself; False if one is missing.

    Registries take no schema that refers to itself; should one give such, the compiler says what is wrong.
    """
    for reference in answer.references or ():
        name = reference.name
        if name in into or name in within:
            continue
        if len(into) + len(within) >= _MAX_REFERENCES:
            raise RegistryError(f"a schema refers to more than {_MAX_REFERENCES} others")
        subject = quote(reference.subject, safe="")
        found = await attempts.get(f"/subjects/{subject}/versions/{reference.version}?deleted=true")
        if found is None or not await _collect(attempts, found, into, (*within, name)):
            return False
        into[name] = Reference(name, found.text)
    return True
