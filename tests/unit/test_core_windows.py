"""What windows hold when amounts are absurd: sums stop where a record can still hold them."""

from support.features import picked

from forestay.core.event import PURCHASE, Event, LineItem
from forestay.core.families.windows import Windows
from forestay.core.units import DAY, MAX_AMOUNT, MINUTE

START = 20_000 * DAY
FAMILY = Windows()
SPEND = next(at for at, feature in enumerate(FAMILY.features) if feature.name == "spend_1d")


def test_a_window_of_several_buckets_at_the_bound_is_at_the_bound() -> None:
    part = FAMILY.new()
    absurd = [LineItem(1, 1, 10**11, 10**6)] * 200
    for bucket in range(5):
        ts = START + bucket * 10 * MINUTE
        part.update(Event(b"e", "u", PURCHASE, ts, absurd), ts)
    assert picked(part, START + 50 * MINUTE, START + 40 * MINUTE, [SPEND]) == [MAX_AMOUNT / 100]


def test_an_order_moved_to_a_moment_after_the_newest_event_moves_nothing() -> None:
    part = FAMILY.new()
    event = Event(b"e", "u", PURCHASE, START, [])
    event.counts, event.moved_from = 0, START + DAY
    part.update(event, START)
    values: list[float] = []
    part.values(START, START, values)
    assert not any(values)
