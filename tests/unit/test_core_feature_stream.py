"""The stream of features: what is written at which events, and that it is what a decision would see."""

import json
from typing import Any

import pytest
from support.builders import START, apply, click, feature, partition, source, tick, user
from support.features import features_of

from forestay.core.event import EVENT_CODES
from forestay.core.feature_set import DEFAULT_FEATURES, FEATURE_NAMES, FeatureSet
from forestay.core.feature_stream import FeatureStream
from forestay.core.record import OutputRecord
from forestay.core.rules import Rules
from forestay.core.units import DAY, HOUR

PURCHASES = frozenset({EVENT_CODES["purchase"]})


def content(record: OutputRecord) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(record.value or b"")
    return read


def buys(offset: int, ts: int, user_id: str = "u1", event_id: str | None = None) -> Any:
    return source(click(event_id or f"e{offset}", user_id, "purchase", ts, price=10), offset)


def test_nothing_is_written_unless_it_is_asked_for() -> None:
    assert apply(partition(), [buys(0, START)]).features == []


def test_the_chosen_features_are_written_in_their_order_at_the_chosen_events() -> None:
    names = ("spend_total", "hours_since_login", "purchase_count_1h")
    core = partition(Rules(feature_stream=FeatureStream(PURCHASES, names)))
    records = [source(click("l", event="login", ts=START), 0), buys(1, START + HOUR), buys(2, START + HOUR + 1, "u2")]
    written = apply(core, records).features
    assert [record.key for record in written] == [b"u1", b"u2"]
    assert content(written[0]) == {
        "user_id": "u1",
        "ts": START + HOUR,
        "features": {"spend_total": 10.0, "hours_since_login": 1.0, "purchase_count_1h": 1.0},
    }
    assert list(content(written[0])["features"]) == list(names)


def test_with_no_names_all_features_are_written_as_a_decision_sees_them() -> None:
    core = partition(Rules(feature_stream=FeatureStream(PURCHASES)))
    (record,) = apply(core, [source(click("v", event="view_item", ts=START), 0), buys(1, START + 5)]).features
    values = features_of(user(core), DEFAULT_FEATURES, START + 5)
    assert content(record)["features"] == dict(zip(FEATURE_NAMES, values, strict=True))


def test_a_late_event_writes_the_features_of_the_newest_moment() -> None:
    core = partition(Rules(feature_stream=FeatureStream(PURCHASES, ("spend_total", "hours_since_purchase"))))
    apply(core, [buys(0, START + DAY)])
    (record,) = apply(core, [buys(1, START)]).features
    assert content(record) == {
        "user_id": "u1",
        "ts": START,
        "features": {"spend_total": 20.0, "hours_since_purchase": 0.0},
    }


def test_repeats_late_and_broken_events_and_clocks_write_nothing() -> None:
    core = partition(Rules(feature_stream=FeatureStream(PURCHASES)))
    assert len(apply(core, [buys(0, START + 10 * DAY)]).features) == 1
    for record in (buys(1, START + 10 * DAY, event_id="e0"), buys(2, START), source(b"{", 3)):
        assert apply(core, [record]).features == []
    assert apply(core, [tick(START + 90 * DAY)]).features == []


def test_features_are_written_without_any_scoring_and_of_the_families_that_are_on() -> None:
    few = FeatureSet(("lifetime",))
    stream = FeatureStream(PURCHASES)
    core = partition(Rules(score_on=frozenset(), features=few, feature_stream=stream))
    applied = apply(core, [buys(0, START)])
    assert applied.situations == []
    assert list(content(applied.features[0])["features"]) == list(few.names)
    assert apply(core, [tick(START + 90 * DAY)]).situations == []
    assert feature(user(core), "orders_total", features=few) == 1


@pytest.mark.parametrize("name", FEATURE_NAMES)
def test_every_feature_can_be_written_alone(name: str) -> None:
    core = partition(Rules(feature_stream=FeatureStream(PURCHASES, (name,))))
    (record,) = apply(core, [buys(0, START)]).features
    assert content(record)["features"] == {name: feature(user(core), name)}
