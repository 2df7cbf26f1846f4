"""The worker's web port, over HTTP: who is answered, and with what."""

import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from forestay.core.errors import ConfigurationError
from forestay.settings import WebSettings
from forestay.shell.web import Answer, WebPort

PAGES = {"/live": lambda: Answer(True, {"live": True}), "/ready": lambda: Answer(False, {"ready": False})}
TOKEN = "t0ken of the tests"  # noqa: S105


async def ask(port: WebPort, page: str, *, method: str = "GET", **headers: str) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://127.0.0.1:{port.port}{page}", headers=headers) as answer,
    ):
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.status, await answer.json()


async def test_it_says_yes_and_no() -> None:
    async with WebPort(WebSettings(port=0), PAGES) as port:
        assert await ask(port, "/live") == (200, {"live": True})
        assert await ask(port, "/ready") == (503, {"ready": False})


async def test_it_shows_nothing_else_and_takes_nothing() -> None:
    async with WebPort(WebSettings(port=0), PAGES) as port:
        for page in ("/", "/table", "/router", "/live/", "/../etc/passwd", "/%2e%2e/secret"):
            assert (await ask(port, page))[0] == 404, page
        assert (await ask(port, "/live", method="POST"))[0] == 405


async def test_with_a_token_nobody_else_is_answered(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    for settings in (WebSettings(port=0, token_file=file), WebSettings(port=0, token=SecretStr(TOKEN))):
        async with WebPort(settings, PAGES) as port:
            assert (await ask(port, "/live", Authorization=f"Bearer {TOKEN}"))[0] == 200
            for given in (
                {},
                {"Authorization": TOKEN},
                {"Authorization": f"Bearer {TOKEN}x"},
                {"Authorization": "Bearer "},
            ):
                status, content = await ask(port, "/live", **given)
                assert (status, "live" in content) == (401, False)
            assert (await ask(port, "/table"))[0] == 401


async def test_on_loopback_it_is_not_open_to_other_machines() -> None:
    async with WebPort(WebSettings(port=0), PAGES) as port:
        assert port._runner is not None
        assert [address[0] for address in port._runner.addresses] == ["127.0.0.1"]


async def test_without_a_port_nothing_listens() -> None:
    async with WebPort(WebSettings(), PAGES) as port:
        assert port.port is None


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"web port 127.0.0.1:{number} cannot be opened"):
            async with WebPort(WebSettings(port=number), PAGES):
                pass
