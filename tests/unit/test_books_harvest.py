"""What is read from the output topics reaches the books, and what cannot be read is named."""

import json
from typing import Any

import pytest
from support.books_world import state_of
from support.builders import encoded

from forestay.core.state.mark import PartitionMark, StateTopics
from forestay.core.state.state_codec import MARK_KEY, TOPICS_KEY, encode_mark, encode_topics
from forestay.demo.harvest import Harvest, Raw
from forestay.output_reading import Unreadable, read_action, read_dead_letter, read_decision
from forestay.settings import TopicSettings

TOPICS = TopicSettings()
DECISION: dict[str, Any] = {
    "decision_id": "d1",
    "user_id": "u1",
    "decided_at": "2010-03-01T12:00:00.000Z",
    "trigger": {"kind": "event", "event_id": "e1", "topic": "clickstream", "partition": 1, "offset": 7},
    "churn": {"probability": 0.4, "horizon_days": 60, "model": "m", "version": "1", "rung": "model"},
    "holdout": False,
    "suppressed": [{"offer_id": "coupon-10", "kind": "promotion", "code": "cooldown"}],
    "offer_id": "points-500",
    "action_id": "a1",
}
ACTION = {
    **{name: DECISION[name] for name in ("decision_id", "user_id", "decided_at", "trigger", "churn")},
    "action_id": "a1",
    "kind": "loyalty",
    "offer_id": "points-500",
    "channel": "app",
    "cost": 2.5,
    "reasons": [{"code": "churn_risk", "text": "40% likely not to order"}],
    "payload": {"points": 500},
}
HEADERS = [
    ("trace", b"x"),
    ("forestay-error", b"contract"),
    ("forestay-reason", b"price: must be a number"),
    ("forestay-topic", b"clickstream"),
    ("forestay-partition", b"2"),
    ("forestay-offset", b"33"),
]


def raw(topic: str, value: Any, key: bytes | None = b"u1", partition: int = 1, **more: Any) -> Raw:
    content = value if isinstance(value, bytes | None) else json.dumps(value).encode()
    return Raw(topic, partition, 5, 1_000, 1_010, key, content, **more)


def test_every_topic_is_read_and_counted() -> None:
    harvest = Harvest(TOPICS)
    harvest.take(raw(TOPICS.decisions, DECISION))
    harvest.take(raw(TOPICS.actions, ACTION))
    harvest.take(raw(TOPICS.dead_letters, b"{", headers=HEADERS))
    harvest.take(raw(TOPICS.state, encoded(state_of(applied=3))))
    # Of users alone: a partition's mark and its record of topics are none.
    harvest.take(raw(TOPICS.state, encode_mark(PartitionMark({"clickstream": 9}, 5, 1, 1, 5)), key=MARK_KEY))
    harvest.take(raw(TOPICS.state, encode_topics(StateTopics(partitions=1)), key=TOPICS_KEY))
    harvest.take(raw(TOPICS.state, encoded(state_of(applied=3))))
    assert (harvest.rungs, harvest.kinds, harvest.users) == ({"model": 1}, {"loyalty": 1}, 1)
    assert (harvest.dead_letters[0].topic, harvest.dead_letters[0].offset) == ("clickstream", 33)
    users, marks = harvest.states()
    assert users["u1"].applied == 3
    assert marks[1].positions == {"clickstream": 9}
    assert not harvest.unreadable


def test_the_newest_state_stands_and_a_tombstone_removes_it() -> None:
    harvest = Harvest(TOPICS)
    for applied in (1, 2):
        harvest.take(raw(TOPICS.state, encoded(state_of(applied=applied))))
    assert harvest.states()[0]["u1"].applied == 2
    assert harvest.users == 1
    harvest.take(raw(TOPICS.state, None))
    assert harvest.states()[0] == {}
    assert harvest.users == 0


@pytest.mark.parametrize(
    ("topic", "value", "key"),
    [
        (TOPICS.decisions, b"no JSON", b"u1"),
        (TOPICS.decisions, None, b"u1"),
        (TOPICS.decisions, {**DECISION, "decided_at": "yesterday"}, b"u1"),
        (TOPICS.actions, {**ACTION, "kind": "serenade"}, b"u1"),
        (TOPICS.dead_letters, b"{", b"u1"),
        (TOPICS.state, encoded(state_of()), None),
    ],
)
def test_what_cannot_be_read_is_named_by_its_place(topic: str, value: Any, key: bytes | None) -> None:
    harvest = Harvest(TOPICS)
    harvest.take(raw(topic, value, key))
    (note,) = harvest.unreadable
    assert note.startswith(f"{topic}-1@5: ")


def test_damaged_and_doubled_state_is_named() -> None:
    harvest = Harvest(TOPICS)
    harvest.take(raw(TOPICS.state, b"\x63nonsense", key=b"damaged"))
    harvest.take(raw(TOPICS.state, encoded(state_of()), key=b"doubled"))
    harvest.take(raw(TOPICS.state, encoded(state_of()), key=b"doubled", partition=2))
    harvest.take(raw(TOPICS.state, encoded(state_of()), key=b"\xff"))
    harvest.states()
    assert sorted(note.split()[1 if note.startswith("user") else 3] for note in harvest.unreadable) == [
        "b'\\xff'",
        "b'damaged'",
        "doubled",
    ]


def test_a_decision_without_a_score_is_read_for_the_books_to_find() -> None:
    value = json.dumps({name: field for name, field in DECISION.items() if name != "churn"}).encode()
    assert read_decision(value, 0, 0).record.churn.probability is None


def test_the_same_bytes_have_the_same_digest() -> None:
    one, again, other = (json.dumps(dict(ACTION, cost=cost)).encode() for cost in (1.0, 1.0, 2.0))
    digests = [read_action(value, 0, 0).stamp.digest for value in (one, again, other)]
    assert digests[0] == digests[1] != digests[2]


def test_our_headers_are_those_that_count() -> None:
    """A producer may have sent headers under the same names; ours were added after them."""
    letter = read_dead_letter(b"k", b"v", [("forestay-topic", b"forged"), *HEADERS])
    assert letter.topic == "clickstream"


@pytest.mark.parametrize("missing", ["error", "reason", "topic", "partition", "offset"])
def test_a_dead_letter_without_a_header_cannot_be_read(missing: str) -> None:
    headers = [(name, value) for name, value in HEADERS if name != f"forestay-{missing}"]
    with pytest.raises(Unreadable, match=missing):
        read_dead_letter(None, None, headers)
