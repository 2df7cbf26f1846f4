"""State records of version 1 are read: what is kept, what begins anew (bytes made by that version's own code)."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.builders import START, Click, encoded, feature, lived, partition, settle, source, tick, user

from forestay.core.decision.model_input import model_input
from forestay.core.event import NEVER
from forestay.core.feature_set import DEFAULT_FEATURES, FEATURE_NAMES
from forestay.core.partition import Partition
from forestay.core.rules import Rules
from forestay.core.state.mark import PartitionMark
from forestay.core.state.state_codec import decode_mark, decode_user, timer_minute
from forestay.core.state.user_state import UserState
from forestay.core.units import DAY

FOLDER = Path(__file__).parents[1] / "data" / "state_v1"
USER = (FOLDER / "user.bin").read_bytes()
EVENTS: list[Click] = json.loads((FOLDER / "events.json").read_text())
#: What that version did not keep: what happened in five minutes, which items, carts, when sessions were.
_ANEW = ("distinct_", "session_", "cart_", "silence_ratio")
KEPT = [name for name in FEATURE_NAMES if not name.endswith("_5m") and not name.startswith(_ANEW)]


def upgraded() -> UserState:
    return decode_user(USER, DEFAULT_FEATURES)


def anew() -> UserState:
    """What the events lead to today; the last is a repeat."""
    return lived(*EVENTS[:-1])


@pytest.mark.parametrize("name", KEPT)
def test_a_feature_that_the_record_can_tell_is_kept(name: str) -> None:
    assert feature(upgraded(), name) == feature(anew(), name)


def test_enough_is_kept_and_it_is_not_all_nought() -> None:
    assert len(KEPT) > 100
    assert sum(feature(upgraded(), name) != 0 for name in KEPT) > 50
    assert feature(upgraded(), "sessions_total") == 60


def test_what_was_done_and_said_is_kept() -> None:
    state = upgraded()
    assert (state.applied, state.duplicates, state.offset) == (60, 1, 60)
    assert (state.country, state.timezone) == ("DE", "Europe/Berlin")
    assert [contact.offer_id for contact in state.contacts] == ["a"] * 15
    assert state.score is not None
    assert (state.score.probability, state.score.ts, state.score.version) == (0.25, state.contacts[-1].ts, "7")
    assert state.scored_ts == 1_770_778_903_701


def test_the_steps_are_kept_but_for_the_hashes_of_items() -> None:
    """Items were hashed otherwise: their tokens are others than today's events give."""
    now = EVENTS[-1]["ts"] + DAY
    old, new = (model_input(state, DEFAULT_FEATURES, now) for state in (upgraded(), anew()))
    np.testing.assert_array_equal(old.step_numbers, new.step_numbers)
    np.testing.assert_array_equal(old.step_tokens[:, [0, 3]], new.step_tokens[:, [0, 3]])
    np.testing.assert_array_equal(old.step_tokens[:, 1:3] > 0, new.step_tokens[:, 1:3] > 0)


def restored() -> Partition:
    core = partition()
    core.restore({"u1": USER}, decode_mark((FOLDER / "mark.bin").read_bytes()))
    return core


def test_a_partition_goes_on_from_records_of_version_1() -> None:
    core = restored()
    assert core.positions == {"clickstream": 61}
    last = EVENTS[-1]["ts"]
    assert core.clock == last
    # Looked at at once, since the record does not tell when; the silence comes when it is due.
    assert timer_minute(USER) == 0
    assert settle(core, [tick(last + 14 * DAY - 1)]).decisions == []
    (silence,) = settle(core, [tick(last + 14 * DAY, 1)]).decisions
    assert silence.trigger.kind == "silence"
    event = {"event_id": "new", "user_id": "u1", "event": "purchase", "ts": last + 15 * DAY, "price": 5}
    settle(core, [source(event, 61)])
    assert user(core).applied == 61
    assert feature(user(core), "events_total") == 61
    record = dict(core.checkpoint(0, 1)[0]._asdict())["value"]
    assert record is not None
    assert record[:1] == b"\x02"


def test_a_record_is_written_anew_in_todays_version() -> None:
    record = encoded(upgraded())
    assert record[:1] == b"\x02"
    assert encoded(decode_user(record, DEFAULT_FEATURES)) == record


def test_a_mark_of_version_1_has_no_watermark() -> None:
    mark = decode_mark((FOLDER / "mark.bin").read_bytes())
    assert mark == PartitionMark({"clickstream": 61}, EVENTS[-1]["ts"], 5, 3, NEVER)


def test_a_user_known_from_the_decision_log_alone_stays_one() -> None:
    state = decode_user((FOLDER / "decided.bin").read_bytes(), DEFAULT_FEATURES)
    assert (state.last_ts, state.applied, state.scored_ts) == (NEVER, 0, START)
    values = DEFAULT_FEATURES.values(state.parts, START, state.last_ts)
    assert values == [feature.default for feature in DEFAULT_FEATURES.features]
    # The score that was made is not made again by the event that led to it.
    core = partition(Rules(score_interval=0))
    core.restore({"u1": (FOLDER / "decided.bin").read_bytes()}, None)
    first = {"event_id": "e", "user_id": "u1", "event": "login", "ts": START}
    assert settle(core, [source(first, 0)]).decisions == []
