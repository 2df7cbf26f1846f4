"""State records: what is refused, what the marks hold, how large a record can get, and that sums saturate."""

import gc
from sys import getsizeof
from types import FunctionType, ModuleType
from typing import Any

import msgspec
import pytest
from support.builders import START, Click, apply, click, encoded, feature, lived, partition, settle, source, user

from forestay.core.contact import MAX_CONTACTS, Contact, Score
from forestay.core.errors import StateError
from forestay.core.event import EVENT_NAMES, NEVER
from forestay.core.event_ids import MAX_IDS
from forestay.core.feature_set import DEFAULT_FEATURES, FEATURE_NAMES
from forestay.core.mark import PartitionMark
from forestay.core.state_codec import MARK_KEY, decode_mark, decode_user, encode_mark, encode_user, timer_minute
from forestay.core.units import DAY, HOUR, MAX_AMOUNT, MINUTE, SECOND
from forestay.core.user_state import MAX_ORDERS, UserState, features_of

MARK = PartitionMark({"clickstream": 7, "forestay-clock": 2}, 1_700_000_000_000, 5, 3, 1_699_000_000_000)
#: No user's record is larger (bytes): every ring, list and text full, every number at its longest.
LARGEST = 64 * 1024
#: A steady customer of the shop's own kind: some hundred events over two months.
TYPICAL = 4 * 1024


def read(record: bytes) -> UserState:
    return decode_user(record, DEFAULT_FEATURES)


def reached() -> UserState:
    """Returns a state some events and a decision have led to."""
    core = partition()
    settle(core, [source(click(f"e{n}", event="purchase", ts=START + n * DAY, price=9.5), n) for n in range(6)])
    return user(core)


def test_a_state_survives_the_round_trip_to_the_byte() -> None:
    state = reached()
    record = encoded(state)
    again = read(record)
    assert encoded(again) == record
    assert record[:1] == b"\x02"
    now = state.last_ts + DAY
    assert features_of(again, DEFAULT_FEATURES, now) == features_of(state, DEFAULT_FEATURES, now)


def test_the_timer_stands_in_front_of_the_record() -> None:
    state = reached()
    due = START + 20 * DAY + 59 * SECOND
    record = encode_user(state, DEFAULT_FEATURES, 0, 3 * DAY, due)
    assert timer_minute(record) == due // MINUTE == read(record).armed
    assert timer_minute(encoded(state)) == NEVER == read(encoded(state)).armed


def test_a_mark_survives_the_round_trip() -> None:
    assert decode_mark(encode_mark(MARK)) == MARK


def test_a_mark_of_version_1_knows_no_watermark() -> None:
    old = b"\x01" + msgspec.msgpack.encode([{"clickstream": 7}, 1_700_000_000_000, 5, 3])
    assert decode_mark(old) == PartitionMark({"clickstream": 7}, 1_700_000_000_000, 5, 3, NEVER)


@pytest.mark.parametrize("decode", [read, decode_mark])
@pytest.mark.parametrize("record", [b"", b"\x00", b"\x03\x90", b"\xff" * 40, b"{}"])
def test_an_unknown_version_is_refused_by_its_number(decode: Any, record: bytes) -> None:
    with pytest.raises(StateError, match="has version"):
        decode(record)


def test_damaged_bytes_are_refused_wherever_they_are_cut() -> None:
    record = encoded(reached())
    for end in range(1, len(record)):
        with pytest.raises(StateError, match="user state record cannot be read"):
            read(record[:end])
    with pytest.raises(StateError, match="cannot be read"):
        read(record + b"\x00")
    mark = encode_mark(MARK)
    for end in range(1, len(mark)):
        with pytest.raises(StateError, match="mark cannot be read"):
            decode_mark(mark[:end])


@pytest.mark.parametrize("version", [b"\x01", b"\x02\x00\x00\x00\x00"])
@pytest.mark.parametrize(
    "content", [None, [], {}, "x", ["x"], [0, 1, 2, 3, 4, 5, "x"], [None] * 17, [None] * 19, [2.5]]
)
def test_other_content_than_a_state_is_refused(version: bytes, content: Any) -> None:
    with pytest.raises(StateError, match="cannot be read"):
        read(version + msgspec.msgpack.encode(content))


