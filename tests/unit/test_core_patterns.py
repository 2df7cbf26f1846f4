"""What docs/triggers.md says, case by case, with the triggers Forestay ships."""

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from forestay.core.errors import StateError
from forestay.core.event import EVENT_CODES, Event, LineItem
from forestay.core.packing import RecordReader, RecordWriter
from forestay.core.patterns.pattern_rules import Triggers
from forestay.core.patterns.patterns import PatternMemory, PatternRules
from forestay.core.units import DAY, HOUR, MINUTE, SECOND
from forestay.trigger_file import DEFAULT_TRIGGERS, load_triggers

SHIPPED = load_triggers(DEFAULT_TRIGGERS).rules()
NEVER = -1
#: Noon of some day.
NOON = 20_000 * DAY + 12 * HOUR

Told = tuple[str, int] | tuple[str, int, list[int]]


def trigger(name: str = "t", **fields: Any) -> dict[str, Any]:
    return {"name": name, "when": "add_to_cart", "unless": ["purchase"], "after": "1h", **fields}


def rules(*triggers: dict[str, Any]) -> PatternRules:
    return Triggers.model_validate({"triggers": list(triggers)}).rules()


def event(kind: str, ts: int, items: list[int] | None = None) -> Event:
    return Event(b"e", "u1", EVENT_CODES[kind], NOON + ts, [LineItem(item, 0, 0, 1) for item in items or [0]])


def told(*events: Told, by: PatternRules = SHIPPED, memory: PatternMemory | None = None) -> PatternMemory:
    memory = memory or PatternMemory()
    for each in events:
        memory.update(event(*each), by)
    return memory


def due(*events: Told, by: PatternRules = SHIPPED) -> int | None:
    """When something is due after these events, counted from noon; None for never."""
    at = told(*events, by=by).next_due(by)
    return None if at == NEVER else at - NOON


def record(memory: PatternMemory) -> bytes:
    writer = RecordWriter()
    memory.write(writer)
    return writer.written()


def reread(written: bytes) -> PatternMemory:
    reader = RecordReader(written)
    memory = PatternMemory.read(reader)
    assert not reader.more()
    return memory


def viewed(*moments: int, item: int = 7) -> list[Told]:
    return [("view_item", ts, [item]) for ts in moments]


def test_a_cart_is_abandoned_an_hour_after_the_last_item_went_in() -> None:
    memory = told(("add_to_cart", 0), ("add_to_cart", 10 * MINUTE))
    assert memory.next_due(SHIPPED) == NOON + 70 * MINUTE
    assert memory.fire(NOON + 70 * MINUTE - 1, SHIPPED) == []
    assert memory.fire(NOON + 70 * MINUTE, SHIPPED) == ["abandoned_cart"]
    assert memory.fire(NOON + 30 * DAY, SHIPPED) == []
    assert memory.next_due(SHIPPED) == NEVER


def test_a_cart_that_goes_to_checkout_becomes_a_checkout_that_may_be_abandoned() -> None:
    memory = told(("add_to_cart", 0), ("begin_checkout", MINUTE))
    assert memory.fire(NOON + DAY, SHIPPED) == ["abandoned_checkout"]


@pytest.mark.parametrize(("bought", "expected"), [(-1, HOUR), (0, None), (1, None)])
def test_a_purchase_in_the_same_millisecond_or_later_cancels(bought: int, expected: int | None) -> None:
    assert due(("add_to_cart", 0), ("purchase", bought)) == expected
    assert due(("purchase", bought), ("add_to_cart", 0)) == expected


def test_three_views_of_one_item_within_seven_days_and_no_purchase_for_a_day() -> None:
    week = 7 * DAY
    assert due(*viewed(0, HOUR)) is None
    assert due(*viewed(0, HOUR, week - 1)) == week - 1 + DAY
    assert due(*viewed(0, HOUR, week)) is None
    assert due(*viewed(0, HOUR, 2 * HOUR), ("purchase", 3 * HOUR, [8])) == 26 * HOUR
    assert due(*viewed(0, HOUR, 2 * HOUR), ("purchase", 3 * HOUR, [8, 7])) is None
    assert due(*viewed(0, HOUR), *viewed(2 * HOUR, item=8)) is None
    assert due(*viewed(0, 0, 0), ("purchase", 0, [7])) is None


