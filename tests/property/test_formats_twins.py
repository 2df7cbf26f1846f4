"""An event is the same in Avro, in Protobuf and in JSON; and no bytes do harm."""

import base64
import json
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.framed import CLICK_AVSC, CLICK_PROTO, avro, event, frame, protobuf

from forestay.core.errors import DeadLetter
from forestay.formats import decoder_of
from forestay.formats.avro import AvroDecoder
from forestay.formats.decoder import RegistryDecoder
from forestay.formats.protobuf import ProtobufDecoder
from forestay.formats.schema import Schema
from forestay_schemas import ClickEvent, EventName, rfc3339

AVRO = AvroDecoder()
AVRO.learn(1, Schema("AVRO", CLICK_AVSC))
PROTOBUF = ProtobufDecoder()
PROTOBUF.learn(1, Schema("PROTOBUF", CLICK_PROTO))
_CODES = {"not_framed", "unknown_schema", "unusable_schema", "not_avro", "not_protobuf", "contract"}

#: All of Unicode that has a code in UTF-8.
texts = st.text(st.characters(codec="utf-8"), max_size=12)
names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=12)
prices = st.floats(0, 1e9)
quantities = st.integers(1, 250_000)
goods: dict[str, st.SearchStrategy[Any]] = {
    "item_name": texts,
    "category": texts,
    "brand": texts,
    "price": prices,
    "quantity": quantities,
}
items = st.fixed_dictionaries({"item_id": names}, optional=goods)
scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts
numbers = st.floats(allow_nan=False, allow_infinity=False)
one_item: dict[str, st.SearchStrategy[Any]] = {"item_id": names, **goods}
several: dict[str, st.SearchStrategy[Any]] = {"items": st.lists(items, max_size=3)}
others: dict[str, st.SearchStrategy[Any]] = {
    "session_id": names,
    "anonymous_id": names,
    "currency": st.from_regex(r"\A[A-Z]{3}\Z"),
    "order_id": names,
    "query": texts,
    "rating": st.floats(0, 100),
    "channel": texts,
    "device": texts,
    "country": texts,
    "timezone": texts,
}


