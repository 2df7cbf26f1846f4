"""Tokens for SASL OAUTHBEARER: a file that changes, and a token endpoint with its faults."""

import json
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from support.certificates import Authority

from forestay.access import AccessError
from forestay.core.errors import ConfigurationError
from forestay.settings import KafkaSettings
from forestay.shell.tokens import TokenEndpoint, token_provider


async def test_the_file_is_read_at_every_connection_by_both_clients(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    provider = token_provider(
        KafkaSettings(security_protocol="SASL_SSL", sasl_mechanism="OAUTHBEARER", sasl_token_file=file)
    )
    # kafka-python formats it, aiokafka awaits it.
    assert f"Bearer {provider.token()}" == "Bearer first"
    assert await provider.token() == "first"
    file.write_text("second")
    assert f"Bearer {provider.token()}" == "Bearer second"
    assert await provider.token() == "second"
    file.unlink()
    with pytest.raises(ConfigurationError, match=r"kafka.sasl_token_file names .*token: No such file"):
        str(provider.token())


class Endpoint(ThreadingHTTPServer):
    """A fake token endpoint after RFC 6749, with answers to order."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, bytes]] = []
        self.asked: list[tuple[str | None, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/token"


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append((self.headers["Authorization"], form))
        status, content = self.server.answers.pop(0)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", self.server.url)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def settings(endpoint: Endpoint, **over: Any) -> KafkaSettings:
    return KafkaSettings(
        security_protocol="SASL_SSL",
        sasl_mechanism="OAUTHBEARER",
        sasl_token_url=endpoint.url,
        sasl_username="shop:1",
        sasl_password=SecretStr("gehe:im ü"),
        **over,
    )


def token(name: str, **claims: Any) -> tuple[int, bytes]:
    return 200, json.dumps({"access_token": name, "token_type": "Bearer"} | claims).encode()


def test_a_token_is_asked_for_with_the_clients_id_and_secret_and_kept(endpoint: Endpoint) -> None:
    endpoint.answers = [token("one", expires_in=600), token("two")]
    provider = token_provider(settings(endpoint, sasl_token_scope="kafka write"))  # noqa: S106 - no password
    assert [str(provider.token()), str(provider.token())] == ["one", "one"]
    client = b64encode(b"shop%3A1:gehe%3Aim%20%C3%BC").decode()
    assert endpoint.asked == [(f"Basic {client}", "grant_type=client_credentials&scope=kafka+write")]


def test_a_token_that_has_expired_is_replaced(endpoint: Endpoint) -> None:
    endpoint.answers = [token("one", expires_in=1e-9), token("two", expires_in=600)]
    source = TokenEndpoint(settings(endpoint))
    assert [source.token(), source.token(), source.token()] == ["one", "two", "two"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, b'{"error": "invalid_client"}'), "HTTP 401"),
        ((500, b"oops"), "HTTP 500"),
        ((200, b"<html>gehe</html>"), "not with an access_token"),
        ((200, b'{"token": "gehe"}'), "not with an access_token"),
        ((200, b"[]"), "not with an access_token"),
    ],
)
def test_an_endpoint_that_gives_none_is_named_and_no_secret_is(
    endpoint: Endpoint, answer: tuple[int, bytes], said: str
) -> None:
    endpoint.answers = [answer]
    with pytest.raises(AccessError) as caught:
        TokenEndpoint(settings(endpoint)).token()
    assert said in str(caught.value)
    assert endpoint.url in str(caught.value)
    assert "gehe" not in str(caught.value)


def test_no_redirect_is_followed_with_the_secret(endpoint: Endpoint) -> None:
    endpoint.answers = [(302, b""), token("stolen")]
    with pytest.raises(AccessError, match="HTTP 302"):
        TokenEndpoint(settings(endpoint)).token()
    assert len(endpoint.asked) == 1


def test_the_endpoint_is_trusted_by_its_certificate(endpoint: Endpoint, tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path, "authority"), Authority(tmp_path, "stranger")
    server = authority.issue("server", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, server.key)
    endpoint.socket = context.wrap_socket(endpoint.socket, server_side=True)
    endpoint.answers = [token("one", expires_in=600)]
    over_tls = {"sasl_token_url": endpoint.url.replace("http:", "https:"), "ssl_cafile": authority.file}
    kafka = settings(endpoint).model_copy(update=over_tls)
    assert TokenEndpoint(kafka).token() == "one"
    with pytest.raises(AccessError, match=r"cannot be asked for a token: .*CERTIFICATE_VERIFY_FAILED"):
        TokenEndpoint(kafka.model_copy(update={"ssl_cafile": stranger.file})).token()


def test_an_endpoint_that_is_not_there_is_named(endpoint: Endpoint) -> None:
    gone = settings(endpoint).model_copy(update={"sasl_token_url": "http://127.0.0.1:9/token"})
    with pytest.raises(AccessError, match=r"kafka.sasl_token_url.*refused"):
        TokenEndpoint(gone).token()
