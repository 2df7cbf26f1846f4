"""The fast decoders never read a record otherwise than the contract: what they take, the contract takes alike."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.builders import START, Click, click

from forestay.core.decoding.fast_decode import fast_event
from forestay.core.decoding.flat_decode import flat_event
from forestay.core.decoding.timestamps import UNKNOWN, parse_usual
from forestay.core.event import Event, from_contract
from forestay.core.units import to_milliseconds
from forestay_schemas import ClickEvent, ClockRecord, EventName

FIELDS = sorted(ClickEvent.model_fields)
MANY = settings(max_examples=3_000)

#: JSON texts as they stand in a record: odd numbers, odd texts, and what is no JSON at all.
ODD_TEXTS = [
    *(
        "null",
        "true",
        "false",
        "0",
        "1",
        "-1",
        "-0",
        "-0.0",
        "1.0",
        "1e0",
        "1.5",
        "2.5",
        "100",
        "100.0",
        "1e2",
        "1e-400",
    ),
    *("1e9", "1000000000.0", "1000000000.0000001", "1e999", "-1e999", "1" * 25, "1" * 320, "0.1", "01", "+1", ".5"),
    *("NaN", "Infinity", "-Infinity", "nan", "undefined", "1000000", "1000001", "1000000.0", "9007199254740993"),
    *(
        '""',
        '" "',
        '"x"',
        '"\\u0000"',
        '"\\u001f"',
        '"\\n"',
        '"a\\nb"',
        '"\\ud800"',
        '"\\uD83D\\uDC0E"',
        '"🐎"',
        '"é"',
    ),
    *(
        '"\\u00ad"',
        '"\u00ad"',
        '"\u200b"',
        '"\ufeff"',
        '"\u2028"',
        '"\u00a0"',
        '"\\/"',
        '"\\q"',
        '"\t"',
        '"DE"',
        '"EUR"',
    ),
    *(
        '"eur"',
        '"ÄÖÜ"',
        '"ABCD"',
        '"\uff25\uff35\uff32"',
        '"1"',
        '"1.5"',
        '" 1"',
        '"1e3"',
        '"NaN"',
        '"true"',
        '"purchase"',
    ),
    *('"PURCHASE"', '"page_view "', "[]", "{}", "[[]]", "[null]", "[{}]", '[{"item_id":"i"}]', '{"item_id":"i"}'),
    *('[{"item_name":""}]', '[{"item_name":"n","item_id":null}]', '[{"item_id":"i","price":1e999}]', '["i"]'),
    *('[{"item_id":"i","more":[NaN]}]', '[{"item_id":"i","item_id":""}]', '[{"brand":"b"}]', "[" * 70 + "]" * 70),
    *('{"a":1e999}', '{"a":NaN}', '{"a":"\\ud800"}', '{"a":{"a":[null]}}', '{"a":1,"a":2}', '{"\\ud800":1}'),
    *('"' + "x" * length + '"' for length in (200, 201, 1_000, 1_001, 2_000)),
    *('"2026-01-01T00:00:00Z"', '"2026-01-01T00:00:00.5Z"', '"2026-01-01T00:00:60Z"', '"1767225600000"'),
    *("1767225600000", "1767225600000.0", "1767225600000.5", "253370764799999", "253370764800000", "-1.0"),
]
STRATEGY_OF_TEXTS = st.sampled_from(ODD_TEXTS) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
).map(json.dumps)


def numbers(event: Event) -> tuple[Any, ...]:
    """Everything an event holds."""
    items = [(line.item, line.category, line.price, line.quantity) for line in event.items]
    ids = (event.event_id, event.user_id, event.anonymous_id, event.id_hash, event.order)
    sums = (event.kind, event.ts, event.value, event.quantity, event.counts, event.moved_from)
    return (*ids, *sums, event.country, event.timezone, event.currency, items)


def contract(value: bytes) -> ClickEvent | None:
    with suppress(ValidationError):
        return ClickEvent.model_validate_json(value)
    return None


def check(value: bytes) -> bool:
    """Asserts that both decoders read `value` as the contract does or leave it; returns whether the first read it."""
    judged = contract(value)
    key = b"u1" if judged is None else judged.user_id.encode()
    fast, flat = fast_event(value), flat_event(value, key)
    for event in (fast, flat):
        if event is not None:
            assert judged is not None, value
            assert numbers(event) == numbers(from_contract(judged)), value
    assert flat is None or flat_event(value, key + b"x") is flat_event(value, key[1:]) is None
    return fast is not None


def text_of(fields: list[tuple[str, str]], space: str) -> bytes:
    return (
        "{" + space + f",{space}".join(f"{json.dumps(name)}:{space}{text}" for name, text in fields) + "}"
    ).encode(errors="surrogatepass")


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """Returns an event with some fields replaced, added, doubled, and now and then a few bytes damaged."""
    names = st.sampled_from([*FIELDS, "unknown", "Ts", "é"]) | st.text(max_size=3)
    base = click() | {"ts": draw(st.sampled_from([START, "2026-01-01T00:00:00Z"]))}
    fields = [(name, json.dumps(value)) for name, value in base.items()]
    for name, text in draw(st.lists(st.tuples(names, STRATEGY_OF_TEXTS), max_size=4)):
        if draw(st.integers(0, 3)):
            fields = [(other, kept) for other, kept in fields if other != name]
        fields.insert(draw(st.integers(0, len(fields))), (name, text))
    value = text_of(fields, draw(st.sampled_from(["", " ", "\n\t"])))
    if draw(st.integers(0, 5)) == 0:
        at = draw(st.integers(0, len(value)))
        value = value[:at] + draw(st.binary(max_size=2)) + value[at + draw(st.integers(0, 2)) :]
    return value


@MANY
@given(spoilt())
@example(text_of([(name, json.dumps(value)) for name, value in click(brand="b").items()], ""))
@example(text_of([(name, json.dumps(value)) for name, value in click(items=None).items()], ""))
def test_what_it_takes_the_contract_takes_with_the_same_event(value: bytes) -> None:
    check(value)


@pytest.mark.parametrize("name", [*FIELDS, "unknown"])
def test_each_odd_text_in_each_field_is_read_alike(name: str) -> None:
    fields = {field: json.dumps(value) for field, value in click().items()}
    for text in ODD_TEXTS:
        check(text_of(list((fields | {name: text}).items()), ""))
        # And beside a right one, before and after it.
        check(text_of([(name, text), *fields.items()], ""))
        check(text_of([*fields.items(), (name, text)], ""))


_TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
_NAMED = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=40)
_PRICE = st.floats(0, 1e9) | st.integers(0, 10**9)
_ITEM = st.fixed_dictionaries(
    {"item_id": _NAMED},
    optional={
        "item_name": _TEXT,
        "category": _TEXT,
        "brand": _TEXT,
        "price": _PRICE,
        "quantity": st.integers(1, 10**6),
    },
)


@st.composite
def valid(draw: st.DrawFn) -> Click:
    """Returns a valid event."""
    event = click(
        draw(_NAMED),
        draw(_NAMED),
        draw(st.sampled_from(EventName)),
        draw(st.integers(0, 253_370_764_799_999)),
        **draw(
            st.fixed_dictionaries(
                {},
                optional={
                    **dict.fromkeys(("session_id", "anonymous_id", "order_id"), _NAMED),
                    **dict.fromkeys(("query", "channel", "device", "country", "timezone"), _TEXT),
                    "currency": st.sampled_from(["EUR", "GBP"]),
                    "rating": st.floats(0, 100),
                    "properties": st.dictionaries(_TEXT, _TEXT | st.integers(-9, 9), max_size=2),
                    "utm": _TEXT,
                },
            )
        ),
    )
    if draw(st.booleans()):
        return event | {"items": draw(st.lists(_ITEM, min_size=1, max_size=4))}
    return event | draw(_ITEM)


@MANY
@given(valid(), st.booleans())
def test_it_takes_what_is_usual(event: Click, ascii_only: bool) -> None:
    value = json.dumps(event, ensure_ascii=ascii_only).encode()
    # Surrogate pairs as escapes and long values are left to the contract.
    assert check(value) or b"\\ud" in value or len(value) > 2_700
    assert contract(value) is not None


_FLAT = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("session_id", "anonymous_id", "order_id", "item_id"), _NAMED),
        **dict.fromkeys(("item_name", "category", "brand", "query", "channel", "device", "country", "utm"), _NAMED),
        "price": st.integers(0, 10**11).map(lambda hundredths: hundredths / 100),
        "quantity": st.integers(1, 10**6) | st.none(),
        "rating": st.integers(0, 100),
        "currency": st.sampled_from(["EUR", "GBP"]) | st.none(),
        "vip": st.booleans(),
    },
)


@MANY
@given(
    st.builds(click, _NAMED, _NAMED, st.sampled_from(EventName), st.integers(0, 253_370_764_799_999)),
    _FLAT,
    st.booleans(),
)
def test_the_flat_one_takes_flat_events_in_ascii(named: Click, more: Click, compact: bool) -> None:
    event = {name: value for name, value in named.items() if name not in more} | more
    value = json.dumps(event, separators=(",", ":") if compact else None).encode()
    check(value)
    # Longer names of events are left to the other.
    assert flat_event(value, event["user_id"].encode()) or len(event["event"]) > 16 or len(value) > 2_700


def test_properties_beyond_their_bound_are_found_in_flat_events_too() -> None:
    fields = [(name, json.dumps(value)) for name, value in click().items()]
    for count in (1, 5, 9, 20):
        # DEL takes a byte here, and six where the contract measures it.
        check(text_of([*fields, *[(f"unknown{at}", '"' + "\x7f" * 1_000 + '"') for at in range(count)]], ""))
        check(text_of([*fields, *[(f"unknown{at}", '"' + "x" * 1_000 + '"') for at in range(count)]], ""))


@pytest.mark.parametrize("count", [199, 200, 201])
def test_the_bound_on_items_is_the_contracts(count: int) -> None:
    value = json.dumps(click(items=[{"item_id": "i"}] * count)).encode()
    check(value)
    assert (contract(value) is not None) == (count <= 200)


@pytest.mark.parametrize("depth", [1, 10, 60, 70, 190, 210, 1_000])
def test_deep_nesting_where_nobody_looks_is_judged_alike(depth: int) -> None:
    for inner in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
        check(json.dumps(click()).encode()[:-1] + b',"unknown":' + inner.encode() + b"}")
        check(json.dumps(click()).encode()[:-1] + b',"properties":{"a":' + inner.encode() + b"}}")


def judged(text: str) -> int | None:
    """The milliseconds of a time by the contract, None if it refuses."""
    with suppress(ValidationError):
        return to_milliseconds(ClockRecord.model_validate({"ts": text}).ts)
    return None


def read(text: str) -> int:
    """What the core reads of a time that stands between others."""
    among = f'"{text}"2026'.encode()
    return parse_usual(among, 1, len(among) - 5)


_DIGITS = st.text("0123456789", min_size=1, max_size=5)
_USUAL = st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z")
_SHAPED = st.builds(
    lambda y, mo, d, h, mi, s, f, sep, end: f"{y}-{mo}-{d}{sep}{h}:{mi}:{s}{f}{end}",
    st.integers(0, 9_999).map(lambda n: f"{n:04d}"),
    *[st.integers(0, most).map(lambda n: f"{n:02d}") for most in (13, 32, 25, 61, 61)],
    _DIGITS.map(lambda digits: f".{digits}") | st.just(""),
    st.sampled_from(["T", "t", " ", "_"]),
    st.sampled_from(["Z", "z", "", "+00:00", "Z "]),
)


@MANY
@given(
    _USUAL
    | _USUAL.map(lambda text: text[:19] + "Z")
    | _SHAPED
    | st.text("0123456789-:TZ. ٣", min_size=19, max_size=24)
)
@example("2016-12-31T23:59:60Z")
@example("2026-02-29T00:00:00Z")
@example("٢٠٢٦-01-01T00:00:00Z")
@example("1969-12-31T23:59:59.999Z")
@example("2026-04-31T00:00:00Z")
@example("2026-06-31T00:00:00Z")
@example("2026-09-31T00:00:00Z")
@example("2026-11-31T00:00:00Z")
@example("2100-02-29T00:00:00Z")
@example("2000-02-29T00:00:00Z")
def test_times_are_read_as_the_contract_reads_them(text: str) -> None:
    milliseconds = read(text)
    if milliseconds != UNKNOWN:
        assert judged(text) == milliseconds


def test_usual_times_are_read() -> None:
    for text, milliseconds in (("2026-01-01T00:00:00Z", START), ("2026-01-01T23:59:59.999Z", START + 86_399_999)):
        assert read(text) == milliseconds
    for minute in range(3_000):
        text = f"2026-01-{1 + minute // 1_440:02d}T{minute // 60 % 24:02d}:{minute % 60:02d}:07Z"
        assert read(text) == START + minute * 60_000 + 7_000
