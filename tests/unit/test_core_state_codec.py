"""State records: what is refused, what the marks hold, how large a record can get, and that sums saturate."""

from typing import Any

import msgspec
import pytest
from support.builders import click, partition, settle, source

from forestay.core.errors import StateError
from forestay.core.event import from_contract
from forestay.core.state_codec import (
    MARK_KEY,
    PartitionMark,
    decode_mark,
    decode_user,
    encode_mark,
    encode_user,
)
from forestay.core.units import DAY, HOUR, MINUTE
from forestay.core.user_state import MAX_CONTACTS, Contact, Score, UserState, apply_event
from forestay.core.windows import MAX_AMOUNT, SPEND, WINDOWS
from forestay_schemas import ClickEvent

MARK = PartitionMark({"clickstream": 7, "forestay-clock": 2}, 1_700_000_000_000, 5, 3)
#: No user's record is larger (bytes): every ring, list and text full, every number at its longest.
LARGEST = 64 * 1024
#: A steady customer of the shop's own kind: some hundred events over two months.
TYPICAL = 6 * 1024


def apply(state: UserState, **fields: Any) -> None:
    apply_event(state, from_contract(ClickEvent.model_validate(click(**fields))))


def reached() -> UserState:
    """Returns a state some events and a decision have led to."""
    core = partition()
    settle(core, [source(click(f"e{n}", event="purchase", ts=n * DAY, price=9.5), n) for n in range(6)])
    return core.users["u1"]


def test_a_state_survives_the_round_trip_to_the_byte() -> None:
    state = reached()
    record = encode_user(state)
    assert decode_user(record) == state
    assert encode_user(decode_user(record)) == record
    assert record[:1] == b"\x01"


def test_a_mark_survives_the_round_trip() -> None:
    assert decode_mark(encode_mark(MARK)) == MARK


@pytest.mark.parametrize("decode", [decode_user, decode_mark])
@pytest.mark.parametrize("record", [b"", b"\x00", b"\x02\x90", b"\xff" * 40, b"{}"])
def test_an_unknown_version_is_refused_by_its_number(decode: Any, record: bytes) -> None:
    with pytest.raises(StateError, match="has version"):
        decode(record)


def test_damaged_bytes_are_refused_wherever_they_are_cut() -> None:
    record = encode_user(reached())
    for end in range(1, len(record)):
        with pytest.raises(StateError, match="user state record cannot be read"):
            decode_user(record[:end])
    with pytest.raises(StateError, match="cannot be read"):
        decode_user(record + b"\x00")
    mark = encode_mark(MARK)
    for end in range(1, len(mark)):
        with pytest.raises(StateError, match="mark cannot be read"):
            decode_mark(mark[:end])


@pytest.mark.parametrize("content", [None, [], {}, "x", ["x"], [0, 1, 2, 3, 4, 5, "x"], [None] * 18, [2.5]])
def test_other_content_than_a_state_is_refused(content: Any) -> None:
    with pytest.raises(StateError, match="cannot be read"):
        decode_user(b"\x01" + msgspec.msgpack.encode(content))


def test_no_user_can_have_the_marks_key() -> None:
    assert not partition().apply([source(click(user_id="\x00mark"), 0)]).situations
    assert MARK_KEY.decode() == "\x00mark"


def fullest() -> UserState:
    """Returns a state with every ring, list and text as full and every number as long as they get."""
    state = UserState(partition=2**31 - 1, offset=2**62, duplicates=2**62)
    wide = {"item_id": "i", "category": "c", "country": "🐎" * 1_000, "timezone": "🐎" * 1_000}
    start = 200_000 * DAY
    for n in range(200):
        apply(state, event_id=f"e{n}", event="purchase", ts=start + n * HOUR, order_id=f"o{n}", price=1e9, **wide)
    full = dict.fromkeys(range(16), MAX_AMOUNT)
    state.rings = [{start // w.bucket + n: dict(full) for n in range(w.buckets)} for w in WINDOWS]
    state.totals = full
    state.contacts = [Contact(start, "🐎" * 200)] * MAX_CONTACTS
    state.score = Score(0.123456, start, "v" * 200)
    return state


def test_no_record_is_larger_than_its_bound() -> None:
    state = fullest()
    assert (len(state.event_ids), len(state.orders), len(state.steps)) == (128, 16, 64)
    assert len(encode_user(state)) <= LARGEST


def test_a_step_takes_74_bytes_at_most() -> None:
    state = fullest()
    with_steps = len(encode_user(state))
    step = state.steps.pop()
    longest = msgspec.msgpack.encode(
        msgspec.structs.replace(step, count=2**62, quantity=2**62, value=MAX_AMOUNT, dearest=MAX_AMOUNT)
    )
    assert with_steps - len(encode_user(state)) <= len(longest) <= 74


def test_rings_hold_no_more_buckets_than_their_windows() -> None:
    state = UserState(partition=0)
    for n in range(3_000):
        apply(state, event_id=f"e{n}", ts=n * 2 * MINUTE + n // 1_000 * 40 * DAY)
        assert all(len(ring) <= window.buckets for ring, window in zip(state.rings, WINDOWS, strict=True))


def test_a_steady_customers_record_is_small() -> None:
    state = UserState(partition=0)
    for n in range(120):
        apply(
            state, event_id=f"e{n}", event="purchase", ts=n * 12 * HOUR, order_id=f"o{n // 4}", price=3.2, item_id="i"
        )
    assert len(encode_user(state)) <= TYPICAL


def test_absurd_prices_and_quantities_saturate_and_never_leave_64_bits() -> None:
    state = UserState(partition=0)
    for n in range(200):
        apply(state, event_id=f"e{n}", event="purchase", ts=n, price=1e9, quantity=1_000_000)
    assert state.totals[SPEND] == MAX_AMOUNT
    assert {bucket[SPEND] for ring in state.rings for bucket in ring.values()} == {MAX_AMOUNT}
    assert state.steps[0].value == MAX_AMOUNT
    assert decode_user(encode_user(state)) == state


def test_a_rhythm_over_all_of_the_calendar_fits_64_bits() -> None:
    state = UserState(partition=0)
    for n, ts in enumerate([0, 31 * MINUTE, 253_370_764_799_999]):
        apply(state, event_id=f"e{n}", ts=ts)
    assert state.rhythm.gap_squares < 2**64
    assert decode_user(encode_user(state)) == state
    assert state.rhythm.gap_deviation() > 0
