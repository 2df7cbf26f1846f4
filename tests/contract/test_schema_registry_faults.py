"""A registry that fails: nothing is skipped, nothing is asked for without end, no password goes astray."""

import asyncio
import json
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from support.framed import CLICK_AVSC, avro, event, frame
from support.registry import FakeRegistry

from forestay.core.errors import ConfigurationError
from forestay.formats import decoder_of
from forestay.formats.schema import Schema
from forestay.settings import FormatSettings, ValueFormat
from forestay.shell.registry import http as registry_http
from forestay.shell.registry import registry as schema_registry
from forestay.shell.registry.http import RegistryError
from forestay.shell.registry.registry import FORGET_SECONDS, SchemaRegistry

VALUE = frame(1, avro(json.loads(CLICK_AVSC), event()))
SCHEMA = json.dumps({"schema": CLICK_AVSC}).encode()


class Clock:
    """A monotonic clock set by hand, in seconds."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses between attempts, without the wait."""
    monkeypatch.setattr(schema_registry, "SECOND_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(schema_registry, "_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(schema_registry, "_MAX_PAUSE_SECONDS", 0.001)


@pytest.fixture
async def fake() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as made:
        await made.register("clicks", CLICK_AVSC)
        yield made


def settings(url: str, **more: Any) -> FormatSettings:
    return FormatSettings(clickstream=ValueFormat.AVRO, registry_url=url, registry_timeout_seconds=5, **more)


async def prepare(formats: FormatSettings, values: Iterable[bytes | None] = (VALUE,)) -> None:
    """Prepares a fresh decoder by a fresh client, and holds that it can decode then."""
    client, decoder = SchemaRegistry(formats), decoder_of("avro")
    try:
        await client.prepare(decoder, values)
        decoder.decode(VALUE)
    finally:
        await client.close()


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408, 0, 200])
async def test_what_passes_is_tried_again(fake: FakeRegistry, status: int) -> None:
    fake.answers = [(status, b"<html>a page of something between</html>")] * 3
    await prepare(settings(fake.url))
    assert len(fake.asked) >= 4


async def test_a_request_that_hangs_is_not_the_last(fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_http, "_SHARE", 0.02)
    fake.answers = [(-1, b"")]
    await prepare(settings(fake.url))
    assert len(fake.asked) == 2


async def test_a_registry_that_is_down_stops_the_line_after_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    formats = FormatSettings(
        clickstream=ValueFormat.AVRO, registry_url=f"http://127.0.0.1:{port}", registry_timeout_seconds=0.2
    )
    with pytest.raises(RegistryError) as caught:
        await prepare(formats)
    said = str(caught.value)
    assert f"http://127.0.0.1:{port} did not give schema 1 within 0.2 s" in said
    assert "nothing was skipped" in said


@pytest.mark.parametrize(
    ("status", "body", "hint"),
    [
        (401, b'{"error_code": 401}', "registry_password"),
        (403, b"", "registry_password"),
        (404, b"<html>not found</html>", "registry_url"),
        (404, b'{"error_code": 404, "message": "HTTP 404 Not Found"}', "registry_url"),
        (302, b"", "registry_url"),
        (400, b"", "registry_url"),
    ],
)
async def test_what_stays_stops_the_line_at_once(fake: FakeRegistry, status: int, body: bytes, hint: str) -> None:
    fake.answers = [(status, body)]
    with pytest.raises(RegistryError, match=hint):
        await prepare(settings(fake.url))
    assert len(fake.asked) == 1


async def test_an_answer_without_end_is_not_read_to_its_end(
    fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_http, "MAX_ANSWER_BYTES", 1_000)
    fake.answers = [(200, SCHEMA + b" " * 1_000)]
    with pytest.raises(RegistryError, match="more than 1000 bytes"):
        await prepare(settings(fake.url))


async def test_a_schema_is_fetched_once_whoever_asks(fake: FakeRegistry) -> None:
    client, decoder = SchemaRegistry(settings(fake.url)), decoder_of("avro")
    await asyncio.gather(*(client.prepare(decoder, [VALUE] * 10) for _ in range(10)))
    await client.prepare(decoder, [VALUE])
    await client.close()
    assert fake.asked == ["/schemas/ids/1"]


