"""The worker's own web port: whether it lives and is ready, which models it asks, and what it counts.

Faust's, which shows tables and routes, is off.

On loopback it asks for nothing; on any other address for a token, which the settings enforce. It answers GET alone.
"""

import hmac
import json
import logging
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from aiohttp import web

from forestay.core.errors import ConfigurationError
from forestay.settings import WebSettings

logger = logging.getLogger(__name__)

#: Longest request line and headers (bytes): a probe sends a hundred.
_LONGEST: Final = 8_190
#: How long answers under way may take at the end (seconds).
_SHUTDOWN: Final = 0.5
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Answer(NamedTuple):
    """What a page says: yes or no (status 200 or 503), and why."""

    yes: bool
    content: dict[str, Any]


class Text(NamedTuple):
    """A page of its own type, always with status 200."""

    content: bytes
    content_type: str


#: What is asked at each request for a page; it must not block.
Page = Callable[[], Answer | Text]


class WebPort:
    """Answers on the port the settings name, if they name one."""

    def __init__(self, settings: WebSettings, pages: Mapping[str, Page]) -> None:
        """`pages` are asked at each request, by path.

        Raises:
            ConfigurationError: the token's file cannot be read.
        """
        self._settings = settings
        self._pages = pages
        token = settings.secret
        self._expected = None if token is None else f"Bearer {token}".encode()
        self._runner: web.AppRunner | None = None
        self.port: int | None = None

    async def __aenter__(self) -> Self:
        """Opens the port.

        Raises:
            ConfigurationError: it is taken, or the host is not this machine's.
        """
        if self._settings.port is None:
            return self
        app = web.Application(middlewares=[self._guarded])
        for path, page in self._pages.items():
            app.router.add_get(path, _handler(page))
        self._runner = web.AppRunner(
            app, access_log=None, max_line_size=_LONGEST, max_field_size=_LONGEST, shutdown_timeout=_SHUTDOWN
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._settings.host, self._settings.port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigurationError(
                f"the web port {self._settings.host}:{self._settings.port} cannot be opened ({error.strerror}): set"
                " web.port to one that is free (0: any), or leave it unset"
            ) from error
        self.port = self._runner.addresses[0][1]
        logger.info("web port %s:%d: %s", self._settings.host, self.port, " ".join(sorted(self._pages)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self._expected is not None:
            given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(given, self._expected):
                return _answer(401, {"error": "send the header Authorization: Bearer TOKEN"})
        try:
            response: web.StreamResponse = await handler(request)
        except web.HTTPException as error:
            return _answer(error.status, {"error": error.reason, "pages": sorted(self._pages)})
        return response


def _handler(page: Page) -> Callable[[web.Request], Any]:
    async def handle(request: web.Request) -> web.Response:
        del request
        answer = page()
        if isinstance(answer, Text):
            return web.Response(body=answer.content, headers=_HEADERS | {"Content-Type": answer.content_type})
        return _answer(200 if answer.yes else 503, answer.content)

    return handle


def _answer(status: int, content: dict[str, Any]) -> web.Response:
    headers = dict(_HEADERS)
    if status == 401:  # noqa: PLR2004 - the number is the name
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(
        text=json.dumps(content, sort_keys=True) + "\n",
        status=status,
        headers=headers,
        content_type="application/json",
    )