def test_no_user_can_have_the_marks_key() -> None:
    assert not apply(partition(), [source(click(user_id="\x00mark"), 0)]).situations
    assert MARK_KEY.decode() == "\x00mark"


def fullest() -> UserState:
    """Returns a state with every ring, list and text as full and every number as long as they get."""
    start = 200_000 * DAY
    # In three hours a bucket of every ring has every kind; the rest of the month fills the long rings.
    moments = [start + n * HOUR // 2 for n in range(60 * 24)]
    moments += [moments[-1] + n * 25 * SECOND for n in range(1_600)]
    shop = [{"item_id": f"i{n}", "category": f"c{n}", "price": 1e9, "quantity": 1_000_000} for n in range(200)]
    clicks: list[Click] = []
    for n, ts in enumerate(moments):
        kind = str(EVENT_NAMES[n % len(EVENT_NAMES)])
        wide: dict[str, Any] = {"country": "🐎" * 1_000, "timezone": "🐎" * 1_000, "order_id": f"o{n}"}
        if n % 7 == 0 or n > len(moments) - 100:
            wide["items"] = shop[n % 150 : n % 150 + 50]
        clicks.append(click(f"e{n}", event=kind, ts=ts, **wide))
    state = lived(*clicks)
    state.offset = state.duplicates = 2**62
    state.contacts = [Contact(start, "🐎" * 200)] * MAX_CONTACTS
    state.score = Score(0.123456, start, "v" * 200)
    return state


def test_no_record_is_larger_than_its_bound() -> None:
    state = fullest()
    assert 0 < len(state.event_ids.new) <= MAX_IDS == len(state.event_ids.old)
    assert len(state.orders) == MAX_ORDERS
    record = encoded(state)
    assert 16 * 1024 < len(record) <= LARGEST
    assert encoded(read(record)) == record


def held(state: UserState) -> int:
    """Returns the bytes of what a state alone refers to."""
    shared = {id(family) for family in DEFAULT_FEATURES.families}
    waiting: list[object] = [state]
    seen, size = set[int](), 0
    while waiting:
        one = waiting.pop()
        if id(one) in seen or id(one) in shared or isinstance(one, type | ModuleType | FunctionType):
            continue
        seen.add(id(one))
        size += getsizeof(one)
        waiting.extend(gc.get_referents(one))
    return size


def test_a_live_state_does_not_grow_with_its_events() -> None:
    """Events every other minute for weeks, each of other items: what has expired is let go."""

    def busy(count: int) -> UserState:
        kinds = ["add_to_cart", "view_item"]
        items = [[{"item_id": f"i{n}-{k}", "category": f"c{n}"} for k in range(3)] for n in range(count)]
        return lived(
            *(click(f"e{n}", event=kinds[n % 2], ts=START + n * 2 * MINUTE, items=items[n]) for n in range(count))
        )

    few, many = held(busy(2_500)), held(busy(10_000))
    assert many < 1.5 * few
    assert many < 1_000_000


def test_a_steady_customers_record_is_small() -> None:
    bought: dict[str, Any] = {"event": "purchase", "price": 3.2, "item_id": "i"}
    state = lived(*(click(f"e{n}", ts=START + n * 12 * HOUR, order_id=f"o{n // 4}", **bought) for n in range(120)))
    assert len(encoded(state)) <= TYPICAL


def test_absurd_prices_and_quantities_saturate_and_never_leave_64_bits() -> None:
    absurd: dict[str, Any] = {"event": "purchase", "price": 1e9, "quantity": 1_000_000}
    state = lived(*(click(f"e{n}", ts=START + n, **absurd) for n in range(200)))
    for name in ("spend_total", *(name for name in FEATURE_NAMES if name.startswith("spend_"))):
        assert feature(state, name) == MAX_AMOUNT / 100, name
    assert encoded(read(encoded(state))) == encoded(state)


def test_a_rhythm_over_all_of_the_calendar_can_be_written() -> None:
    moments = [0, 31 * MINUTE, 253_370_764_799_999]
    state = lived(*(click(f"e{n}", ts=ts) for n, ts in enumerate(moments)))
    assert encoded(read(encoded(state))) == encoded(state)
    assert feature(state, "session_gap_deviation_hours") > 0
