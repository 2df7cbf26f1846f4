"""Fuzz: whatever bytes come, a record is an event or a dead letter, and an event stops nothing further on."""

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import (
    CLOCK_TOPIC,
    MODEL,
    START,
    TOPIC,
    answered,
    catalogue,
    click,
    encoded,
    offer,
    partition,
    restored,
    source,
    states,
    user,
)

from forestay.core.applied import Applied
from forestay.core.decoding.decode import MAX_FUTURE
from forestay.core.partition import Partition
from forestay.core.record import SourceRecord
from forestay.core.rules import Rules
from forestay_schemas import ClickEvent

SHOP = catalogue(
    offer("a", effect=1, expires_after_hours=8760, cost={"basket_share": 1}, eligibility={"triggers": ["silence"]}),
    offer("b", effect=0.5, eligibility={"countries": ["DE"]}),
    policy={"exploration": 1.0, "margin": 1.0, "value_days": 3650},
)
RULES = Rules(score_interval=0, dead_letter_limit=1.0)
FIELDS = sorted(ClickEvent.model_fields)
ITEMS: list[Any] = [
    *([{}], [None], [[]], [{"item_id": None}], [{"item_id": "i", "price": "1"}], [{"item_id": "i"}] * 200),
    *([{"item_id": "i"}] * 201, [{"item_id": "i", "quantity": 10**6, "price": 1e9}] * 200, {"item_id": "i"}),
]
EDGES: list[Any] = [
    *(None, True, False, 0, 1, -1, 10**18, 10**30, 1e-300, 1e9, 1.5, float("nan"), float("inf"), "", "x" * 5_000),
    *([], {}, [[[]]], {"a": {"b": [None]}}, "2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1970-01-01T00:00:00Z"),
    *(253_370_764_799_999, "purchase", "refund", "\u0000", "\ud800", "é", "DE", "NaN", "1", 1_000_000, *ITEMS),
]
#: No event in these is later than a quarter of an hour after START: the neighbour's are not too late.
STAMPS = st.sampled_from([-1, 0, START])
HOSTILE_STAMPS = st.sampled_from([-1, 0, START, 253_370_764_799_999, 2**63 - 1])
KEYS = st.sampled_from([b"u1", b"u2", b"", b"\xff", None])


@st.composite
def values(draw: st.DrawFn) -> bytes | None:
    """Returns a record's value: none, anything, or an event with a few fields spoilt and a few bytes damaged."""
    what = draw(st.integers(0, 9))
    if what < 2:
        return draw(st.binary(max_size=200)) if what else None
    event = click(user_id=draw(st.sampled_from(["u1", "u1", "u2"])), event="purchase", price=9.99)
    anything = st.one_of(st.sampled_from(EDGES), st.recursive(st.integers() | st.text(), st.lists, max_leaves=5))
    names = st.sampled_from(FIELDS) | st.text(max_size=5)
    event |= draw(st.dictionaries(names, anything, max_size=4))
    raw = json.dumps(event).encode()
    damage = draw(st.integers(0, 5))
    at = draw(st.integers(0, len(raw)))
    if damage == 0:
        return raw[:at] + draw(st.binary(max_size=3)) + raw[at + draw(st.integers(0, 3)) :]
    return raw[:at] if damage == 1 else raw


def through(core: Partition, records: list[SourceRecord]) -> Applied:
    """Takes records all the way, and the partition through its durable records."""
    applied = core.apply(TOPIC, records)
    answers = answered({s.decision_id: 0.9 for s in applied.situations})
    settled = core.settle(applied.situations, answers, MODEL)
    for output in (*settled.decisions, *settled.actions):
        output.model_dump_json()
    before = states(core, RULES)
    again = restored(core.checkpoint(0, 0), RULES, SHOP)
    assert states(again, RULES) == before
    return applied


def spoilt_among(
    neighbours: list[SourceRecord], spoilt: list[tuple[bytes | None, int, bytes | None]]
) -> tuple[list[SourceRecord], list[SourceRecord]]:
    """Returns all the records in the order of their offsets, and the spoilt ones."""
    bad = [source(value, 1 + 40 * n, key=key, timestamp=stamp) for n, (value, stamp, key) in enumerate(spoilt)]
    return sorted([*neighbours, *bad], key=lambda record: record.offset), bad


def neighbours(count: int = 3) -> list[SourceRecord]:
    """Returns the records of a user whom nothing that happens to others may touch."""
    return [source(click(f"n{n}", "neighbour", "purchase", price=5), 100 * n) for n in range(count)]


@given(st.lists(st.tuples(values(), STAMPS, KEYS), min_size=1, max_size=6))
def test_whatever_comes_is_an_event_or_a_dead_letter_and_a_neighbour_is_untouched(
    spoilt: list[tuple[bytes | None, int, bytes | None]],
) -> None:
    records, bad = spoilt_among(neighbours(), spoilt)
    core, alone = partition(RULES, SHOP), partition(RULES, SHOP)
    letters = through(core, records).dead_letters
    through(alone, neighbours())
    kept = [(record.key, record.value) for record in bad]
    assert all((letter.key, letter.value) in kept for letter in letters)
    counted = sum(user(core, name).applied + user(core, name).duplicates for name in core.users.ids())
    assert counted + len(letters) == len(records)
    # The clock is the partition's; all else of the neighbour is as if alone.
    beside, undisturbed = user(core, "neighbour"), user(alone, "neighbour")
    beside.seen_clock = undisturbed.seen_clock
    beside.offset = undisturbed.offset
    assert encoded(beside, RULES) == encoded(undisturbed, RULES)


