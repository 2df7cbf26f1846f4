"""The frame: a zero byte, four bytes of id, and Protobuf's message indexes."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forestay.core.errors import DeadLetter
from forestay.formats.wire import HEADER, message_indexes, named_schema, schema_id


def test_a_framed_value_names_its_schema() -> None:
    assert schema_id(b"\x00\x00\x00\x01\x02payload") == 258
    assert named_schema(b"\x00\xff\xff\xff\xff") == 4_294_967_295


@pytest.mark.parametrize(
    "value", [b"", b"\x00", b"\x00\x00\x00\x01", b'{"event_id": "e1"}', b"\x01\x00\x00\x00\x01x"]
)
def test_what_is_not_framed_says_so(value: bytes) -> None:
    assert schema_id(value) is None
    with pytest.raises(DeadLetter) as caught:
        named_schema(value)
    assert caught.value.code == "not_framed"


@pytest.mark.parametrize(
    ("encoded", "indexes"),
    # From Confluent's documentation: [1, 0] is 4 2 0, [0] is 0 for short, and 2 0 in full.
    [(b"\x00", (0,)), (b"\x02\x00", (0,)), (b"\x04\x02\x00", (1, 0)), (b"\x02\xac\x02", (150,))],
)
def test_message_indexes_are_read_as_documented(encoded: bytes, indexes: tuple[int, ...]) -> None:
    value = b"\x00\x00\x00\x00\x01" + encoded + b"rest"
    assert message_indexes(value) == (indexes, HEADER + len(encoded))


@pytest.mark.parametrize(
    "encoded", [b"", b"\x02", b"\x80\x80\x80\x80\x80\x80\x01", b"\x01", b"\xfe\xff\xff\xff\x0f", b"\x80"]
)
def test_broken_message_indexes_are_dead_letters(encoded: bytes) -> None:
    with pytest.raises(DeadLetter) as caught:
        message_indexes(b"\x00\x00\x00\x00\x01" + encoded)
    assert caught.value.code == "not_framed"


@given(st.binary(max_size=64))
def test_any_bytes_are_a_frame_or_a_dead_letter(value: bytes) -> None:
    with suppress(DeadLetter):
        indexes, end = message_indexes(value)
        assert 1 <= len(indexes) <= 32
        assert HEADER < end <= len(value)
