"""What the client asks of a registry, on the fake and on a real one: Apicurio Registry, by Confluent's API."""

import json
import os
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
from support.apicurio import Apicurio, apicurio_jar
from support.framed import CLICK_AVSC, CLICK_PROTO, avro, event, frame, protobuf
from support.java import JavaUnavailableError
from support.registry import FakeRegistry, Registry

from forestay.core.errors import DeadLetter
from forestay.formats import decoder_of
from forestay.settings import FormatSettings, ValueFormat
from forestay.shell.registry import registry as schema_registry
from forestay.shell.registry.registry import SchemaRegistry
from forestay_schemas import ClickEvent


@pytest.fixture(scope="module")
def apicurio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apicurio]:
    """A real registry for this module."""
    try:
        apicurio_jar()
    except JavaUnavailableError as error:
        if os.environ.get("CI"):
            pytest.fail(f"the tests on a real schema registry cannot run: {error}")
        pytest.skip(f"NOT TESTED on a real schema registry: {error}")
    with Apicurio(tmp_path_factory.mktemp("apicurio")) as server:
        yield server


@pytest.fixture(params=["fake", pytest.param("apicurio", marks=pytest.mark.registry)])
async def registry(request: pytest.FixtureRequest) -> AsyncIterator[Registry]:
    """Each of the registries in turn."""
    if request.param == "apicurio":
        yield request.getfixturevalue("apicurio")
        return
    async with FakeRegistry() as fake:
        yield fake


@pytest.fixture
async def client(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SchemaRegistry]:
    monkeypatch.setattr(schema_registry, "SECOND_LOOK_SECONDS", 0.0)
    made = SchemaRegistry(FormatSettings(clickstream=ValueFormat.AVRO, registry_url=registry.url))
    yield made
    await made.close()


def subject() -> str:
    """Returns a subject no other test has; it needs encoding in a path."""
    return f"shop.{uuid4().hex} value"


async def test_an_avro_event_comes_out_as_its_json_has_it(registry: Registry, client: SchemaRegistry) -> None:
    number = await registry.register(subject(), CLICK_AVSC)
    sent = event(event="purchase", items=[{"item_id": "i", "price": 9.99}], properties={"a": 1})
    value = frame(number, avro(json.loads(CLICK_AVSC), sent))
    decoder = decoder_of("avro")
    await client.prepare(decoder, [value, None, b"not framed"])
    assert decoder.decode(value) == ClickEvent.model_validate(sent)


async def test_a_protobuf_event_comes_out_as_its_json_has_it(registry: Registry, client: SchemaRegistry) -> None:
    number = await registry.register(subject(), CLICK_PROTO, "PROTOBUF")
    sent = event(event="purchase", items=[{"item_id": "i", "price": 9.99}], properties={"a": [1, {"b": None}]})
    timed = {**sent, "ts": "2026-01-01T00:00:00Z"}
    value = frame(number, protobuf(CLICK_PROTO, "forestay.ClickEvent", timed), b"\0")
    decoder = decoder_of("protobuf")
    await client.prepare(decoder, [value])
    assert decoder.decode(value) == ClickEvent.model_validate(sent)


async def test_avro_references_are_fetched_with_theirs(registry: Registry, client: SchemaRegistry) -> None:
    space = f"s{uuid4().hex}"
    identity = json.dumps({"type": "record", "name": f"{space}.Id", "fields": [{"name": "x", "type": "string"}]})
    item = json.dumps({"type": "record", "name": f"{space}.Item", "fields": [{"name": "id", "type": f"{space}.Id"}]})
    fields = [{"name": "one", "type": f"{space}.Item"}, {"name": "two", "type": f"{space}.Id"}]
    root = json.dumps({"type": "record", "name": f"{space}.Root", "fields": fields})
    ids, items = subject(), subject()
    await registry.register(ids, identity)
    await registry.register(items, item, references=[(f"{space}.Id", ids, 1)])
    references = [(f"{space}.Item", items, 1), (f"{space}.Id", ids, 1)]
    number = await registry.register(subject(), root, references=references)
    decoder = decoder_of("avro")
    await client.prepare(decoder, [frame(number, b"")])
    assert decoder.to_dict(frame(number, b"\x02a\x02b")) == {"one": {"id": {"x": "a"}}, "two": {"x": "b"}}


async def test_protobuf_imports_are_fetched_with_theirs(registry: Registry, client: SchemaRegistry) -> None:
    package = f"s{uuid4().hex}"
    identity = f'syntax = "proto3"; package {package}; message Id {{ string x = 1; }}'
    item = f'syntax = "proto3"; package {package}; import "{package}/id.proto"; message Item {{ Id id = 1; }}'
    root = f'syntax = "proto3"; package {package}; import "{package}/item.proto"; message Root {{ Item item = 1; }}'
    ids, items = f"{package}/id.proto", f"{package}/item.proto"
    await registry.register(ids, identity, "PROTOBUF")
    await registry.register(items, item, "PROTOBUF", [(ids, ids, 1)])
    number = await registry.register(subject(), root, "PROTOBUF", [(items, items, 1)])
    decoder = decoder_of("protobuf")
    await client.prepare(decoder, [frame(number, b"")])
    assert decoder.to_dict(frame(number, b"\x0a\x05\x0a\x03\x0a\x01a", b"\0")) == {"item": {"id": {"x": "a"}}}


async def test_an_id_the_registry_does_not_have_is_a_dead_letter(client: SchemaRegistry) -> None:
    decoder = decoder_of("avro")
    value = frame(4_000_000_000, b"\x00")
    await client.prepare(decoder, [value])
    with pytest.raises(DeadLetter) as caught:
        decoder.decode(value)
    assert caught.value.code == "unknown_schema"
    assert "4000000000" in str(caught.value)
