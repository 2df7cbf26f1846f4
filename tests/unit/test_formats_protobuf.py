"""Protobuf: what each type becomes, messages by their indexes, imports, and what is said of broken values."""

import base64
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from support.framed import CLICK_PROTO, event, frame, message_class, protobuf

from forestay.core.errors import ConfigurationError, DeadLetter
from forestay.formats import protoc
from forestay.formats.protobuf import ProtobufDecoder
from forestay.formats.protoc import compiled
from forestay.formats.schema import Reference, Schema
from forestay_schemas import ClickEvent

FIRST = b"\x00"
TYPES = """
syntax = "proto3";
package shop;
import "google/protobuf/duration.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum EventName { EVENT_NAME_UNSPECIFIED = 0; EVENT_NAME_ADD_TO_CART = 1; }
message All {
  int64 big = 1;
  optional double zero = 2;
  double unset = 3;
  bytes raw = 4;
  EventName event = 5;
  repeated EventName events = 6;
  google.protobuf.Timestamp at = 7;
  google.protobuf.Duration took = 8;
  google.protobuf.Struct more = 9;
  google.protobuf.Value any = 10;
  google.protobuf.ListValue list = 11;
  google.protobuf.StringValue text = 12;
  google.protobuf.BytesValue bytes = 13;
  map<string, int32> counts = 14;
  map<bool, Inner> flags = 15;
  oneof either { string left = 16; string right = 17; }
  All within = 18;
  repeated Inner inners = 19;
  map<int64, EventName> by_number = 20;
  message Inner { string name = 1; }
}
message Second { map<string, string> a = 1; message Nested { string x = 1; } message Other { string y = 1; } }
"""


@pytest.fixture(scope="module")
def types() -> ProtobufDecoder:
    return decoder(TYPES)


@pytest.fixture(scope="module")
def clicks() -> ProtobufDecoder:
    return decoder(CLICK_PROTO)


def decoder(text: str, *references: Reference) -> ProtobufDecoder:
    made = ProtobufDecoder()
    made.learn(1, Schema("PROTOBUF", text, references))
    return made


def refused(made: ProtobufDecoder, value: bytes) -> tuple[str, str]:
    with pytest.raises(DeadLetter) as caught:
        made.decode(value)
    return caught.value.code, str(caught.value)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({"big": -(2**63)}, {"big": -(2**63)}),
        ({"zero": 0, "unset": 0}, {"zero": 0.0}),
        ({"raw": "AP8="}, {"raw": "AP8="}),
        ({"event": "EVENT_NAME_ADD_TO_CART"}, {"event": "add_to_cart"}),
        ({"event": 7}, {"event": 7}),
        ({"events": [1, 0]}, {"events": ["add_to_cart", "unspecified"]}),
        ({"at": "2026-01-01T12:00:00.123456Z"}, {"at": 1_767_268_800_123}),
        ({"took": "1.5s"}, {"took": 1.5}),
        ({"more": {"a": [1, 1.5, None, True, {"b": "c"}]}}, {"more": {"a": [1, 1.5, None, True, {"b": "c"}]}}),
        ({"any": "text"}, {"any": "text"}),
        ({"list": [1e300]}, {"list": [1e300]}),
        ({"text": ""}, {"text": ""}),
        ({"bytes": "AP8="}, {"bytes": "AP8="}),
        ({"counts": {"a": 1}}, {"counts": {"a": 1}}),
        ({"flags": {"true": {"name": "n"}}}, {"flags": {"true": {"name": "n"}}}),
        ({"by_number": {"-5": 1}}, {"by_number": {"-5": "add_to_cart"}}),
        ({"left": ""}, {"left": ""}),
        ({"within": {"within": {"big": 1}}}, {"within": {"within": {"big": 1}}}),
        ({"inners": [{"name": "a"}, {}]}, {"inners": [{"name": "a"}, {}]}),
        ({}, {}),
    ],
)
def test_types_become_what_json_has(types: ProtobufDecoder, sent: dict[str, Any], read: dict[str, Any]) -> None:
    assert types.to_dict(frame(1, protobuf(TYPES, "shop.All", sent), FIRST)) == read


