"""Recordings through the core: in the order of time, however they are cut, with ids that meet over partitions."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.builders import CLOCK_TOPIC, SOURCES, START, TOPIC, Click, catalogue, click, offer, source, tick
from support.fakes import hashing_model
from support.rerunning import Kept, ran, recorded

from forestay.core.decision.answer import ModelIdentity
from forestay.core.errors import FloodError
from forestay.core.record import SourceRecord
from forestay.core.rules import Rules
from forestay.core.units import DAY, HOUR, MINUTE
from forestay.recording import RecordingError, open_recording
from forestay.rerun.event_time import EventTime
from forestay.rerun.job import rerun, written
from forestay.rerun.lane import Plan
from forestay.rerun.outputs import Digests, Kind
from forestay.rerun.readable import FieldChange, field_changes
from forestay.rerun.reading import Recordings
from forestay.rerun.scores import ModelScores, NoScores, ScoreBook
from forestay.settings import Settings

MODEL = ModelIdentity("test", "7", 45)


def rows(*clicks: Click, partitions: int = 1) -> list[SourceRecord]:
    """Returns events in this order, each in the partition its user's last digit says."""
    ends = [0] * partitions
    found = []
    for one in clicks:
        number = int(one["user_id"][-1]) % partitions
        found.append(source(one, ends[number], partition=number))
        ends[number] += 1
    return found


def visits(user: str, count: int, start: int = START) -> list[Click]:
    return [click(f"{user}-{n}", user, "view_item", start + n * HOUR, item_id=f"i{n}") for n in range(count)]


def by_time(*streams: Sequence[Click]) -> list[Click]:
    return sorted((one for stream in streams for one in stream), key=lambda one: one["ts"])


def reduced(kept: Kept) -> list[tuple[str, str]]:
    """Returns user and trigger of each decision."""
    decisions = map(json.loads, kept.values(Kind.DECISIONS))
    return [(one["user_id"], one["trigger"]["kind"]) for one in decisions]


# -- order ---------------------------------------------------------------------------------------------


def test_a_recorded_clock_wakes_the_silent() -> None:
    run, kept = ran([*rows(click(ts=START)), tick(START + 20 * DAY)])
    assert reduced(kept) == [("u1", "event"), ("u1", "silence")]
    assert run.records == 2


def test_topics_of_a_partition_are_taken_by_time(tmp_path: Path) -> None:
    """The clock, in a recording of its own, comes between the events."""
    events = recorded(tmp_path / "events.jsonl", rows(click("a", ts=START), click("b", ts=START + 60 * DAY)))
    clock = recorded(tmp_path / "clock.jsonl", [tick(START + 30 * DAY)])
    _, kept = ran(Recordings([clock, events]).rows([TOPIC, CLOCK_TOPIC]))
    triggers = [json.loads(value)["trigger"] for value in kept.values(Kind.DECISIONS)]
    # The first silence is the clock's; it had been the second event's without it.
    assert [(one["kind"], one["topic"]) for one in triggers[:2]] == [("event", TOPIC), ("silence", CLOCK_TOPIC)]


def test_recordings_of_one_topic_follow_each_other(tmp_path: Path) -> None:
    stream = rows(*visits("u1", 9))
    paths = [recorded(tmp_path / f"{n}.jsonl", stream[3 * n : 3 * n + 3]) for n in range(3)]
    assert list(Recordings(paths).rows([TOPIC])) == stream
    assert list(Recordings([paths[2], paths[0], paths[1]]).rows([TOPIC])) == stream
    with pytest.raises(RecordingError, match="hold the same offsets of clickstream-0"):
        Recordings([paths[0], paths[0]])


def test_other_topics_are_passed_over(tmp_path: Path) -> None:
    other = SourceRecord("retention-decisions", 0, 0, START, None, b"{}")
    recordings = Recordings([recorded(tmp_path / "both.parquet", [*rows(click()), other])])
    assert [row.topic for row in recordings.rows([TOPIC])] == [TOPIC]
    assert recordings.topics == [TOPIC, "retention-decisions"]


# -- ids that are one user -----------------------------------------------------------------------------


def shop_with_two_ids() -> list[Click]:
    """u1 looks around as a2, logs in, and comes back as a2; u3 is somebody else."""
    before, after = visits("a2", 3), visits("a2", 2, START + 2 * DAY)
    after = [one | {"event_id": f"late-{one['event_id']}"} for one in after]
    login = click("login", "u1", "login", START + DAY, anonymous_id="a2")
    return by_time(before, [login], after, visits("u3", 60, START))