def test_every_counted_view_must_lie_after_the_purchase() -> None:
    bought: Told = ("purchase", 90 * MINUTE, [7])
    assert due(*viewed(0, HOUR, 2 * HOUR), bought) is None
    assert due(*viewed(0, HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR), bought) == 28 * HOUR


def test_two_events_in_one_millisecond_are_two_and_one_event_names_an_item_once() -> None:
    assert due(*viewed(0, 0, 0)) == DAY
    assert due(("view_item", 0, [7, 7, 7])) is None


def test_an_event_without_an_item_counts_for_none_and_cancels_all() -> None:
    assert due(*viewed(0, 0, 0, item=0)) is None
    assert due(*viewed(0, 0, 0), ("purchase", 1)) is None


def test_a_cooldown_holds_for_all_items_of_a_trigger_and_begins_at_the_due_time() -> None:
    memory = told(*viewed(0, 0, 0), *viewed(23 * HOUR, 23 * HOUR, 23 * HOUR, item=8))
    assert memory.fire(NOON + 3 * DAY, SHIPPED) == ["viewed_not_bought"]
    assert memory.next_due(SHIPPED) == NEVER
    told(*viewed(24 * HOUR, item=8), memory=memory)
    assert memory.next_due(SHIPPED) == NOON + 2 * DAY


def test_a_look_long_after_fires_what_looks_on_the_way_would_have_fired() -> None:
    events = [*viewed(0, 0, 0), ("add_to_cart", HOUR), *viewed(DAY, DAY, DAY, item=8)]
    assert told(*events).fire(NOON + 9 * DAY, SHIPPED) == ["abandoned_cart", "viewed_not_bought", "viewed_not_bought"]


def test_what_is_due_at_once_fires_by_name() -> None:
    both = rules(trigger("b"), trigger("a"))
    assert told(("add_to_cart", 0), by=both).fire(NOON + HOUR, both) == ["a", "b"]


def test_a_late_event_fires_at_the_next_look_and_a_late_purchase_takes_nothing_back() -> None:
    memory = told(("page_view", 5 * HOUR))
    assert memory.fire(NOON + 5 * HOUR, SHIPPED) == []
    told(("add_to_cart", 0), memory=memory)
    assert memory.fire(NOON + 5 * HOUR, SHIPPED) == ["abandoned_cart"]
    told(("purchase", MINUTE), memory=memory)
    assert memory.fire(NOON + DAY, SHIPPED) == []


def test_a_trigger_without_unless_waits_for_its_time_only() -> None:
    always = rules(trigger(unless=[], after="1s"))
    assert due(("add_to_cart", 0), ("purchase", 1), by=always) == SECOND


def test_events_no_trigger_asks_about_are_not_relevant() -> None:
    asked = [name for name, kind in EVENT_CODES.items() if SHIPPED.relevant(kind)]
    assert set(asked) == {"view_item", "add_to_cart", "begin_checkout", "purchase"}
    assert not any(rules().relevant(kind) for kind in EVENT_CODES.values())


def test_the_newest_64_times_are_kept() -> None:
    one = rules(trigger(same="item"))
    events: list[Told] = [("add_to_cart", ts, [100 + ts]) for ts in range(64)]
    assert due(*events, by=one) == HOUR
    assert due(*events, ("add_to_cart", 99, [9]), by=one) == HOUR + 1
    assert due(("add_to_cart", 99, [9]), *events, by=one) == HOUR + 1
    assert due(*events, ("add_to_cart", 0, [1_000]), ("purchase", 0, [1_000]), by=one) == HOUR + 1


