"""A schema registry in the test's own process: a fake after Confluent's documented API, with faults to order."""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import quote

import aiohttp
from aiohttp import web
from yarl import URL

_TYPE = "application/vnd.schemaregistry.v1+json"


class Registry(Protocol):
    """What the contract tests ask of a registry, fake or real."""

    url: str

    async def register(
        self, subject: str, text: str, kind: str = "AVRO", references: Sequence[tuple[str, str, int]] = ()
    ) -> int:
        """Registers a schema, its references as (name, subject, version); returns its id."""
        ...


async def post_schema(
    url: str, subject: str, text: str, kind: str, references: Sequence[tuple[str, str, int]]
) -> int:
    """Registers a schema at a real registry as any client does."""
    body: dict[str, Any] = {"schema": text}
    if kind != "AVRO":
        body["schemaType"] = kind
    if references:
        body["references"] = [dict(zip(("name", "subject", "version"), each, strict=True)) for each in references]
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            URL(f"{url}/subjects/{quote(subject, safe='')}/versions", encoded=True),
            json=body,
            headers={"Content-Type": _TYPE},
        ) as response,
    ):
        answer = await response.json(content_type=None)
        assert response.status == 200, answer
        return int(answer["id"])


@dataclass
class FakeRegistry:
    """Answers as the documentation says; `answers` are given first, before it does."""

    username: str | None = None
    password: str = ""
    tls: ssl.SSLContext | None = None
    url: str = ""
    #: Every request's path, as it came.
    asked: list[str] = field(default_factory=list)
    #: (status, body) for the next requests; a status of 0 breaks the connection, -1 holds it for ever.
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    _schemas: list[dict[str, Any]] = field(default_factory=list)
    _versions: dict[str, list[int]] = field(default_factory=dict)
    _runner: web.AppRunner | None = None

    async def register(
        self, subject: str, text: str, kind: str = "AVRO", references: Sequence[tuple[str, str, int]] = ()
    ) -> int:
        """Keeps a schema; ids count from 1."""
        named = [dict(zip(("name", "subject", "version"), each, strict=True)) for each in references]
        # Confluent's registry leaves out what is Avro, and references where there are none.
        schema = {"schema": text} | ({"schemaType": kind} if kind != "AVRO" else {})
        self._schemas.append(schema | ({"references": named} if named else {}))
        self._versions.setdefault(subject, []).append(len(self._schemas))
        return len(self._schemas)

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._first])
        app.router.add_get("/schemas/ids/{id}", self._by_id)
        app.router.add_get("/subjects/{subject}/versions/{version}", self._by_version)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.tls)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @web.middleware
    async def _first(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append(request.raw_path)
        if self.answers:
            status, body = self.answers.pop(0)
            if status == -1:
                await asyncio.Event().wait()
            if status == 0:
                assert request.transport is not None
                request.transport.abort()
            headers = {"Location": "http://127.0.0.1:9/"} if 300 <= status < 400 else {}
            return web.Response(status=status or 500, body=body, headers=headers)
        if self.username is not None:
            given = request.headers.get("Authorization")
            if given != aiohttp.encode_basic_auth(self.username, self.password):
                return web.json_response({"error_code": 401, "message": "Unauthorized"}, status=401)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _by_id(self, request: web.Request) -> web.Response:
        number = int(request.match_info["id"])
        if not 0 < number <= len(self._schemas):
            return _missing(40403, f"Schema {number} not found")
        return web.json_response(self._schemas[number - 1], content_type=_TYPE)

    async def _by_version(self, request: web.Request) -> web.Response:
        subject, version = request.match_info["subject"], int(request.match_info["version"])
        versions = self._versions.get(subject)
        if versions is None:
            return _missing(40401, f"Subject '{subject}' not found.")
        if not 0 < version <= len(versions):
            return _missing(40402, f"Version {version} not found.")
        number = versions[version - 1]
        named = {"subject": subject, "version": version, "id": number}
        return web.json_response(named | self._schemas[number - 1], content_type=_TYPE)


def _missing(code: int, message: str) -> web.Response:
    return web.json_response({"error_code": code, "message": message}, status=404, content_type=_TYPE)
