"""The adapter agent's batches: keyed events, dead letters with their bytes untouched, reasons, positions."""

import json
from typing import Any

import pytest

from forestay.adapters.adapter import Adapter
from forestay.adapters.loading import load_profile
from forestay.core.errors import ConfigurationError
from forestay.core.record import SourceRecord
from forestay.settings import AdapterSettings, Settings
from forestay.shell.adapter.agent import check_topics
from forestay.shell.adapter.batch import Mapper
from forestay.shell.placement import Partitioner, Placement


def record(offset: int, value: bytes | None, **headers: bytes) -> SourceRecord:
    return SourceRecord("foreign", 3, offset, 0, b"any", value, list(headers.items()))


def call(user: str, offset: int, **more: Any) -> SourceRecord:
    value = {"type": "page", "userId": user, "messageId": f"m{offset}", "timestamp": "2026-01-01T00:00:00Z"}
    return record(offset, json.dumps(value | more).encode())


def mapper(profile: str = "segment", limit: float = 0.5, partitioner: Partitioner = "murmur2") -> Mapper:
    return Mapper(Adapter(load_profile(profile)), Placement(partitioner, 4), limit)


@pytest.mark.parametrize(
    ("key", "partition"),
    # From Kafka's own UtilsTest: murmur2 of these texts, made positive.
    [("21", -973932308), ("foobar", -790332482), ("a-little-bit-long-string", -985981536), ("abc", 479470107)],
)
def test_users_go_where_kafkas_own_producers_put_them(key: str, partition: int) -> None:
    assert Placement("murmur2", 1_000).partition(key.encode()) == (partition & 0x7FFFFFFF) % 1_000


@pytest.mark.parametrize("partitioner", ["murmur2", "crc32"])
def test_users_go_where_the_settings_say(partitioner: Partitioner) -> None:
    calls = [call(f"user-{number}", number) for number in range(40)]
    events = mapper(partitioner=partitioner).map("foreign", 3, calls).events
    placement = Placement(partitioner, 4)
    assert {output.key: number for number, outputs in events.items() for output in outputs} == {
        f"user-{number}".encode(): placement.partition(f"user-{number}".encode()) for number in range(40)
    }


def test_events_are_keyed_by_user_and_keep_their_order() -> None:
    adapted = mapper().map("foreign", 3, [call("zoë", 7), call("b", 8), call("zoë", 9)])
    number = Placement("murmur2", 4).partition("zoë".encode())
    mine = [output for output in adapted.events[number] if output.key == "zoë".encode()]
    assert [json.loads(output.value or b"")["event_id"] for output in mine] == ["m7", "m9"]
    assert sum(len(outputs) for outputs in adapted.events.values()) == 3
    assert adapted.position == 10


def test_a_failed_record_keeps_its_bytes_and_says_where_it_was_and_why() -> None:
    adapted = mapper().map("foreign", 3, [record(5, b"\xff{", kind=b"k"), call("a", 6)])
    (letter,) = adapted.dead_letters
    assert (letter.key, letter.value) == (b"any", b"\xff{")
    headers = dict(letter.headers)
    assert headers["kind"] == b"k"
    assert headers["forestay-error"] == b"not_json"
    assert headers["forestay-reason"]
    assert (headers["forestay-topic"], headers["forestay-partition"], headers["forestay-offset"]) == (
        b"foreign",
        b"3",
        b"5",
    )
    assert adapted.position == 7


def test_tombstones_and_what_is_no_event_are_skipped_with_a_reason() -> None:
    adapted = mapper().map("foreign", 3, [record(1, None), call("a", 2, type="group")])
    assert adapted.skipped == ["no value (a tombstone)", "not a track, page or screen call"]
    assert (adapted.events, adapted.dead_letters, adapted.position) == ({}, [], 3)


def test_the_topic_of_a_shopify_webhook_comes_in_a_header() -> None:
    value = b'{"id": 3, "created_at": "2026-01-01T00:00:00Z"}'
    source = SourceRecord("foreign", 0, 0, 0, None, value, [("X-Shopify-Topic", b"customers/create")])
    (outputs,) = mapper("shopify").map("foreign", 0, [source]).events.values()
    assert json.loads(outputs[0].value or b"")["event"] == "sign_up"


def test_a_flood_of_failures_stops_where_it_is_seen() -> None:
    adapted = mapper().map("foreign", 3, [record(offset, b"{") for offset in range(500)])
    assert adapted.flood is not None
    assert adapted.position == len(adapted.dead_letters) == 100


@pytest.mark.parametrize("topic", [None, "clickstream", "retention-actions"])
def test_the_source_is_a_topic_of_its_own(topic: str | None) -> None:
    with pytest.raises(ConfigurationError, match=r"adapter\.topic"):
        check_topics(Settings(adapter=AdapterSettings(topic=topic)))