async def test_an_unknown_id_is_asked_for_twice_and_then_not_for_a_minute(fake: FakeRegistry) -> None:
    clock = Clock()
    client, decoder = SchemaRegistry(settings(fake.url), clock), decoder_of("avro")
    later = frame(2, VALUE[5:])
    await client.prepare(decoder, [later, VALUE])
    await client.prepare(decoder, [later])
    assert fake.asked == ["/schemas/ids/1", "/schemas/ids/2", "/schemas/ids/2"]
    await fake.register("clicks", CLICK_AVSC)
    clock.now = FORGET_SECONDS - 0.1
    await client.prepare(decoder, [later])
    assert decoder.missing([later]) == {2}
    clock.now = FORGET_SECONDS
    await client.prepare(decoder, [later])
    await client.close()
    assert decoder.decode(later) == decoder.decode(VALUE)


async def test_a_follower_behind_its_leader_costs_no_record(fake: FakeRegistry) -> None:
    fake.answers = [(404, b'{"error_code": 40403, "message": "Schema 1 not found"}')]
    await prepare(settings(fake.url))
    assert fake.asked == ["/schemas/ids/1"] * 2


async def test_unknown_ids_are_remembered_within_bounds(fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_registry, "_MAX_UNKNOWN", 3)
    client, decoder = SchemaRegistry(settings(fake.url), Clock()), decoder_of("avro")
    await client.prepare(decoder, [frame(number, b"") for number in range(10, 20)])
    fake.asked.clear()
    await client.prepare(decoder, [frame(number, b"") for number in range(10, 20)])
    await client.close()
    assert set(fake.asked) == {f"/schemas/ids/{number}" for number in range(10, 17)}


async def test_a_schema_whose_reference_is_gone_is_unknown(fake: FakeRegistry) -> None:
    number = await fake.register("r", CLICK_AVSC, references=[("a.A", "gone", 1)])
    client, decoder = SchemaRegistry(settings(fake.url)), decoder_of("avro")
    await client.prepare(decoder, [frame(number, b"")])
    await client.close()
    assert decoder.missing([frame(number, b"")]) == {number}


async def test_references_in_a_ring_end(fake: FakeRegistry) -> None:
    await fake.register("a", CLICK_AVSC, references=[("b.B", "b", 1)])
    number = await fake.register("b", CLICK_AVSC, references=[("a.A", "a", 1)])
    client, decoder = SchemaRegistry(settings(fake.url)), decoder_of("avro")
    await client.prepare(decoder, [frame(number, b"")])
    await client.close()
    assert len(fake.asked) == 3


async def test_more_references_than_any_shop_has_are_refused(
    fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema_registry, "_MAX_REFERENCES", 2)
    many = [(f"a.A{n}", "clicks", 1) for n in range(3)]
    number = await fake.register("many", CLICK_AVSC, references=many)
    with pytest.raises(RegistryError, match="more than 2 others"):
        await prepare(settings(fake.url), [frame(number, b"")])


async def test_nothing_is_asked_where_nothing_is_missing(fake: FakeRegistry) -> None:
    client, decoder = SchemaRegistry(settings(fake.url)), decoder_of("avro")
    decoder.learn(1, Schema("AVRO", CLICK_AVSC))
    await client.prepare(decoder, [VALUE, None, b"not framed"])
    await client.close()
    assert fake.asked == []


async def test_the_password_is_sent_and_never_shown() -> None:
    async with FakeRegistry("shop", "gehe:im ü") as fake:
        await fake.register("clicks", CLICK_AVSC)
        formats = settings(fake.url, registry_username="shop", registry_password=SecretStr("gehe:im ü"))
        await prepare(formats)
        assert "gehe" not in f"{formats!r} {formats.model_dump_json()}"
        wrong = settings(fake.url, registry_username="shop", registry_password=SecretStr("gehe"))
        with pytest.raises(RegistryError) as caught:
            await prepare(wrong)
        assert "gehe" not in str(caught.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of this machine that signs itself; its key lies in the same file."""
    file = tmp_path_factory.mktemp("tls") / "registry.pem"
    name = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    new = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    subprocess.run(
        [*new, *name, "-days", "2", "-keyout", file, "-out", f"{file}.crt"], check=True, capture_output=True
    )
    file.write_text(file.read_text() + Path(f"{file}.crt").read_text())
    return file


async def test_tls_trusts_the_named_authority_and_no_other(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with FakeRegistry(tls=context) as fake:
        await fake.register("clicks", CLICK_AVSC)
        await prepare(settings(fake.url, registry_ca_file=Path(f"{certificate}.crt")))
        with pytest.raises(RegistryError, match="cannot be trusted"):
            await prepare(settings(fake.url))


async def test_a_ca_file_that_cannot_be_read_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="registry_ca_file"):
        SchemaRegistry(settings("https://127.0.0.1:1", registry_ca_file=tmp_path / "missing.pem"))