def test_with_purchases_of_33_items_all_before_the_oldest_counts_as_bought() -> None:
    bought: list[Told] = [("purchase", 10 + ts, [100 + ts]) for ts in range(32)]
    assert due(*viewed(5, 5, 5), *bought) == DAY + 5
    assert due(*viewed(5, 5, 5), *viewed(10, 10, 10, item=8), *bought, ("purchase", 50, [9])) is None
    assert due(*viewed(11, 11, 11), *bought, ("purchase", 50, [9])) == DAY + 11


def test_forgetting_leaves_what_can_still_matter() -> None:
    memory = told(*viewed(0, HOUR, 2 * HOUR), ("purchase", -1, [8]), ("add_to_cart", 0))
    memory.forget(NOON + 59 * MINUTE, SHIPPED)
    assert memory.next_due(SHIPPED) == NOON + HOUR
    assert memory.fire(NOON + 26 * HOUR, SHIPPED) == ["abandoned_cart", "viewed_not_bought"]
    kept = len(record(memory))
    memory.forget(NOON + 26 * HOUR, SHIPPED)
    assert not memory.is_empty()
    assert len(record(memory)) < kept
    memory.forget(NOON + 11 * DAY, SHIPPED)
    assert memory.is_empty()


def test_what_is_due_and_has_not_fired_is_not_forgotten() -> None:
    memory = told(("add_to_cart", 0))
    memory.forget(NOON + 30 * DAY, SHIPPED)
    assert memory.fire(NOON + 30 * DAY, SHIPPED) == ["abandoned_cart"]


def test_a_user_without_any_of_it_has_an_empty_record() -> None:
    memory = told(("view_item", 0), ("page_view", 0))
    assert memory.is_empty()
    assert record(memory) == b"\0"
    assert reread(b"\0").is_empty()


def test_a_record_is_small() -> None:
    assert len(record(told(("add_to_cart", 0)))) == 23
    assert len(record(told(*viewed(0, 1, 2)))) == 37


def test_items_are_told_apart_by_48_bits_of_their_hash_in_memory_and_record_alike() -> None:
    large = 2**61 + 7
    memory = reread(record(told(*viewed(0, HOUR, item=large))))
    assert told(*viewed(2 * HOUR, item=large), memory=memory).next_due(SHIPPED) == NOON + 26 * HOUR
    assert told(("purchase", 2 * HOUR, [8, 2**48 + 7]), memory=memory).next_due(SHIPPED) == NEVER
    # Of such a hash 48 bits are 0, and still it is an item.
    assert due(*viewed(0, 0, 0, item=2**48)) == DAY


def test_moving_triggers_in_the_file_keeps_their_memory_and_a_removed_one_is_dropped() -> None:
    before = rules(trigger("a"), trigger("b", after="2h"))
    written = record(told(("add_to_cart", 0), by=before))
    moved = rules(trigger("new"), trigger("b", after="2h"), trigger("a"))
    assert reread(written).fire(NOON + DAY, moved) == ["a", "b"]
    memory = reread(written)
    assert memory.next_due(rules(trigger("b", after="2h"))) == NOON + 2 * HOUR
    assert record(memory) == record(told(("add_to_cart", 0), by=rules(trigger("b"))))
    memory.fire(NOON + DAY, rules())
    assert memory.is_empty()


def test_a_changed_trigger_is_judged_anew_with_what_is_remembered() -> None:
    three = rules(trigger(count=3, within="1d"))
    written = record(told(("add_to_cart", 0), ("add_to_cart", MINUTE), by=three))
    assert reread(written).next_due(three) == NEVER
    for count, within in ((2, "1d"), (1, None)):
        fewer = rules(trigger(count=count, within=within, after="3h"))
        assert reread(written).next_due(fewer) == NOON + MINUTE + 3 * HOUR


def test_a_trigger_that_now_asks_by_item_starts_afresh() -> None:
    written = record(told(("add_to_cart", 0), by=rules(trigger())))
    assert reread(written).next_due(rules(trigger(same="item"))) == NEVER


