"""State records: what is refused, what the marks hold, how large a record can get, and that sums saturate."""

import gc
import struct
from sys import getsizeof
from types import FunctionType, ModuleType
from typing import Any

import msgspec
import pytest
from support.builders import START, Click, apply, click, encoded, feature, lived, partition, settle, source, user
from support.features import features_of

from forestay.core.errors import StateError
from forestay.core.event import EVENT_NAMES, NEVER
from forestay.core.feature_set import DEFAULT_FEATURES, FEATURE_NAMES
from forestay.core.packing import MAX_NUMBER, RecordWriter
from forestay.core.state.contact import MAX_CONTACTS, Contact, Score
from forestay.core.state.event_ids import MAX_IDS
from forestay.core.state.mark import PartitionMark
from forestay.core.state.state_codec import MARK_KEY, decode_mark, decode_user, encode_mark, encode_user, timer_minute
from forestay.core.state.user_state import MAX_ORDERS, UserState
from forestay.core.units import DAY, HOUR, MAX_AMOUNT, MINUTE, SECOND

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


def test_contacts_of_before_kind_and_channel_were_kept_stay_as_they_are() -> None:
    state = lived(click(ts=START))
    state.contacts = [Contact(START - DAY, "a"), Contact(START, "b")]
    old = encoded(state)
    state.contacts.append(Contact(START + 1, "c", "sms", "message", marketing=False))
    state.contacts.append(Contact(START + 2, "c", "sms", "message", marketing=False))
    told = [(c.ts, c.offer_id, c.channel, c.kind, c.marketing) for c in read(encoded(state)).contacts]
    assert told[:2] == [(START - DAY, "a", "", "", True), (START, "b", "", "", True)]
    assert told[2:] == [(START + n, "c", "sms", "message", False) for n in (1, 2)]
    state.contacts = state.contacts[:2]
    # Nothing is added to a record that has nothing to add.
    assert encoded(read(old)) == encoded(state) == old


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
@pytest.mark.parametrize("record", [b"", b"\x00", b"\x04\x90", b"\xff" * 40, b"{}"])
def test_an_unknown_version_is_refused_by_its_number(decode: Any, record: bytes) -> None:
    with pytest.raises(StateError, match="has version"):
        decode(record)


def test_damaged_bytes_are_refused_wherever_they_are_cut() -> None:
    record = encoded(reached())
    for end in range(1, len(record)):
        with pytest.raises(StateError, match="a state record"):
            read(record[:end])
    with pytest.raises(StateError, match="goes on behind its end"):
        read(record + b"\x00")
    mark = encode_mark(MARK)
    for end in range(1, len(mark)):
        with pytest.raises(StateError, match="mark cannot be read"):
            decode_mark(mark[:end])


@pytest.mark.parametrize("content", [None, [], {}, "x", ["x"], [0, 1, 2, 3, 4, 5, "x"], [None] * 17, [2.5]])
def test_other_content_than_a_state_of_version_1_is_refused(content: Any) -> None:
    with pytest.raises(StateError, match="cannot be read"):
        read(b"\x01" + msgspec.msgpack.encode(content))


def numbers(*content: int) -> bytes:
    writer = RecordWriter()
    for number in content:
        writer.number(number)
    return writer.written()


def sections(*content: tuple[int, bytes]) -> bytes:
    """The record of a user whose only event was in 1970, all but its header."""
    writer = RecordWriter()
    writer.raw(numbers(0, -1, 0, 0, 0, 0))
    for code, section in content:
        begun = writer.begin(code)
        writer.raw(section)
        writer.end(begun)
    writer.close()
    return writer.written()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "where a number is to be"),
        (b"\xff" * 40, "where a number is to be"),
        (numbers(-2), "the moment -2"),
        (numbers(253_370_764_800_000), "the moment 253370764800000"),
        (numbers(0, 0, -1), "holds -1"),
        (numbers(0, 0, 0, -1), "holds -1"),
        (numbers(0, 0, 0, 0, 0, 16_384), "holds 16384"),
        (numbers(0, 0, 0, 0, 0, 1, 33), "holds 33"),
        (numbers(0, 0, 0, 0, 0, 4, 1), "the moment -1"),
        (numbers(0, 0, 0, 0, 0, 16, 1) + b"\xff", "no UTF-8"),
        (numbers(0, 0, 0, 0, 0, 16, 9) + b"DE", "ends too early"),
        (numbers(0, 0, 0, 0, 0, 16, 4_001) + b"D" * 4_001, "holds 4001"),
        (numbers(0, 0, 0, 0, 0, 2) + struct.pack("<d", 1.5), "the probability 1.5"),
        (numbers(0, 0, 0, 0, 0, 2) + struct.pack("<d", float("nan")), "the probability nan"),
        (numbers(0, 0, 0, 0, 0, 0, 64), "holds 64"),
        (numbers(0, 0, 0, 0, 0, 0, 40) + b"\x01\x00\x00", "in the middle of a section"),
        (sections((63, b"\x00"))[:-1], "where a number is to be"),
        (sections((5, numbers(1, 1, 0, 0, 0))), "more than the family 5 can have"),
        (sections((5, numbers(1, 1, 0, 0)), (5, numbers(1, 1, 0, 0))), "the family 5 twice"),
        (sections((5, numbers(1, 0))), "holds no session"),
        (sections((1, numbers(0, 1, 0, 1))), "buckets of 0 ms"),
        (sections((1, numbers(25_000, 1, 0, 1, 25_000, 1, 0, 1))), "buckets of 25000 ms twice"),
        (sections((1, numbers(25_000, 1, 32, 1))), "not in its place"),
        (sections((1, numbers(25_000, 1, -1, 1))), "not in its place"),
        (sections((1, numbers(25_000, 2, 3, 1, 0, 1))), "not in its place"),
        (sections((1, numbers(25_000, 1, 0, -(2**31) - 1))), "cannot be"),
        (sections((1, numbers(25_000, 400 * 32 + 1, 0, 1))), "holds 12801"),
    ],
)
def test_other_content_than_a_state_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(StateError, match=message):
        read(b"\x02\xff\xff\xff\xff" + content)


def test_a_family_that_this_code_does_not_know_is_passed_over() -> None:
    state = read(b"\x02\xff\xff\xff\xff" + sections((63, b"whatever it is"), (5, numbers(6, 1, 0, 0))))
    assert feature(state, "sessions_total") == 7


def test_counts_stay_where_numbers_of_a_record_end() -> None:
    state = reached()
    state.applied = state.duplicates = MAX_AMOUNT
    record = encoded(state)
    state.applied += 1
    state.duplicates += 1
    assert encoded(state) == record == encoded(read(record))


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
    state.offset = state.duplicates = MAX_NUMBER
    state.contacts = [Contact(start, "🐎" * 200)] * MAX_CONTACTS
    state.score = Score(0.123456, start, "v" * 200)
    return state


def test_no_record_is_larger_than_its_bound() -> None:
    state = fullest()
    assert 0 < len(state.event_ids.ids) - MAX_IDS <= MAX_IDS == state.event_ids.old
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
