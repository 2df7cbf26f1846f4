"""Where recorded topics go, and what a person asks for and is told."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from support.sinks import MemorySink
from typer.testing import CliRunner

from forestay.cli.main import app
from forestay.cli.replaying import outcome, reach, report_lines
from forestay.core.errors import ConfigurationError
from forestay.recording import RecordedMessage, RecordingError, RecordingMetadata, open_recording, write_recording
from forestay.replay.extent import Extent, parse_extent, pieces, total
from forestay.replay.order import Recorded
from forestay.replay.outcome import Arrived, ReplayError, Summary
from forestay.replay.pace import Fastest
from forestay.replay.replayer import Replayer
from forestay.replay.routes import destinations, routes, warnings
from forestay.settings import TopicSettings

Make = Callable[..., Recorded]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a recording of topics, a record each, two partitions each."""

    def make(*topics: str, roles: dict[str, str] | None = None) -> Recorded:
        rows = [RecordedMessage(topic, 1, 0, 1_000, b"k", b"v") for topic in topics]
        metadata = RecordingMetadata(
            description="", partitions=dict.fromkeys(topics, 2), properties={"roles": roles} if roles else {}
        )
        write_recording(tmp_path / "r.jsonl", rows, metadata)
        return Recorded([open_recording(tmp_path / "r.jsonl")])

    return make


def test_topics_go_to_those_of_the_same_role_or_name(make: Make) -> None:
    recorded = make("shop-clicks", "forestay-clock", "weather", roles={"shop-clicks": "clickstream"})
    settings = TopicSettings(clickstream="here-clicks", clock="here-clock")
    assert destinations(recorded, settings, (), {}).topics == {
        "shop-clicks": "here-clicks",
        "forestay-clock": "here-clock",
        "weather": "weather",
    }


def test_what_workers_write_is_sent_only_when_asked_for(make: Make) -> None:
    recorded = make(
        "clickstream",
        "forestay-catalogue",
        "forestay-identity",
        "retention-actions",
        "forestay-user-state-changelog",
    )
    found = destinations(recorded, TopicSettings(), (), {"actions": "copy"})
    assert found.topics == {"clickstream": "clickstream", "retention-actions": "copy"}
    assert sorted(found.left_out) == ["forestay-catalogue", "forestay-identity", "forestay-user-state-changelog"]
    asked = destinations(recorded, TopicSettings(state="changelog"), ("state", "retention-actions"), {})
    assert asked.topics == {
        "retention-actions": "retention-actions",
        "forestay-user-state-changelog": "changelog",
    }
    assert asked.left_out == []


def test_a_topic_that_was_not_recorded_is_named(make: Make) -> None:
    with pytest.raises(ConfigurationError, match="--only clickstream: the recording holds a, b"):
        destinations(make("a", "b"), TopicSettings(), ("clickstream",), {})
    with pytest.raises(ConfigurationError, match="--topic c: the recording holds a, b"):
        destinations(make("a", "b"), TopicSettings(), (), {"c": "d"})


def test_partitions_are_kept_where_there_are_as_many_else_keys_decide_and_that_is_said(make: Make) -> None:
    recorded = make("same", "wider")
    found = routes(recorded, {"same": "s", "wider": "w"}, {"s": 2, "w": 3}, "murmur2")
    message = RecordedMessage("t", 1, 0, 0, b"user-7", None)
    assert found["same"].partition(message) == 1
    assert found["same"].partition(message._replace(key=None)) == 1
    # murmur2 of Java's client: pinned in the tests of placement too.
    homes = {found["wider"].partition(message._replace(key=b"user-%d" % n, partition=n % 2)) for n in range(50)}
    assert homes == {0, 1, 2}
    assert found["wider"].partition(message._replace(partition=0)) == found["wider"].partition(message)
    assert found["wider"].partition(message._replace(key=None)) == 1
    assert warnings(found) == [
        "wider had 2 partitions when it was recorded, w has 3: records go where their keys belong"
    ]


def test_a_topic_that_is_not_there_is_named_with_what_makes_it(make: Make) -> None:
    with pytest.raises(ReplayError, match=r"no topic x, y: `forestay topics declare` makes .* --create any"):
        routes(make("a", "b", "c"), {"a": "y", "b": "x", "c": "there"}, {"there": 2}, "murmur2")


