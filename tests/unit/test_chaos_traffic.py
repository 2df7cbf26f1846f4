"""The traffic of the fault harness: the same for a seed, hard to count, and placed as Kafka's producers place it."""

import json
from collections import Counter
from typing import Any

import pytest
from kafka.partitioner.default import murmur2 as murmur2_of_a_client

from forestay_chaos.traffic import BEGIN, DAY, SPAN_DAYS, Traffic, make_traffic
from forestay_chaos.traffic_places import murmur2, partition_of
from forestay_schemas import ClickEvent

SECONDS, RATE, PARTITIONS = 20.0, 100.0, 4


def made(seed: int) -> Traffic:
    return make_traffic(seed, SECONDS, RATE, PARTITIONS)


def events(traffic: Traffic) -> list[dict[str, Any]]:
    good = [r for place, r in enumerate(traffic.records) if place not in traffic.broken]
    return [json.loads(r.value or b"") for r in good if r.topic_role == "clickstream"]


def test_a_seed_is_one_traffic() -> None:
    assert made(2) == made(2)
    assert made(2).records != made(4).records


def test_records_are_in_sending_order_and_about_as_many_as_asked() -> None:
    traffic = made(2)
    times = [record.at_seconds for record in traffic.records]
    assert times == sorted(times)
    assert traffic.barriers[0] == pytest.approx(SECONDS * RATE, rel=0.01)


@pytest.mark.parametrize("key", [b"", b"a", b"ab", b"abc", b"abcd", b"u2-17", "später".encode()])
def test_keys_are_placed_as_by_kafkas_clients(key: bytes) -> None:
    assert murmur2(key) == murmur2_of_a_client(key) & 0xFFFFFFFF


def test_a_user_stays_in_one_partition() -> None:
    for record in made(3).records:
        assert record.key is None or record.partition == partition_of(record.key, PARTITIONS)


def test_what_is_not_broken_is_by_the_contract() -> None:
    for event in events(made(3)):
        ClickEvent.model_validate(event)


def test_every_difficulty_is_in_it() -> None:
    traffic = made(3)
    found = events(traffic)
    ids = Counter(event["event_id"] for event in found)
    lines = Counter(event["order_id"] for event in found if event["event"] == "purchase" and "order_id" in event)
    assert max(ids.values()) >= 2
    assert max(lines.values()) >= 2
    assert {code for codes in traffic.broken.values() for code in codes} >= {"not_json", "contract", "no_value"}
    assert any("anonymous_id" in event for event in found)
    assert any("items" in event for event in found)
    assert traffic.others.keys() <= {event["user_id"] for event in found}


@pytest.mark.parametrize("seed", [1, 3, 67, 179])
def test_those_who_merge_are_those_an_event_says_so_of(seed: int) -> None:
    traffic = make_traffic(seed, 6.3, 200, 4)
    linked = {event["anonymous_id"]: event["user_id"] for event in events(traffic) if "anonymous_id" in event}
    assert traffic.others == linked


def test_even_seeds_merge_nobody() -> None:
    assert made(2).others == {}
    assert not any("anonymous_id" in event for event in events(made(2)))


def test_each_user_sends_a_probe_when_all_is_over_and_then_the_clock_moves_on() -> None:
    traffic = made(2)
    probes, clocks = traffic.barriers
    users = [json.loads(record.value or b"")["user_id"] for record in traffic.records[probes:clocks]]
    assert users == traffic.users
    assert {record.topic_role for record in traffic.records[clocks:]} == {"clock"}
    assert {record.partition for record in traffic.records[clocks:]} == set(range(PARTITIONS))
    newest = max(event["ts"] for event in events(traffic) if isinstance(event["ts"], int))
    assert BEGIN + SPAN_DAYS * DAY < newest < BEGIN + (SPAN_DAYS + 1) * DAY
