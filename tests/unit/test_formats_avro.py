"""Avro: what each type becomes, which schemas are refused, and what is said of broken values."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from support.framed import CLICK_AVSC, avro, event, frame

from forestay.core.errors import DeadLetter
from forestay.formats.avro import AvroDecoder
from forestay.formats.schema import Reference, Schema
from forestay_schemas import ClickEvent

NOON = datetime(2026, 1, 1, 12, 0, 0, 123_456, tzinfo=UTC)


def decoder(schema: Any, *references: Reference) -> AvroDecoder:
    """Returns a decoder that knows `schema` as number 1."""
    made = AvroDecoder()
    made.learn(1, Schema("AVRO", schema if isinstance(schema, str) else json.dumps(schema), references))
    return made


def record(**types: Any) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": [{"name": name, "type": type_} for name, type_ in types.items()]}


def refused(made: AvroDecoder, value: bytes) -> tuple[str, str]:
    with pytest.raises(DeadLetter) as caught:
        made.decode(value)
    return caught.value.code, str(caught.value)


@pytest.mark.parametrize(
    ("avro_type", "written", "read"),
    [
        ({"type": "long", "logicalType": "timestamp-millis"}, NOON, 1_767_268_800_123),
        ({"type": "long", "logicalType": "timestamp-micros"}, NOON, 1_767_268_800_123),
        ({"type": "long", "logicalType": "timestamp-nanos"}, 1_767_268_800_123_456_789, 1_767_268_800_123),
        (
            {"type": "long", "logicalType": "local-timestamp-millis"},
            NOON.replace(tzinfo=None),
            "2026-01-01T12:00:00.123",
        ),
        (
            {"type": "long", "logicalType": "local-timestamp-micros"},
            NOON.replace(tzinfo=None),
            "2026-01-01T12:00:00.123",
        ),
        ({"type": "int", "logicalType": "date"}, date(2026, 1, 31), "2026-01-31"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, Decimal("12.99"), 12.99),
        ({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, Decimal("-0.05"), -0.05),
        (
            {"type": "fixed", "name": "F", "size": 8, "logicalType": "decimal", "precision": 9, "scale": 4},
            Decimal("1.2345"),
            1.2345,
        ),
        ({"type": "string", "logicalType": "uuid"}, UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        ({"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"}, UUID(int=7).bytes, str(UUID(int=7))),
        ("bytes", b"\x00\xff", "AP8="),
        ({"type": "fixed", "name": "F", "size": 2}, b"\x00\xff", "AP8="),
        ({"type": "enum", "name": "E", "symbols": ["view_item", "login"]}, "login", "login"),
        (["null", "string", "long"], 7, 7),
        (["null", {"type": "array", "items": ["null", "double"]}], [1.5, None], [1.5, None]),
        ({"type": "map", "values": "boolean"}, {"a": True}, {"a": True}),
        ({"type": "string", "logicalType": "not-known"}, "text", "text"),
    ],
)
def test_types_become_what_json_has(avro_type: Any, written: Any, read: Any) -> None:
    schema = record(x=avro_type)
    assert decoder(schema).to_dict(frame(1, avro(schema, {"x": written}))) == {"x": read}


def test_a_field_that_is_null_counts_as_left_out() -> None:
    schema = json.loads(CLICK_AVSC)
    sent = event(event="purchase", price=12.5, order_id="o")
    assert decoder(CLICK_AVSC).decode(frame(1, avro(schema, sent))) == ClickEvent.model_validate(sent)


def test_names_of_other_records_come_by_reference_each_after_its_own() -> None:
    item = {"type": "record", "name": "shop.Item", "fields": [{"name": "id", "type": "shop.Id"}]}
    identity = {"type": "record", "name": "shop.Id", "fields": [{"name": "x", "type": "string"}]}
    root = record(first="shop.Item", second=["null", "shop.Item"])
    references = [Reference("shop.Id", json.dumps(identity)), Reference("shop.Item", json.dumps(item))]
    one = {"id": {"x": "a"}}
    value = frame(1, b"\x02a\x02\x02b")
    assert decoder(root, *references).to_dict(value) == {"first": one, "second": {"id": {"x": "b"}}}


def test_several_events_in_one_topic_are_a_union_at_the_top() -> None:
    names = [Reference(name, json.dumps(record(x="long") | {"name": name})) for name in ("a.A", "a.B")]
    assert decoder(["a.A", "a.B"], *names).to_dict(frame(1, b"\x02\x0e")) == {"x": 7}


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("{", "no Avro schema"),
        ("null", "no Avro schema"),
        ('{"type": "record"}', "no Avro schema"),
        (record(x="shop.NotThere"), "shop.NotThere"),
        (record(x={"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 10**9}), "no Avro schema"),
        (record(next=["null", "R"]), "R holds itself"),
        (record(x={"type": "array", "items": "null"}), "any number"),
        (record(x={"type": "array", "items": {"type": "record", "name": "E", "fields": []}}), "any number"),
        (record(x={"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}), "any number"),
        (
            record(x={"type": "array", "items": record(a="int", **dict.fromkeys("bcdefgh", "null")) | {"name": "E"}}),
            "any",
        ),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_schema_that_cannot_be_used_makes_dead_letters_that_say_why(schema: Any, reason: str) -> None:
    code, said = refused(decoder(schema), frame(1, b"\x00" * 20))
    assert code == "unusable_schema"
    assert "schema 1 cannot be used" in said
    assert reason in said


def test_a_type_may_be_written_in_its_own_braces() -> None:
    assert decoder(record(x={"type": {"type": "string"}})).to_dict(frame(1, b"\x02a")) == {"x": "a"}


def test_records_in_records_by_the_thousand_are_refused() -> None:
    records = [record(x=f"N{level - 1}" if level else "int") | {"name": f"N{level}"} for level in range(2_000)]
    chain = [Reference(each["name"], json.dumps(each)) for each in records]
    code, said = refused(decoder(record(x="N1999"), *chain), frame(1, b"\x00"))
    assert (code, "nested too deeply" in said) == ("unusable_schema", True)


def test_nulls_by_the_million_need_a_schema_that_is_refused() -> None:
    doubling = [Reference("N0", json.dumps({"type": "record", "name": "N0", "fields": []}))]
    for level in range(1, 40):
        fields = [{"name": side, "type": f"N{level - 1}"} for side in "ab"]
        doubling.append(Reference(f"N{level}", json.dumps({"type": "record", "name": f"N{level}", "fields": fields})))
    code, said = refused(decoder(record(x="N39"), *doubling), frame(1, b""))
    assert (code, "millions of nulls" in said) == ("unusable_schema", True)


def test_a_value_of_another_kind_than_the_topic_is_refused() -> None:
    made = AvroDecoder()
    made.learn(1, Schema("PROTOBUF", 'syntax = "proto3";'))
    assert refused(made, frame(1, b"")) == ("unusable_schema", "schema 1 is of type PROTOBUF; AVRO is read here")


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"{}", "not_framed"),
        (frame(2, b"\x00"), "unknown_schema"),
        (frame(1, b""), "not_avro"),
        (frame(1, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "not_avro"),
        (frame(1, avro(json.loads(CLICK_AVSC), event()) + b"\x00"), "not_avro"),
        (frame(1, avro(json.loads(CLICK_AVSC), event())[:-1]), "not_avro"),
        (frame(1, avro(json.loads(CLICK_AVSC), event(event="no_such"))), "contract"),
        (frame(1, avro(json.loads(CLICK_AVSC), event(ts=-1))), "contract"),
        (frame(1, avro(json.loads(CLICK_AVSC), event(price=float("nan")))), "contract"),
    ],
)
def test_a_broken_value_is_a_dead_letter_with_its_reason(value: bytes, code: str) -> None:
    said, reason = refused(decoder(CLICK_AVSC), value)
    assert said == code
    assert reason


@pytest.mark.parametrize("at_the_top", ["string", ["null", "int"], {"type": "array", "items": "int"}])
def test_a_value_that_is_no_record_breaks_the_contract(at_the_top: Any) -> None:
    assert refused(decoder(json.dumps(at_the_top)), frame(1, b"\x00"))[0] == "contract"


def test_a_decimal_of_a_megabyte_is_not_converted() -> None:
    schema = record(x={"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2})
    value = frame(1, avro(record(x="bytes"), {"x": b"\x7f" * 1_000_000}))
    assert refused(decoder(schema), value)[0] == "not_avro"


def test_what_is_missing_is_named_once_and_known_once_learnt() -> None:
    made = decoder(CLICK_AVSC)
    values = [frame(1, b""), frame(2, b"x"), None, b"not framed", frame(3, b""), frame(2, b"")]
    assert made.missing(values) == {2, 3}
    made.learn(2, Schema("JSON", "{}"))
    assert made.missing(values) == {3}
