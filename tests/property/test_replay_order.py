"""Recordings come out in one order, each record when it is due, and every one is accounted for."""

import asyncio
import heapq
import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from support.sinks import MemorySink, VirtualClock

from forestay.recording import RecordedMessage, Recording, RecordingMetadata, open_recording, write_recording
from forestay.replay import extent, window
from forestay.replay.extent import Extent, pieces
from forestay.replay.order import Recorded
from forestay.replay.pace import Fastest, OwnPace, Pace, Steady
from forestay.replay.replayer import _TICK, Replayer
from forestay.replay.routes import Route

Rows = list[RecordedMessage]


@st.composite
def rows_of(draw: st.DrawFn, topics: tuple[str, ...], most: int = 30) -> Rows:
    """Rows of some topics with 2 partitions each; times may fall from row to row."""
    ends: dict[tuple[str, int], int] = {}
    rows = []
    for number in range(draw(st.integers(0, most))):
        place = (draw(st.sampled_from(topics)), draw(st.integers(0, 1)))
        ends[place] = ends.get(place, -1) + draw(st.integers(1, 2))
        key = draw(st.sampled_from((None, b"a", b"b")))
        rows.append(RecordedMessage(*place, ends[place], draw(st.integers(-1, 400)), key, b"%d" % number))
    return rows


@contextmanager
def written(*parts: Rows) -> Iterator[list[Recording]]:
    with tempfile.TemporaryDirectory() as folder, patch("forestay.recording.blocks.BLOCK_ROWS", 4):
        paths = [Path(folder) / f"{number}.jsonl" for number in range(len(parts))]
        for path, rows in zip(paths, parts, strict=True):
            write_recording(path, rows, RecordingMetadata(description="", partitions={"t": 2, "u": 2, "v": 2}))
        yield [open_recording(path) for path in paths]


def turns(rows: Rows) -> list[int]:
    latest, found = -1, []
    for row in rows:
        latest = max(latest, row.timestamp)
        found.append(latest)
    return found


@given(rows_of(("t",)), rows_of(("u", "v")))
def test_recordings_of_different_partitions_are_merged_by_time(first: Rows, second: Rows) -> None:
    with written(first, second) as recordings:
        merged = list(Recorded(recordings).messages())
        assert list(Recorded(recordings).of_topics({"t", "v"})) == [row for row in merged if row.topic in {"t", "v"}]
    numbered = [
        [(turn, number, index, row) for index, (turn, row) in enumerate(zip(turns(rows), rows, strict=True))]
        for number, rows in enumerate((first, second))
    ]
    assert merged == [row for *_, row in heapq.merge(*numbered)]


@given(rows_of(("t", "u")), st.lists(st.integers(0, 30), max_size=3), st.randoms())
def test_one_recording_cut_in_several_is_as_it_was(rows: Rows, cuts: list[int], order: random.Random) -> None:
    """However the parts are given: the offsets say which comes first."""
    bounds = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [rows[start:stop] for start, stop in pairwise(bounds)]
    order.shuffle(parts)
    with written(*parts) as recordings:
        merged = list(Recorded(recordings).messages())
        assert list(Recorded(recordings).of_topics({"u"})) == [row for row in merged if row.topic == "u"]
    for place in {(row.topic, row.partition) for row in rows}:
        assert [row for row in merged if row[:2] == place] == [row for row in rows if row[:2] == place]
    assert len(merged) == len(rows)


@given(
    rows_of(("t", "u")),
    st.tuples(st.integers(0, 30), st.none() | st.integers(0, 30), st.none() | st.integers(0, 400)),
    st.none() | st.integers(0, 400),
    st.none() | st.integers(1, 10),
    st.sets(st.sampled_from("tu")),
)
def test_an_extent_is_what_it_says(
    rows: Rows, begin: tuple[int, int | None, int | None], until: int | None, limit: int | None, topics: set[str]
) -> None:
    first, stop, since = begin
    found: list[tuple[int, RecordedMessage]] = []
    with written(rows) as recordings, patch.object(extent, "PIECE_ROWS", 3):
        for piece in pieces(Recorded(recordings), Extent(first, stop, since, until, limit), topics):
            assert 1 <= len(piece.numbers) <= 3
            found += zip(piece.numbers, piece.messages, strict=True)
    inside = list(enumerate(rows))[first:stop]
    reached = turns([row for _, row in inside])
    wanted = [
        (number, row)
        for (number, row), turn in zip(inside, reached, strict=True)
        if (since is None or turn >= since) and (until is None or turn < until) and row.topic in topics
    ]
    assert found == wanted[:limit]


paces: st.SearchStrategy[Pace] = st.one_of(
    st.just(Fastest()),
    st.floats(2, 2_000).map(Steady),
    st.floats(0.1, 100).map(OwnPace),
)


@settings(max_examples=40)
@given(rows_of(("t", "u"), most=60), paces, st.integers(1, 5), st.integers(1, 4), st.integers())
def test_every_record_goes_out_when_it_is_due_and_in_its_order(
    rows: Rows, pace: Pace, batch: int, partitions: int, seed: int
) -> None:
    clock, order = VirtualClock(), random.Random(seed)
    sink = MemorySink(clock, batch=batch, slowness=lambda: order.randint(0, 4))
    routes = {topic: Route(f"new-{topic}", partitions, 2, "murmur2") for topic in "tu"}

    async def run() -> None:
        replayer = Replayer(sink, routes, pace, keep_timestamps=True, clock=clock)
        summary = await replayer.run(pieces(recorded, Extent(), routes), asyncio.Event())
        assert (summary.sent, summary.acknowledged, summary.next_row) == (len(rows), len(rows), len(rows))

    with (
        written(rows) as recordings,
        patch.object(extent, "PIECE_ROWS", 7),
        patch.object(window, "MAX_RECORDS", 10),
    ):
        recorded = Recorded(recordings)
        asyncio.run(run())
    # A partition has its records in their order, and a key is in one partition.
    expected: dict[tuple[str, int], list[bytes | None]] = defaultdict(list)
    for row in rows:
        route = routes[row.topic]
        expected[route.topic, route.partition(row)].append(row.value)
    assert {place: [kept.value for kept in log] for place, log in sink.log.items()} == dict(expected)
    # None is early, and none late: by a tick after what was due before it, by two where a piece ends between.
    due = {row.value: 100.0 + pace.due(n, row.timestamp - rows[0].timestamp) for n, row in enumerate(rows)}
    latest = -1.0
    for row in rows:
        latest = max(latest, due[row.value])
        sent = next(moment for moment, message in sink.sent if message.value == row.value)
        assert due[row.value] <= sent + 1e-9
        assert sent <= max(latest, 100.0) + 2 * _TICK + 1e-9
    # Nobody is further ahead than the bound and one piece.
    assert sink.most_under_way <= 10 + 7
