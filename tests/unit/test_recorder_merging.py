"""Several partitions in one order: by time, and within a partition as they came."""

import random
from collections.abc import Iterator

import pytest

from forestay.core.errors import ConfigurationError
from forestay.recorder.bounds import Bound, Kind, parse_end, parse_start
from forestay.recorder.choice import choose
from forestay.recorder.merging import Merge
from forestay.recording import RecordedMessage
from forestay.settings import TopicSettings


def row(partition: int, offset: int, timestamp: int) -> RecordedMessage:
    return RecordedMessage("t", partition, offset, timestamp, None, b"v")


def test_records_go_out_by_time() -> None:
    merge = Merge()
    merge.add(("t", 0), [row(0, 0, 10), row(0, 1, 30)])
    merge.add(("t", 1), [row(1, 0, 20), row(1, 1, 40)])
    assert merge.take([("t", 0), ("t", 1)]) == [row(0, 0, 10), row(1, 0, 20), row(0, 1, 30)]
    assert merge.take([]) == [row(1, 1, 40)]


def test_nothing_goes_out_before_every_partition_behind_has_spoken() -> None:
    merge = Merge()
    merge.add(("t", 0), [row(0, 0, 10)])
    assert merge.take([("t", 0), ("t", 1)]) == []
    assert merge.take([("t", 0)]) == [row(0, 0, 10)]


def test_a_late_record_follows_what_came_before_it_in_its_partition() -> None:
    merge = Merge()
    merge.add(("t", 0), [row(0, 0, 50), row(0, 1, 10), row(0, 2, 60)])
    merge.add(("t", 1), [row(1, 0, 20), row(1, 1, 55)])
    assert merge.take([]) == [row(1, 0, 20), row(0, 0, 50), row(0, 1, 10), row(1, 1, 55), row(0, 2, 60)]


def test_what_is_held_is_known_and_let_go() -> None:
    merge = Merge()
    merge.add(("t", 0), [row(0, 0, 10), row(0, 1, 30)])
    assert merge.held(("t", 0)) == 2
    merge.take([("t", 0), ("t", 1)])
    assert merge.held(("t", 0)) == 2
    merge.add(("t", 1), [row(1, 0, 20)])
    merge.take([("t", 0), ("t", 1)])
    assert merge.held(("t", 0)) == 1
    merge.take([])
    assert merge.held(("t", 0)) == 0


def in_pieces(partitions: list[list[RecordedMessage]], chance: random.Random) -> Iterator[RecordedMessage]:
    """What a merge yields that is fed in pieces of any size, in any order."""
    merge, left = Merge(), {("t", number): list(rows) for number, rows in enumerate(partitions)}
    while any(left.values()):
        place = chance.choice([place for place, rows in left.items() if rows])
        count = chance.randint(1, 5)
        merge.add(place, left[place][:count])
        del left[place][:count]
        yield from merge.take([place for place, rows in left.items() if rows])
    yield from merge.take([])


@pytest.mark.parametrize("seed", range(20))
def test_the_order_depends_on_the_records_alone(seed: int) -> None:
    chance = random.Random(seed)
    partitions = [[row(p, n, chance.randint(0, 6) + n // 3) for n in range(30)] for p in range(4)]
    first = list(in_pieces(partitions, chance))
    assert first == list(in_pieces(partitions, chance))
    for number, rows in enumerate(partitions):
        assert [message for message in first if message.partition == number] == rows
    latest = [[max(m.timestamp for m in rows[: n + 1]) for n in range(len(rows))] for rows in partitions]
    turns = [latest[message.partition][message.offset] for message in first]
    assert turns == sorted(turns)


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("earliest", Bound(Kind.EARLIEST)),
        ("latest", Bound(Kind.NOW)),
        ("1700", Bound(Kind.OFFSET, 1_700)),
        ("2026-11-01", Bound(Kind.TIME, 1_793_491_200_000)),
        ("2026-11-01T01:00:00+01:00", Bound(Kind.TIME, 1_793_491_200_000)),
        ("2026-11-01T00:00:00.250Z", Bound(Kind.TIME, 1_793_491_200_250)),
    ],
)
def test_a_start_is_a_word_an_offset_or_a_time(text: str, bound: Bound) -> None:
    assert parse_start(text) == bound


def test_an_end_is_now_an_offset_or_a_time() -> None:
    assert parse_end("now") == Bound(Kind.NOW)
    assert parse_end("12") == Bound(Kind.OFFSET, 12)
    with pytest.raises(ConfigurationError, match="--until yesterday: write now, an offset, or a time such as"):
        parse_end("yesterday")


def test_a_role_stands_for_the_topic_the_settings_name() -> None:
    topics = TopicSettings(clickstream="shop.clicks", dead_letters="shop.dlq")
    assert choose(topics, ["clickstream", "dead-letters", "other", "clickstream"], []).names == (
        "shop.clicks",
        "shop.dlq",
        "other",
    )
    with pytest.raises(ConfigurationError, match=r"--pattern \(: is no regular expression"):
        choose(topics, [], ["("])