def test_several_topics_go_out_together(make: Make) -> None:
    recorded = make("a", "b")
    found = routes(recorded, {"a": "x", "b": "y"}, {"x": 2, "y": 2}, "crc32")
    sink = MemorySink()
    asyncio.run(Replayer(sink, found, Fastest()).run(pieces(recorded, Extent(), found), asyncio.Event()))
    assert sorted(sink.log) == [("x", 1), ("y", 1)]


def test_recordings_that_hold_the_same_are_refused(tmp_path: Path) -> None:
    def recording(name: str, *offsets: tuple[str, int]) -> Path:
        rows = [RecordedMessage(topic, 0, offset, 0, None, b"v") for topic, offset in offsets]
        write_recording(tmp_path / name, rows, RecordingMetadata(description=""))
        return tmp_path / name

    one, other = recording("one.jsonl", ("t", 1), ("t", 5)), recording("other.jsonl", ("t", 5))
    with pytest.raises(RecordingError, match=r"one.jsonl and .*other.jsonl hold the same offsets of t-0"):
        Recorded([open_recording(one), open_recording(other)])
    crossed = recording("crossed.jsonl", ("t", 9), ("u", 1)), recording("twin.jsonl", ("t", 1), ("u", 9))
    with pytest.raises(RecordingError, match="holds what comes before the other"):
        Recorded([open_recording(path) for path in crossed])


def test_bounds_are_rows_or_times() -> None:
    assert parse_extent(None, None, 5) == Extent(limit=5)
    assert parse_extent("10", "20", None) == Extent(first=10, stop=20)
    assert parse_extent("1970-01-01T00:00:01", "1970-01-01T01:00:02+01:00", None) == Extent(since=1_000, until=2_000)
    with pytest.raises(ConfigurationError, match="--until noon: write a row, counted from 0, or a time such as"):
        parse_extent(None, "noon", None)


def test_how_much_there_is_to_send_is_known_where_it_can_be(make: Make) -> None:
    recorded = make("a", "b", "c")
    assert total(recorded, Extent(), {"a", "b"}) == 2
    assert total(recorded, Extent(first=1), {"a", "b", "c"}) == 2
    assert total(recorded, Extent(first=1, limit=1), {"a", "b", "c"}) == 1
    assert total(recorded, Extent(first=1), {"a"}) is None
    assert total(recorded, Extent(until=1), {"a", "b", "c"}) is None


SUMMARY = Summary(1_500, 1_500, 0.5, halted=True, next_row=1_700, arrived={("x", 1): Arrived(1_500, 3, 1_502)})


def test_a_person_is_told_how_much_and_how_to_go_on() -> None:
    assert list(report_lines(SUMMARY)) == [
        "stopped half-way: 1,500 sent in 0.5 s (3,000/s)",
        "  x: 1,500",
        "--from 1700 goes on from here",
    ]


def test_machines_are_told_where_everything_lies() -> None:
    told = outcome(SUMMARY)
    assert told["topics"] == {
        "x": {"sent": 1_500, "partitions": {"1": {"records": 1_500, "first_offset": 3, "last_offset": 1_502}}}
    }
    assert (told["sent"], told["halted"], told["next_row"]) == (1_500, True, 1_700)


def test_wrong_use_is_told_before_a_broker_is_asked(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make("retention-actions")
    assert CliRunner().invoke(app, ["replay", "r.jsonl", "--topic", "actions"]).exit_code == 2
    assert CliRunner().invoke(app, ["replay", "r.jsonl", "--rate", "1", "--speed", "1"]).exit_code == 2
    done = CliRunner().invoke(app, ["replay", "r.jsonl"])
    assert done.exit_code == 1
    assert "retention-actions is left out: workers write it themselves" in done.stderr
    assert "nothing is left to be sent" in done.stderr


def test_a_replay_of_nothing_says_from_where_to_where_the_recording_goes(make: Make) -> None:
    assert reach(make("clickstream", "clock")) == (
        "what is recorded has rows 0 to 1, of 1970-01-01T00:00:01.000Z to 1970-01-01T00:00:01.000Z"
    )