def test_of_two_users_who_are_one_the_later_firing_counts() -> None:
    one, other = told(("add_to_cart", 0)), told(("add_to_cart", 2 * HOUR))
    other.fire(NOON + 3 * HOUR, SHIPPED)
    one.merge(other, SHIPPED)
    assert one.next_due(SHIPPED) == NEVER
    assert told(("add_to_cart", 26 * HOUR - 1), memory=one).next_due(SHIPPED) == NEVER
    assert told(("add_to_cart", 26 * HOUR), memory=one).next_due(SHIPPED) == NOON + 27 * HOUR


@pytest.mark.parametrize(
    "numbers",
    [
        [33],
        [1, -1],
        [1, NOON, 1, -1, -1, 1],
        [1, NOON, 1, -1, -1, 2, 0, 0],
        [1, NOON, 1, -1, -1, 65, 0],
        [1, NOON, 1, -1, -1, 0, 33],
        [1, NOON, 1, -1, -1, -1, 0],
        [1, NOON, 1, -1, NOON + 1, 0, 0],
        [1, NOON, 1, -2, -1, 0, 0],
        [2, NOON, 1, -1, -1, 0, 0, 1, -1, -1, 0, 0],
        [2, NOON, 2, -1, -1, 0, 0, 1, -1, -1, 0, 0],
    ],
)
def test_a_damaged_record_is_refused(numbers: list[int]) -> None:
    with pytest.raises(StateError, match=r"state record|memory of triggers"):
        reread(of(numbers))


@pytest.mark.parametrize("pairs", [[(-5, 7)], [(NOON + 1, 7)], [(1, 7), (NOON, 7)], [(0, 7), (0, 8)]])
def test_a_damaged_time_or_order_is_refused(pairs: list[tuple[int, int]]) -> None:
    for numbers in ([len(pairs), 0], [0, len(pairs)]):
        with pytest.raises(StateError, match=r"state record|memory of triggers"):
            reread(of([1, NOON, 1, -1, -1, *numbers], pairs))


def of(numbers: list[int], pairs: Sequence[tuple[int, int]] = ()) -> bytes:
    """A record of a trigger: numbers, and its A's and B's."""
    writer = RecordWriter()
    for number in numbers:
        writer.number(number)
    for distance, item in pairs:
        writer.number(distance)
        writer.hash(item)
    return writer.written()


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"after": 3600}, "whole number with its unit"),
        ({"after": "1h30m"}, "whole number with its unit"),
        ({"after": "0s"}, "between 1s and 90d"),
        ({"after": "91d"}, "between 1s and 90d"),
        ({"again_after": "-1d"}, "whole number with its unit"),
        ({"count": 2}, "needs `within`"),
        ({"within": "1d"}, "needs a count above 1"),
        ({"count": 11, "within": "1d"}, "less than or equal to 10"),
        ({"count": "2", "within": "1d"}, "valid integer"),
        ({"unless": ["purchase", "add_to_cart"]}, "add_to_cart stands in `when` and in `unless`"),
        ({"when": []}, "at least 1 item"),
        ({"when": "buy"}, "purchase"),
        ({"same": "category"}, "'item'"),
        ({"name": "Not This"}, "pattern"),
        ({"befor": "1h"}, "not permitted"),
    ],
)
def test_a_trigger_that_cannot_be_meant_is_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        rules(trigger(**fields))


def test_names_are_unique_and_so_are_their_keys_and_there_are_at_most_32() -> None:
    with pytest.raises(ValidationError, match="two triggers are named t"):
        rules(trigger(), trigger(after="2h"))
    with pytest.raises(ValidationError, match="at most 32"):
        rules(*(trigger(f"t{number}") for number in range(33)))
    # Two names whose keys agree, found by trying.
    with pytest.raises(ValidationError, match="rename one"):
        rules(trigger("t5362"), trigger("t6758"))