@given(st.lists(st.tuples(values(), HOSTILE_STAMPS, KEYS), min_size=1, max_size=8))
def test_no_timestamp_stops_the_partition(spoilt: list[tuple[bytes | None, int, bytes | None]]) -> None:
    """A broker's timestamps may be wrong too, and time goes forward as far as they let it."""
    records, _ = spoilt_among(neighbours(4), spoilt)
    core = partition(RULES, SHOP)
    through(core, records)
    assert core.positions == {TOPIC: records[-1].offset + 1}


def _event(**more: Any) -> bytes:
    return json.dumps(click(**more)).encode()


def _nested(depth: int) -> bytes:
    return _event()[:-1] + b', "properties": ' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"


HOSTILE: Final[dict[str, bytes | None]] = {
    "tombstone": None,
    "empty": b"",
    "null": b"null",
    "a list": b"[" + _event() + b"]",
    "a text": json.dumps(_event().decode()).encode(),
    "two objects": _event() * 2,
    "byte order mark": b"\xef\xbb\xbf" + _event(),
    "UTF-16": _event().decode().encode("utf-16"),
    "invalid UTF-8": _event(item_name="?").replace(b"?", b"\xff\xfe"),
    "overlong UTF-8": _event(item_name="?").replace(b"?", b"\xc0\xaf"),
    "half a surrogate pair": _event(item_name="\ud800"),
    "control character in an id": _event(event_id="a\x00b"),
    "NaN": _event(price=float("nan")),
    "infinity": _event(price=float("-inf")),
    "a price beyond floats": _event().replace(b"}", b', "price": 1e400}'),
    "a time of 400 digits": _event().replace(str(START).encode(), b"1" * 400),
    "a quantity of 5,000 digits": _event().replace(b"}", b', "quantity": ' + b"9" * 5_000 + b"}"),
    "a time as text of digits": _event(ts=str(START)),
    "a time as float": _event(ts=float(START)),
    "a time before 1970": _event(ts=-1),
    "true for a quantity": _event(quantity=True),
    "an item too many": _event(items=[{"item_id": "i"}] * 201),
    "items beside an item": _event(item_id="i", items=[{"item_id": "i"}]),
    "nested 100,000 deep, unclosed": b"[" * 100_000,
    "nested 100,000 deep": _nested(100_000),
    "objects nested 5,000 deep": _nested(5_000),
    "nested in place of a name": _event(item_name=[[[[[["x"]]]]]]),
    "a string of 10 MB": _event(item_name="x" * 10_000_000),
    "a string of 900 kB": _event(item_name="x" * 900_000),
    "10 MB that are no JSON": b"\x00" * 10_000_000,
    "no user": json.dumps({"event_id": "e1", "event": "login", "ts": START}).encode(),
    "an unknown event": _event(event="teleport"),
    "everything null": json.dumps(dict.fromkeys(FIELDS)).encode(),
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_record_is_a_dead_letter_and_touches_nobody(value: bytes | None) -> None:
    core, alone = partition(RULES, SHOP), partition(RULES, SHOP)
    records, _ = spoilt_among(neighbours(), [(value, START, b"u1")])
    letters = through(core, records).dead_letters
    through(alone, neighbours())
    assert len(letters) == 1
    assert (value or b"").startswith(letters[0].value or b"")
    assert states(core, RULES) == states(alone, RULES)


@pytest.mark.parametrize("key", [None, b"", b"u2", b"neighbour", b"U1", b"u1 ", b"\xff\xfe", b"u1" * 100_000])
def test_an_event_under_another_key_is_a_dead_letter_of_neither(key: bytes | None) -> None:
    core, alone = partition(RULES, SHOP), partition(RULES, SHOP)
    records, _ = spoilt_among(neighbours(), [(_event(), START, key)])
    letters = through(core, records).dead_letters
    through(alone, neighbours())
    assert [dict(letter.headers)["forestay-error"] for letter in letters] == [b"wrong_key"]
    assert states(core, RULES) == states(alone, RULES)


def test_an_event_cut_off_anywhere_is_a_dead_letter() -> None:
    whole = _event(event="purchase", price=9.99, items=[], properties={"a": ["é"]})
    core = partition(RULES, SHOP)
    records = [source(whole[:length], length) for length in range(len(whole))]
    assert len(through(core, records).dead_letters) == len(whole)
    assert core.users.ids() == []


CLOCKS = st.sampled_from([*EDGES, START, START + 10**6, "2026-01-01T00:00:01Z"]).map(
    lambda ts: json.dumps({"ts": ts})
)


@given(st.lists(st.binary(max_size=60) | values() | CLOCKS.map(str.encode), min_size=1, max_size=6))
def test_whatever_comes_as_a_clock_record_is_a_time_or_a_dead_letter(clocks: list[bytes | None]) -> None:
    core = partition(RULES, SHOP)
    through(core, neighbours())
    before = core.clock
    core.apply(CLOCK_TOPIC, [SourceRecord(CLOCK_TOPIC, 0, n, START, None, value) for n, value in enumerate(clocks)])
    assert core.positions[CLOCK_TOPIC] == len(clocks)
    assert before <= core.clock <= START + MAX_FUTURE
    assert user(core, "neighbour").applied == 3
