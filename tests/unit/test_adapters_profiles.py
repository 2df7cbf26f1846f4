"""Every built-in profile on a sample of its documented format: the click events it gives, and what it skips."""

import json
from pathlib import Path
from typing import Any

import pytest

from forestay.adapters.adapter import Adapter, Mapped, Skipped
from forestay.adapters.files import read_records
from forestay.adapters.loading import load_profile, profile_names
from forestay.adapters.report import Report
from forestay.core.errors import DeadLetter
from forestay_schemas.click_event import ClickEvent

SAMPLES = Path(__file__).parents[1] / "support" / "samples"
#: Sample, profile, and what is skipped.
CASES: dict[str, tuple[str, dict[str, int]]] = {
    "ga4-bigquery.jsonl": ("ga4-bigquery", {"event 'user_engagement' is not mapped": 1, "names no user": 1}),
    "segment.jsonl": (
        "segment",
        {"event 'Video Playback Started' is not mapped": 1, "not a track, page or screen call": 1},
    ),
    "rudderstack.jsonl": ("rudderstack", {"not a track, page or screen call": 1}),
    "snowplow.jsonl": (
        "snowplow",
        {
            "event 'trns_error' is not mapped": 1,
            "later checkout step": 1,
            "not an e-commerce action or page view": 1,
        },
    ),
    "shopify.json": (
        "shopify",
        {
            "topic of no shop event": 2,
            "empty cart": 1,
            "names neither customer nor cart": 1,
            "names no topic": 1,
            "refund without a customer (take orders/updated)": 1,
            "test order": 1,
        },
    ),
    "retailrocket.csv": ("retailrocket", {}),
    "rees46.csv": ("rees46", {"price below 0": 1}),
    "yoochoose-clicks.dat": ("yoochoose-clicks", {}),
    "yoochoose-buys.dat": ("yoochoose-buys", {}),
    "online-retail.csv": (
        "online-retail",
        {"adjustment of bad debt": 1, "no customer": 1, "nothing sold (quantity or price not above 0)": 1},
    ),
    "online-retail-ii.csv": ("online-retail", {}),
}


def mapped(sample: str) -> tuple[list[Mapped], Report]:
    adapter = Adapter(load_profile(CASES[sample][0]))
    report = Report(adapter)
    records = read_records(SAMPLES / sample, adapter.mapping.csv)
    return [event for record in records if (event := report.add(record)) is not None], report


def only(profile: str, record: dict[str, Any]) -> ClickEvent:
    outcome = Adapter(load_profile(profile)).map(record)
    assert isinstance(outcome, Mapped)
    return outcome.event


def test_every_profile_has_a_sample() -> None:
    assert {profile for profile, _ in CASES.values()} == set(profile_names())


@pytest.mark.parametrize("sample", CASES)
def test_a_sample_becomes_these_events_and_these_reasons(sample: str) -> None:
    events, report = mapped(sample)
    expected = (SAMPLES / f"{Path(sample).stem}.expected.jsonl").read_text().splitlines()
    assert [json.loads(event.value) for event in events] == [json.loads(line) for line in expected]
    assert report.skipped.counts == CASES[sample][1]
    assert report.failed.counts == {}
    assert all(ClickEvent.model_validate_json(event.value) == event.event for event in events)


@pytest.mark.parametrize("sample", CASES)
def test_event_ids_are_the_same_every_time_and_differ_from_each_other(sample: str) -> None:
    first = [event.event.event_id for event in mapped(sample)[0]]
    assert first == [event.event.event_id for event in mapped(sample)[0]]
    assert len(set(first)) == len(first)


@pytest.mark.parametrize("name", profile_names())
def test_a_profile_says_where_its_format_is_documented(name: str) -> None:
    mapping = load_profile(name)
    assert mapping.name == name
    assert mapping.description
    assert mapping.source.startswith("https://")


@pytest.mark.parametrize("profile", ["segment", "rudderstack"])
def test_both_ids_are_given_only_where_both_are_known(profile: str) -> None:
    call = {"type": "page", "messageId": "m", "timestamp": "2026-01-01T00:00:00Z"}
    anonymous = only(profile, call | {"anonymousId": "A"})
    assert (anonymous.user_id, anonymous.anonymous_id) == ("A", None)
    known = only(profile, call | {"anonymousId": "A", "userId": "U"})
    assert (known.user_id, known.anonymous_id) == ("U", "A")
    server = only(profile, call | {"userId": "U"})
    assert (server.user_id, server.anonymous_id) == ("U", None)


def test_a_refund_is_one_whether_it_comes_by_itself_or_with_its_order() -> None:
    refund = {"id": 9, "order_id": 7, "created_at": "2026-01-02T00:00:00Z", "refund_line_items": []}
    alone = only("shopify", refund | {"topic": "refunds/create", "customer": {"id": 3}})
    order = {"id": 7, "created_at": "2026-01-01T00:00:00Z", "customer": {"id": 3}, "refunds": [refund]}
    with_order = only("shopify", order | {"topic": "orders/updated"})
    assert alone == with_order
    assert (alone.event_id, alone.order_id, alone.user_id) == ("shopify-refund-9", "7", "3")


def test_a_cart_its_checkout_and_its_order_lead_to_one_customer() -> None:
    cart = {
        "topic": "carts/create",
        "token": "c",
        "created_at": "2026-01-01T00:00:00Z",
        "line_items": [{"title": "x"}],
    }
    order = {"topic": "orders/create", "id": 1, "cart_token": "c", "created_at": "2026-01-01T01:00:00Z"}
    assert only("shopify", cart).user_id == "c"
    assert only("shopify", order).user_id == "c"
    bought = only("shopify", order | {"customer": {"id": 3}})
    assert (bought.user_id, bought.anonymous_id) == ("3", "c")


def test_a_first_checkout_step_begins_the_checkout() -> None:
    action = "unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1"
    step = "contexts_com_snowplowanalytics_snowplow_ecommerce_checkout_step_1"
    record: dict[str, Any] = {
        "event_id": "e",
        "event_name": "snowplow_ecommerce_action",
        "domain_userid": "d",
        "collector_tstamp": "2026-02-03 16:35:00.250",
        action: {"type": "checkout_step"},
    }
    assert only("snowplow", record | {step: [{"step": 1}]}).event == "begin_checkout"
    later = Adapter(load_profile("snowplow")).map(record | {step: [{"step": 2}]})
    assert later == Skipped("later checkout step")


def test_a_value_of_another_type_than_a_condition_compares_with_is_a_failure_and_no_crash() -> None:
    steps = "contexts_com_snowplowanalytics_snowplow_ecommerce_checkout_step_1"
    with pytest.raises(DeadLetter, match="cannot be evaluated"):
        Adapter(load_profile("snowplow")).map({"event_name": "snowplow_ecommerce_action", steps: [{"step": "2"}]})