@pytest.mark.parametrize(
    ("indexes", "name", "sent"),
    [
        (b"\x02\x00", "shop.All", {"big": 1}),
        (b"\x04\x00\x00", "shop.All.Inner", {"name": "a"}),
        (b"\x02\x02", "shop.Second", {"a": {"k": "v"}}),
        # protoc makes a message of the map before them; it is not counted.
        (b"\x04\x02\x00", "shop.Second.Nested", {"x": "a"}),
        (b"\x04\x02\x02", "shop.Second.Other", {"y": "a"}),
    ],
)
def test_the_indexes_say_which_message(
    types: ProtobufDecoder, indexes: bytes, name: str, sent: dict[str, Any]
) -> None:
    assert types.to_dict(frame(1, protobuf(TYPES, name, sent), indexes)) == sent


def test_indexes_that_lead_nowhere_are_a_dead_letter(types: ProtobufDecoder) -> None:
    assert refused(types, frame(1, b"", b"\x04\x02\x04")) == (
        "not_protobuf",
        "the schema has no message with the indexes [1, 2]",
    )


def test_imports_come_by_reference() -> None:
    identity = Reference("shop/id.proto", 'syntax = "proto3"; package shop; message Id { string x = 1; }')
    item = Reference(
        "shop/item.proto",
        'syntax = "proto3"; package shop; import "shop/id.proto"; message Item { Id id = 1; }',
    )
    root = 'syntax = "proto3"; import "shop/item.proto"; message Root { repeated shop.Item items = 1; }'
    value = frame(1, b"\x0a\x05\x0a\x03\x0a\x01a", FIRST)
    assert decoder(root, identity, item).to_dict(value) == {"items": [{"id": {"x": "a"}}]}


def serialized(text: str, *references: Reference) -> str:
    """Returns what Confluent's Python serializer registers: the descriptor in base64."""
    return base64.b64encode(compiled(Schema("PROTOBUF", text, references))[-1].SerializeToString()).decode()


@pytest.mark.parametrize("reference_is_text", [True, False])
def test_a_schema_may_come_as_its_descriptor(*, reference_is_text: bool) -> None:
    item = 'syntax = "proto3"; package shop; message Item { string x = 1; }'
    root = (
        'syntax = "proto3"; import "shop/item.proto"; import "google/protobuf/timestamp.proto";'
        " message Root { shop.Item item = 1; google.protobuf.Timestamp ts = 2; }"
    )
    reference = Reference("shop/item.proto", item)
    text = serialized(root, reference)
    given = reference if reference_is_text else Reference(reference.name, serialized(item))
    value = frame(1, b"\x0a\x03\x0a\x01a\x12\x02\x08\x05", FIRST)
    assert decoder(text, given).to_dict(value) == {"item": {"x": "a"}, "ts": 5_000}


def test_a_descriptor_whose_import_is_missing_says_which() -> None:
    item = Reference("shop/item.proto", 'syntax = "proto3"; message Item {}')
    text = serialized('syntax = "proto3"; import "shop/item.proto"; message Root { Item item = 1; }', item)
    assert "shop/item.proto" in refused(decoder(text), frame(1, b"", FIRST))[1]


def test_a_descriptor_of_types_that_are_not_there_is_refused() -> None:
    file = FileDescriptorProto(name="a.proto", syntax="proto3")
    field = file.message_type.add(name="A").field.add(name="x", number=1, label=1, type=11)
    field.type_name = ".shop.Missing"
    text = base64.b64encode(file.SerializeToString()).decode()
    code, said = refused(decoder(text), frame(1, b"", FIRST))
    assert (code, "do not fit together" in said) == ("unusable_schema", True)


def test_a_compiler_that_does_not_end_says_nothing_about_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protoc, "_SECONDS", 0.0001)
    with pytest.raises(ConfigurationError, match="grpcio-tools"):
        decoder(CLICK_PROTO)


