"""One request to a schema registry: what it answers, and what each way of failing means."""

import asyncio
import base64
import ssl
from http import HTTPStatus
from typing import Final, NamedTuple

import aiohttp
from pydantic import BaseModel, Field, ValidationError
from yarl import URL

from forestay.core.errors import ConfigurationError, ForestayError
from forestay.settings import FormatSettings

#: A schema may take this many bytes; Kafka's own topic of schemas takes 1 MB by default.
MAX_ANSWER_BYTES: Final = 4_194_304
#: The registry's own codes for what it does not have: subject, version, schema. Any other 404 is a wrong address.
_NOT_FOUND: Final = frozenset((40401, 40402, 40403))
_TRY_AGAIN: Final = frozenset((408, 425, 429, 500, 502, 503, 504))
_ACCEPT: Final = "application/vnd.schemaregistry.v1+json, application/json"
#: Of the time for a schema, one request may take this share: one that hangs is not the last.
_SHARE: Final = 1 / 3
_CHUNK_BYTES: Final = 65_536


class RegistryError(ForestayError):
    """The schema registry cannot be used. Nothing was skipped: the same records come again after a restart."""


class TryAgainError(Exception):
    """This request failed; the next may not."""


class ReferenceAnswer(BaseModel):
    """Where another schema is kept, and the name it goes by."""

    name: str
    subject: str
    version: int


class SchemaAnswer(BaseModel):
    """A schema as the registry answers it; one without a type is Avro."""

    text: str = Field(alias="schema")
    kind: str | None = Field(default=None, alias="schemaType")
    references: tuple[ReferenceAnswer, ...] | None = None


class _ErrorAnswer(BaseModel):
    error_code: int


class _Answer(NamedTuple):
    status: int
    body: bytes


class RegistryHttp:
    """Speaks HTTP with the registry. Follows no redirect and no proxy variable: the password goes nowhere else."""

    def __init__(self, formats: FormatSettings) -> None:
        """Connects with the first request.

        Raises:
            ConfigurationError: the CA file cannot be read.
        """
        self.url = (formats.registry_url or "").rstrip("/")
        self._headers = {"Accept": _ACCEPT}
        if formats.registry_username is not None and formats.registry_password is not None:
            pair = f"{formats.registry_username}:{formats.registry_password.get_secret_value()}"
            self._headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        self._timeout = aiohttp.ClientTimeout(total=formats.registry_timeout_seconds * _SHARE)
        self._trusted = _trusted(formats)
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str) -> SchemaAnswer | None:
        """Returns the schema at `path` (encoded already); None if the registry says that it has no such schema.

        Raises:
            TryAgainError: no answer, or one that passes (5xx, 429, a page of something between).
            RegistryError: an answer that stays: refused, moved, or from something that is no registry.
        """
        answer = await self._ask(path)
        if answer.status == HTTPStatus.OK:
            try:
                return SchemaAnswer.model_validate_json(answer.body)
            except ValidationError as error:
                raise TryAgainError("it answered with what is no schema") from error
        if answer.status == HTTPStatus.NOT_FOUND and _error_code(answer.body) in _NOT_FOUND:
            return None
        if answer.status in _TRY_AGAIN:
            raise TryAgainError(f"it answered with status {answer.status}")
        raise RegistryError(
            f"the schema registry at {self.url} answered with status {answer.status}: {_hint(answer)}"
        )

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(self, path: str) -> _Answer:
        session = self._session = self._session or self._connected()
        try:
            async with session.get(URL(self.url + path, encoded=True), allow_redirects=False) as response:
                return _Answer(response.status, await _body(response))
        except aiohttp.ClientConnectorCertificateError as error:
            raise RegistryError(
                f"the schema registry at {self.url} shows a certificate that cannot be trusted"
                f" ({error.certificate_error}): is format.registry_ca_file the one that signed it?"
            ) from error
        except TimeoutError as error:
            raise TryAgainError("it took too long to answer") from error
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            raise TryAgainError(str(error) or type(error).__name__) from error

    def _connected(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=self._trusted)
        return aiohttp.ClientSession(connector=connector, headers=self._headers, timeout=self._timeout)


def _trusted(formats: FormatSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=formats.registry_ca_file)
    except OSError as error:
        raise ConfigurationError(f"format.registry_ca_file cannot be used: {error}") from error


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """Reads the answer, and no more than a schema may take."""
    body = b""
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise RegistryError(f"the schema registry answered with more than {MAX_ANSWER_BYTES} bytes")
    return body


def _error_code(body: bytes) -> int | None:
    try:
        return _ErrorAnswer.model_validate_json(body).error_code
    except ValidationError:
        return None


def _hint(answer: _Answer) -> str:
    if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return "correct format.registry_username and format.registry_password"
    return (
        "format.registry_url must name its API, with the path if there is one"
        " (Apicurio: /apis/ccompat/v7), and no other address"
    )
