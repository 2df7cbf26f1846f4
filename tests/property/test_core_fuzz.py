"""Fuzz: whatever bytes come, a record is an event or a dead letter, and an event stops nothing further on."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.builders import MODEL, START, catalogue, click, offer, partition, source

from forestay.core.record import SourceRecord
from forestay.core.rules import Rules
from forestay.core.state_codec import decode_user, encode_user
from forestay_schemas import ClickEvent

SHOP = catalogue(
    offer("a", effect=1, expires_after_hours=8760, cost={"basket_share": 1}, eligibility={"triggers": ["silence"]}),
    offer("b", effect=0.5, eligibility={"countries": ["DE"]}),
    policy={"exploration": 1.0, "margin": 1.0, "value_days": 3650},
)
RULES = Rules(score_interval=0, dead_letter_limit=1.0)
FIELDS = sorted(ClickEvent.model_fields)
EDGES: list[Any] = [
    *(None, True, False, 0, 1, -1, 10**18, 10**30, 1e-300, 1e9, 1.5, float("nan"), float("inf"), "", "x" * 5_000),
    *([], {}, [[[]]], {"a": {"b": [None]}}, "2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1970-01-01T00:00:00Z"),
    *(253_370_764_799_999, "purchase", "refund", "\u0000", "\ud800", "é", "DE", "NaN", "1", 1_000_000),
]
STAMPS = st.sampled_from([-1, 0, START, 253_370_764_799_999, 2**63 - 1])


@st.composite
def values(draw: st.DrawFn) -> bytes:
    """Returns a record's value: anything, or an event with a few fields spoilt and a few bytes damaged."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    event = click(event="purchase", price=9.99)
    anything = st.one_of(st.sampled_from(EDGES), st.recursive(st.integers() | st.text(), st.lists, max_leaves=5))
    names = st.sampled_from(FIELDS) | st.text(max_size=5)
    event |= draw(st.dictionaries(names, anything, max_size=4))
    raw = json.dumps(event).encode()
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(raw)))
        raw = raw[:at] + draw(st.binary(max_size=3)) + raw[at + draw(st.integers(0, 3)) :]
    return raw


def through(records: list[SourceRecord]) -> tuple[dict[str, bytes], list[tuple[bytes | None, bytes | None]]]:
    """Takes records all the way, checkpoint included; returns the states and the dead letters."""
    core = partition(RULES, SHOP)
    applied = core.apply(records)
    settled = core.settle(applied.situations, dict.fromkeys((s.decision_id for s in applied.situations), 0.9), MODEL)
    for decision in settled.decisions:
        decision.model_dump_json()
    for action in settled.actions:
        action.model_dump_json()
    core.checkpoint(0, 0)
    states = {user: encode_user(state) for user, state in core.users.items()}
    assert all(encode_user(decode_user(state)) == state for state in states.values())
    return states, [(letter.key, letter.value) for letter in applied.dead_letters]


@given(st.lists(st.tuples(values(), STAMPS, st.sampled_from([b"u1", b"u2", None])), min_size=1, max_size=6))
def test_whatever_comes_is_an_event_or_a_dead_letter_and_a_neighbour_is_untouched(
    spoilt: list[tuple[bytes, int, bytes | None]],
) -> None:
    good = [source(click(f"n{n}", "neighbour", "purchase", price=5), 100 * n) for n in range(3)]
    bad = [source(value, 1 + 40 * n, key=key, timestamp=stamp) for n, (value, stamp, key) in enumerate(spoilt)]
    states, letters = through(sorted([*good, *bad], key=lambda record: record.offset))
    kept = [(record.key, record.value) for record in bad]
    assert all(letter in kept for letter in letters)
    counted = sum(decode_user(state).applied + decode_user(state).duplicates for state in states.values())
    assert counted + len(letters) == len(good) + len(bad)
    # A silence may come of another's clock; what the neighbour did is as if alone.
    alone, beside = decode_user(through(good)[0]["neighbour"]), decode_user(states["neighbour"])
    assert (alone.rings, alone.totals, alone.steps) == (beside.rings, beside.totals, beside.steps)