def events(properties: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Returns events as JSON has them, time in epoch milliseconds."""
    needed: dict[str, st.SearchStrategy[Any]] = {
        "event_id": names,
        "user_id": names,
        "event": st.sampled_from(sorted(EventName)),
        "ts": st.integers(0, 253_370_764_799_999),
    }
    more = {**others, "properties": st.dictionaries(texts, properties, max_size=3)}
    return st.fixed_dictionaries(needed, optional=more | one_item) | st.fixed_dictionaries(
        needed, optional=more | several
    )


def as_json(record: dict[str, Any]) -> ClickEvent:
    return ClickEvent.model_validate_json(json.dumps(record))


@given(events(scalars | numbers))
def test_avro_says_what_json_says(record: dict[str, Any]) -> None:
    defaults: dict[str, Any] = {"items": [], "properties": {}}
    assert AVRO.decode(frame(1, avro(json.loads(CLICK_AVSC), {**defaults, **record}))) == as_json(record)


@given(events(st.recursive(scalars | numbers, lambda inner: st.lists(inner, max_size=3), max_leaves=5)))
def test_protobuf_says_what_json_says(record: dict[str, Any]) -> None:
    sent = {**record, "ts": rfc3339(ClickEvent.model_validate(event(ts=record["ts"])).ts)}
    assert PROTOBUF.decode(frame(1, protobuf(CLICK_PROTO, "forestay.ClickEvent", sent), b"\x00")) == as_json(record)


ANYTHING = json.dumps(
    {
        "type": "record",
        "name": "Anything",
        "fields": [
            {"name": "a", "type": {"type": "array", "items": ["null", "string", {"type": "map", "values": "long"}]}},
            {"name": "d", "type": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2}},
            {"name": "t", "type": {"type": "long", "logicalType": "local-timestamp-nanos"}},
            {"name": "l", "type": {"type": "int", "logicalType": "date"}},
            {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["x", "y"]}},
            {"name": "u", "type": {"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"}},
            {"name": "n", "type": {"type": "array", "items": {"type": "array", "items": "boolean"}}},
        ],
    }
)
AVRO.learn(2, Schema("AVRO", ANYTHING))
PROTOBUF.learn(
    2,
    Schema(
        "PROTOBUF",
        'syntax = "proto2"; import "google/protobuf/struct.proto"; import "google/protobuf/timestamp.proto";'
        "message A { repeated A a = 1; optional string event_id = 2; map<string, A> m = 3; repeated fixed64 f = 4;"
        " optional google.protobuf.Value v = 5; optional google.protobuf.Timestamp ts = 6; optional group G = 7 {} }",
    ),
)
_WHOLE = {
    "avro": frame(1, avro(json.loads(CLICK_AVSC), event(items=[{"item_id": "i"}], properties={"a": 1}))),
    "protobuf": frame(
        1, protobuf(CLICK_PROTO, "forestay.ClickEvent", {"event_id": "e", "items": [{"price": 1}]}), b"\0"
    ),
}


def harmless(decode: Callable[[bytes], Any], value: bytes) -> None:
    """Decodes; what is not an event must be a dead letter with a known code."""
    try:
        decode(value)
    except DeadLetter as problem:
        if problem.code not in _CODES or not str(problem):
            raise


@given(st.sampled_from([1, 2, 3]), st.binary(max_size=200))
@example(2, b"\x02\x03\x00")
@pytest.mark.parametrize("decoder", [AVRO, PROTOBUF], ids=["avro", "protobuf"])
def test_any_bytes_are_an_event_or_a_dead_letter(decoder: RegistryDecoder, schema_id: int, payload: bytes) -> None:
    for value in (payload, frame(schema_id, payload), frame(schema_id, payload, b"\0")):
        harmless(decoder.decode, value)


@given(st.data())
@pytest.mark.parametrize(("decoder", "kind"), [(AVRO, "avro"), (PROTOBUF, "protobuf")], ids=["avro", "protobuf"])
def test_a_changed_byte_does_no_harm(decoder: RegistryDecoder, kind: str, data: st.DataObject) -> None:
    value = bytearray(_WHOLE[kind])
    for _ in range(data.draw(st.integers(1, 3))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    harmless(decoder.decode, bytes(value[: data.draw(st.integers(0, len(value)))]))


@given(st.text(max_size=100) | st.binary(max_size=60).map(lambda data: base64.b64encode(data).decode()))
@settings(max_examples=30)
@pytest.mark.parametrize("name", ["avro", "protobuf"])
def test_any_text_is_a_schema_or_says_why_not(name: Literal["avro", "protobuf"], text: str) -> None:
    decoder = decoder_of(name)
    decoder.learn(1, Schema(decoder.kind, text))
    harmless(decoder.decode, frame(1, b"", b"\0"))


#: What could grow: counts of 2^62, items of one byte, texts of two, messages of none.
_HUGE = b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
BOMBS = [
    (AVRO, frame(2, b"\x80\x80\x80\x01" + b"\x00" * 250_000)),
    (AVRO, frame(2, _HUGE + b"\x00" * 250_000)),
    (AVRO, frame(2, b"\x02\x02" + _HUGE)),
    (AVRO, frame(2, b"\x00" * 21 + _HUGE + b"\x00" * 250_000)),
    (AVRO, frame(1, avro(json.loads(CLICK_AVSC), event(items=[{}] * 40_000)))),
    (AVRO, frame(1, avro(json.loads(CLICK_AVSC), event(properties={str(n): float("nan") for n in range(15_000)})))),
    (PROTOBUF, frame(2, b"\x0a\x00" * 125_000, b"\0")),
    (PROTOBUF, frame(2, b"\x0b" * 250_000, b"\0")),
    (PROTOBUF, frame(1, b"\x6a\x00" * 125_000, b"\0")),
]


@pytest.mark.parametrize(("decoder", "value"), BOMBS, ids=map(str, range(len(BOMBS))))
def test_a_hostile_value_is_held_within_200_times_its_bytes(decoder: RegistryDecoder, value: bytes) -> None:
    tracemalloc.start()
    try:
        with suppress(DeadLetter):
            decoder.decode(value)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200 * max(len(value), 5_000)