@pytest.mark.parametrize("taken", [1, 2, 7, 1_000])
def test_ids_meet_over_partitions_however_rows_are_cut(taken: int) -> None:
    stream = rows(*shop_with_two_ids(), partitions=2)
    scores = ModelScores(hashing_model("ids"), MODEL)
    run, kept = ran(stream, Rules(score_interval=0), scores=scores, taken=taken, partitions=2)
    state = run.lanes[1].core.users.get("u1")
    assert state is not None
    assert state.identity is not None
    # Three events before the login, the login, and two sent on after it.
    assert (list(state.identity.absorbed), state.applied) == (["a2"], 6)
    _, other = ran(stream, Rules(score_interval=0), scores=scores, taken=3, partitions=2)
    assert kept.records == other.records


def test_ids_are_not_merged_where_that_is_off() -> None:
    rules = Rules(merge_identities=False)
    run, _ = ran(rows(*shop_with_two_ids(), partitions=2), rules, partitions=2)
    assert run.lanes[0].core.users.get("a2") is not None
    state = run.lanes[1].core.users.get("u1")
    assert state is not None
    assert state.applied == 1


# -- scores --------------------------------------------------------------------------------------------


def test_recorded_scores_make_the_same_bytes() -> None:
    stream = rows(*by_time(visits("u1", 40), visits("u2", 40, START + MINUTE)))
    shop = catalogue(offer("gift", cost={"fixed": 0.5}))
    book = ScoreBook(NoScores())
    _, kept = ran(stream, shop=shop, scores=ModelScores(hashing_model("book"), MODEL))
    for value in kept.values(Kind.DECISIONS):
        book.add(value)
    _, again = ran(stream, shop=shop, scores=book)
    assert again.records == kept.records
    assert (book.found, book.missing, book.other_input) == (len(kept.values(Kind.DECISIONS)), 0, 0)


def test_a_recorded_score_counts_for_its_own_input_alone() -> None:
    _, kept = ran(rows(click("a", ts=START)), scores=ModelScores(hashing_model("book"), MODEL))
    book = ScoreBook(NoScores())
    book.add(kept.values(Kind.DECISIONS)[0])
    # The same moment of the same user, and another event.
    _, other = ran(rows(click("a", event="purchase", ts=START), click("b", "u2", ts=START + 1)), scores=book)
    assert (book.found, book.missing, book.other_input) == (0, 1, 1)
    rungs = [json.loads(value)["churn"]["rung"] for value in other.values(Kind.DECISIONS)]
    assert rungs == ["rule", "rule"]


def test_models_that_change_half_way_keep_their_stamps() -> None:
    stream = rows(*visits("u1", 4))
    scores = [ModelScores(hashing_model("book"), ModelIdentity("test", version, 45)) for version in ("7", "8")]
    first, second = (ran(stream, scores=one)[1].values(Kind.DECISIONS) for one in scores)
    book = ScoreBook(NoScores())
    for value in (*first[:2], *second[2:]):
        book.add(value)
    _, kept = ran(stream, scores=book)
    assert kept.values(Kind.DECISIONS) == [*first[:2], *second[2:]]


# -- ends ----------------------------------------------------------------------------------------------


def test_a_flood_of_bad_records_ends_it_with_its_letters_written() -> None:
    bad = [source(b"{", offset) for offset in range(300)]
    kept = Kept()
    run = EventTime(Plan(SOURCES, Rules(), catalogue(), lambda _key: 0), NoScores(), kept)
    with pytest.raises(FloodError):
        run.run(bad)
    assert len(kept.of(Kind.DEAD_LETTERS)) == 100


def test_a_rerun_is_written_as_a_recording_of_the_same_digests(tmp_path: Path) -> None:
    recordings = Recordings([recorded(tmp_path / "in.jsonl", rows(*visits("u1", 30)))])
    settings, out = Settings(), tmp_path / "out.parquet"
    with written(out, settings, recordings) as sink:
        made = rerun(settings, recordings, NoScores(), quiet_days=30, sinks=[sink])
    again = open_recording(out)
    digests, kept = Digests(), Kept()
    rerun(settings, recordings, NoScores(), quiet_days=30, sinks=[digests, kept])
    assert digests.found() == made.made
    of_topic = [row for row in again if row.topic == settings.topics.decisions]
    assert [row.value for row in of_topic] == kept.values(Kind.DECISIONS)
    assert [row.offset for row in of_topic] == list(range(len(of_topic)))
    assert made.records == 30
    assert made.made[Kind.DECISIONS].records == len(of_topic) > 30


def test_a_difference_is_told_by_field() -> None:
    before, after = b'{"a":{"b":[1,2]},"c":null}', b'{"a":{"b":[1,3]},"d":"x"}'
    assert field_changes(before, after) == [
        FieldChange("a.b.1", "2", "3"),
        FieldChange("c", "null", "(none)"),
        FieldChange("d", "(none)", '"x"'),
    ]
    assert field_changes(b"\xff", None) == [FieldChange("value", '"\\\\xff"', "(none)")]