def test_options_may_hold_any_bytes() -> None:
    text = 'syntax = "proto3"; option java_package = "\\xff"; message A { string x = 1; }'
    assert decoder(text).to_dict(frame(1, b"\x0a\x01a", FIRST)) == {"x": "a"}


def test_two_versions_of_a_schema_live_beside_each_other() -> None:
    made = decoder('syntax = "proto3"; package shop; message A { string old = 1; }')
    made.learn(2, Schema("PROTOBUF", 'syntax = "proto3"; package shop; message A { string new = 1; }'))
    assert made.to_dict(frame(1, b"\x0a\x01a", FIRST)) == {"old": "a"}
    assert made.to_dict(frame(2, b"\x0a\x01a", FIRST)) == {"new": "a"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("syntax", "does not compile"),
        ('syntax = "proto3"; import "shop/missing.proto"; message A {}', "shop/missing.proto"),
        ('syntax = "proto3"; message A { Missing x = 1; }', "Missing"),
    ],
)
def test_a_text_that_does_not_compile_makes_dead_letters_that_say_why(text: str, reason: str) -> None:
    code, said = refused(decoder(text), frame(1, b"", FIRST))
    assert code == "unusable_schema"
    assert reason in said
    assert "forestay-protoc-" not in said


@pytest.mark.parametrize(
    "name", ["../out.proto", "/out.proto", "a/../../out.proto", "", "a\0b", "x" * 5_000, "\ud800"]
)
def test_a_reference_never_leaves_its_folder(name: str) -> None:
    made = decoder('syntax = "proto3"; message A {}', Reference(name, 'syntax = "proto3";'))
    assert refused(made, frame(1, b"", FIRST))[0] == "unusable_schema"


def test_a_file_without_messages_has_no_first_one() -> None:
    assert refused(decoder('syntax = "proto3"; package shop;'), frame(1, b"", FIRST))[0] == "not_protobuf"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"{}", "not_framed"),
        (frame(1, b""), "not_framed"),
        (frame(2, b"", FIRST), "unknown_schema"),
        (frame(1, b"\x0a\xff\xff\xff\xff\x0f", FIRST), "not_protobuf"),
        (frame(1, b"\x0a\x02\xff\xff", FIRST), "not_protobuf"),
        (frame(1, b"", FIRST), "contract"),
        (frame(1, protobuf(CLICK_PROTO, "forestay.ClickEvent", {"event_id": "e"}), FIRST), "contract"),
    ],
)
def test_a_broken_value_is_a_dead_letter_with_its_reason(clicks: ProtobufDecoder, value: bytes, code: str) -> None:
    assert refused(clicks, value)[0] == code


def test_messages_in_messages_end_with_the_parser(types: ProtobufDecoder) -> None:
    payload = b""
    for _ in range(3_000):
        payload = b"\x92\x01" + _varint(len(payload)) + payload
    assert refused(types, frame(1, payload, FIRST))[0] == "not_protobuf"


def test_text_of_proto2_that_is_not_utf_8_is_a_dead_letter() -> None:
    made = decoder('syntax = "proto2"; message A { optional string event_id = 1; }')
    assert refused(made, frame(1, b"\x0a\x02\xff\xff", FIRST))[0] == "not_protobuf"


def test_extensions_of_proto2_are_no_fields_of_the_message() -> None:
    text = (
        'syntax = "proto2"; message A { optional int32 x = 1; '
        "extensions 100 to 199; } "
        "extend A { optional int32 y = 100; }"
    )
    assert decoder(text).to_dict(frame(1, b"\x08\x01\xa0\x06\x02", FIRST)) == {"x": 1}


def test_the_shipped_schema_is_read_into_an_event(clicks: ProtobufDecoder) -> None:
    message = message_class(CLICK_PROTO, "forestay.ClickEvent")(event_id="e1", user_id="u1", event="page_view")
    message.ts.FromMilliseconds(1_767_225_600_000)
    assert clicks.decode(frame(1, message.SerializeToString(), FIRST)) == ClickEvent.model_validate(event())


def _varint(number: int) -> bytes:
    encoded = b""
    while number > 0x7F:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])
