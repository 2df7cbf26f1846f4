"""The rows are what serving would see, and know nothing of what comes after them."""

from collections import defaultdict

import numpy as np
import pytest
from support.builders import SOURCES
from training.quick import RECORDING

from forestay.core.decision.catalogue import Catalogue, Offer
from forestay.core.decision.model_input import ModelInput, model_input
from forestay.core.decoding.decode import decode_click
from forestay.core.errors import DeadLetter
from forestay.core.feature_set import DEFAULT_FEATURES
from forestay.core.partition import Partition
from forestay.core.rules import Rules
from forestay.core.state.user_state import UserState, apply_event
from forestay.recording import RecordedMessage, open_recording
from forestay_schemas.types import ActionKind
from forestay_training.dataset import Origin, Rows, build_rows
from forestay_training.labels import Orders
from forestay_training.splits import CUTOFFS, FIT_UNTIL, HORIZON, LAST, PUBLISHED, TEST, VALIDATE_FROM

pytestmark = pytest.mark.training

Content = dict[tuple[str, int, int], tuple[bytes, ...]]


@pytest.fixture(scope="module")
def orders(some_users: list[RecordedMessage]) -> Orders:
    return Orders(some_users)


@pytest.fixture(scope="module")
def rows(some_users: list[RecordedMessage], orders: Orders) -> Rows:
    return build_rows(some_users, orders)


def _bytes(inputs: ModelInput, row: int) -> tuple[bytes, ...]:
    return tuple(array[row].tobytes() for array in inputs)


def _content(rows: Rows, before: int) -> Content:
    keys = zip(rows.users.tolist(), rows.moments.tolist(), rows.origins.tolist(), strict=True)
    return {key: _bytes(rows.inputs, row) for row, key in enumerate(keys) if key[1] <= before}


def test_a_live_row_is_the_workers_input_byte_for_byte(some_users: list[RecordedMessage], rows: Rows) -> None:
    """In batches as a worker takes them, one partition after the other."""
    catalogue = Catalogue(name="t", offers=[Offer(id="o", kind=ActionKind.MESSAGE, channel="c", effect=0)])
    by_partition = defaultdict(list)
    for message in some_users:
        by_partition[message.partition].append(message)
    served: Content = {}
    for number, messages in by_partition.items():
        partition = Partition(number, SOURCES, Rules(), catalogue)
        for start in range(0, len(messages), 500):
            for situation in partition.apply(SOURCES.clickstream, messages[start : start + 500]).situations:
                silent = situation.trigger.kind == "silence"
                key = (situation.user_id, situation.now, int(Origin.SILENCE if silent else Origin.EVENT))
                served[key] = tuple(array.tobytes() for array in situation.input)
    live = {key: content for key, content in _content(rows, TEST + HORIZON).items() if key[2] != Origin.CALENDAR}
    assert len(live) > 100
    assert live.items() <= served.items()


def test_a_calendar_row_is_the_core_applied_to_the_events_before_it(
    some_users: list[RecordedMessage], rows: Rows
) -> None:
    events = defaultdict(list)
    for message in some_users:
        try:
            event = decode_click(message, Rules())
        except DeadLetter:
            continue
        events[event.user_id].append(event)
    for row in np.flatnonzero(rows.origins == Origin.CALENDAR)[::7]:
        now = int(rows.moments[row])
        state = UserState(DEFAULT_FEATURES.new_parts())
        for event in events[str(rows.users[row])]:
            if event.ts <= now and not state.event_ids.seen(event.id_hash):
                state.event_ids.add(event.id_hash, event.ts, Rules().lateness)
                apply_event(state, event, Rules().lateness)
        assert tuple(array.tobytes() for array in model_input(state, DEFAULT_FEATURES, now)) == _bytes(
            rows.inputs, row
        )


@pytest.mark.parametrize("cutoff", [PUBLISHED[0], LAST])
def test_what_happens_after_a_moment_changes_nothing_at_it(
    cutoff: int, some_users: list[RecordedMessage], orders: Orders, rows: Rows
) -> None:
    ended = build_rows([message for message in some_users if message.timestamp <= cutoff], orders)
    now, then = _content(ended, cutoff), _content(rows, cutoff)
    assert now.items() <= then.items()
    # A silence speaks when the next event of its partition moves the clock: the last ones are still to come.
    assert {origin for _, _, origin in then.keys() - now.keys()} <= {Origin.SILENCE}


def test_labels_look_ahead_to_the_horizon_and_not_beyond(orders: Orders) -> None:
    user = next(user for user in orders.users if len(orders.before(user, TEST + HORIZON)) > 1)
    first, second, *_ = orders.before(user, TEST + HORIZON)
    assert not orders.churned(user, second - 1)
    assert not orders.churned(user, second - HORIZON + 1) or first > second - HORIZON
    assert orders.churned(user, second - HORIZON) == (not first > second - HORIZON)
    assert orders.before(user, first) == [first]
    assert orders.before(user, first - 1) == []


def test_splits_leave_no_label_in_sight_of_what_follows() -> None:
    assert max(CUTOFFS) + HORIZON <= TEST
    assert FIT_UNTIL + HORIZON <= VALIDATE_FROM
    assert set(PUBLISHED) <= set(CUTOFFS)


def test_the_published_split_is_met_but_for_orders_without_a_product() -> None:
    """Published: 10,136 and 2,681, with postage, fees and manual entries counted as orders."""
    orders = Orders(open_recording(RECORDING))
    active = {cutoff: sum(orders.active(user, cutoff) for user in orders.users) for cutoff in (*PUBLISHED, TEST)}
    assert sum(active[cutoff] for cutoff in PUBLISHED) == 10_083
    assert active[TEST] == 2_669
