"""The two decoders are one: what the fast one reads is what the contract reads, and the rest it leaves alone."""

import json
from typing import Any, Final

from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError
from support.builders import START, click
from support.histories import event

from forestay.core.decoding.fast_decode import fast_event
from forestay.core.event import Event, from_contract
from forestay_schemas import ClickEvent

FIELDS: Final = sorted(ClickEvent.model_fields)
MOMENTS: Final = [
    *(0, 1, START, 253_370_764_799_999, 253_370_764_800_000, -1, 1.0, 1e3, "0", "2026-01-01", "2026-01-01T00:00:00Z"),
    *("2026-01-01T00:00:00+01:00", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00.123456Z", "2026-01-01T00:00:00.1Z"),
    *("2026-01-01t00:00:00z", "2026-01-01T00:00:00", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "-001-01-01Z"),
    *("1969-12-31T23:59:59.999Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00Z", "20260101T000000Z"),
    *("2026-01-01T00:00:00.0009999Z", "2026-01-01T00:00:00-23:59", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"),
]
NUMBERS: Final = [
    *(0, 1, -1, 1.0, 1.5, 2.675, 1e9, 1e9 + 1, 1_000_000, 1_000_001, -0.0, 1e-320, True, "1", "", float("nan")),
    *(1e308, 10**20, [1], {}),
]
TEXTS: Final = [
    "",
    " ",
    "x",
    "é",
    "\u2028",
    "x" * 200,
    "x" * 201,
    "x" * 1_000,
    "x" * 1_001,
    "a\x1fb",
    "a\x7f",
    "\x00",
    1,
]


@st.composite
def values(draw: st.DrawFn) -> bytes:
    """Returns an event as JSON, with some fields from the edges of what the contract takes."""
    made = draw(event("e1", "u1", START))
    anything: st.SearchStrategy[Any] = st.sampled_from(
        [*TEXTS, *NUMBERS, None, "purchase", "USD", "usd", "Europe/Rome"]
    )
    made |= draw(st.dictionaries(st.sampled_from([*FIELDS, "else", "Event"]), anything, max_size=3))
    for name, edges in (("ts", MOMENTS), ("price", NUMBERS), ("quantity", NUMBERS), ("order_id", TEXTS)):
        if draw(st.integers(0, 5)) == 0:
            made[name] = draw(st.sampled_from(edges))
    if draw(st.integers(0, 5)) == 0:
        made["properties"] = draw(
            st.sampled_from([{}, {"a": 1}, {"a": "x" * 16_384}, [], "x", {"a": [float("inf")]}])
        )
    if draw(st.integers(0, 5)) == 0:
        item = draw(st.dictionaries(st.sampled_from(["item_id", "item_name", "price", "quantity", "x"]), anything))
        made["items"] = [item] * draw(st.sampled_from([1, 200, 201]))
    raw = json.dumps(made, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(raw)))
        raw = (
            raw[:at]
            + draw(st.sampled_from([b"", b" ", b"1", b"\xff", b"\x00", b'"', b"}", b'"event":"login",']))
            + raw[at:]
        )
    return raw


#: Named here: a compiled class has no list of its slots.
_FIELDS = (
    *("event_id", "user_id", "kind", "ts", "id_hash", "order", "counts", "moved_from", "value", "quantity"),
    *("items", "anonymous_id", "country", "timezone", "currency"),
)


def told(event: Event) -> list[object]:
    """Returns all that an event says."""
    return [
        [[getattr(line, name) for name in ("item", "category", "price", "quantity")] for line in event.items]
        if name == "items"
        else getattr(event, name)
        for name in _FIELDS
    ]


@given(values())
@example(json.dumps(click()).encode() + b"\n")
@example(b'{"event_id":"a","event_id":"b","user_id":"u","event":"login","ts":1}')
def test_what_the_fast_decoder_reads_is_what_the_contract_reads(value: bytes) -> None:
    fast = fast_event(value)
    try:
        reference = from_contract(ClickEvent.model_validate_json(value))
    except ValidationError:
        assert fast is None
    else:
        assert fast is None or told(fast) == told(reference)


@given(event("e1", "u1", START))
def test_an_ordinary_event_is_read_fast(made: dict[str, Any]) -> None:
    assert fast_event(json.dumps(made).encode()) is not None
