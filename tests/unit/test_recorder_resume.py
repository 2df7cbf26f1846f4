"""A recorder that is killed or runs out of room at any moment leaves a readable recording, and goes on from there."""

import asyncio
import resource
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from support.recorded import FakeSource, FullDisk, Killed

from forestay.core.errors import ForestayError
from forestay.recorder.bounds import Bound, Kind
from forestay.recorder.choice import Choice
from forestay.recorder.recorder import Plan, Recorder, Report
from forestay.recording import RecordedMessage, Recording, RecordingError, open_recording
from forestay.recording.errors import NoRoomError
from forestay.recording.output import Describe, FileOutput, FolderOutput, Limits, Output
from forestay.settings import KafkaSettings

SMALL = Limits(size=1, seconds=3_600)
LARGE = Limits(size=2**30, seconds=3_600)

ROWS = [
    RecordedMessage(topic, number % 3, number * 2, 1_000 + number * 7 % 11, f"u{number}".encode(), b'{"a":1}')
    for number in range(20)
    for topic in ("actions", "clicks")
]

#: Each of them is written in every test that fails at every write.
FEW = ROWS[:14]


def plan(**changed: object) -> Plan:
    made = Plan(Choice(("actions", "clicks"), ()), Bound(Kind.EARLIEST), Bound(Kind.NOW), None, skip_gaps=False)
    return made._replace(**changed)  # type: ignore[arg-type]


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Report]:
    """Records what a fake source has into a folder, in blocks of four rows."""
    monkeypatch.setattr("forestay.recording.blocks.BLOCK_ROWS", 4)
    monkeypatch.setattr("forestay.recorder.recorder._LOOK", 0.0)

    def run(
        source: FakeSource,
        path: Path,
        wanted: Plan | None = None,
        *,
        limits: Limits = SMALL,
        form: str = "parquet",
        tell: Callable[..., None] = lambda *_: None,
        stop: asyncio.Event | None = None,
    ) -> Report:
        def output(describe: Describe) -> Output:
            if path.suffix:
                return FileOutput(path, describe)
            return FolderOutput(path, form, limits, describe)

        with monkeypatch.context() as patch:
            patch.setattr("forestay.recorder.recorder.Source", lambda *_: source)
            patch.setattr("forestay.recorder.recorder.end_offsets", lambda *_: source.ends())
            recorder = Recorder(KafkaSettings(), wanted or plan(), source.counts, output, tell)
            return asyncio.run(recorder.run(stop or asyncio.Event()))

    return run


def by_partition(rows: Recording | list[RecordedMessage]) -> dict[tuple[str, int], list[RecordedMessage]]:
    found = defaultdict(list)
    for row in rows:
        found[row.topic, row.partition].append(row)
    return dict(found)


def is_prefix(recording: Recording) -> bool:
    """Says whether each partition is recorded from its beginning, without gap."""
    whole = by_partition(ROWS)
    return all(whole[place][: len(rows)] == rows for place, rows in by_partition(recording).items())


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_all_is_recorded_in_parts_that_read_as_one(record: Callable[..., Report], tmp_path: Path, form: str) -> None:
    report = record(FakeSource(ROWS), tmp_path / "f", form=form)
    recording = open_recording(tmp_path / "f")
    assert (report.records, len(recording)) == (40, 40)
    assert by_partition(recording) == by_partition(ROWS)
    assert recording.metadata.partitions == {"actions": 3, "clicks": 3}
    assert list(report.files) == [f"part-{number:06}.{form}" for number in range(11)]
    assert sorted(path.name for path in (tmp_path / "f").iterdir()) == list(report.files)
    assert list(recording.messages(3, 18)) == list(recording)[3:18]


def test_one_that_is_complete_gets_no_more_parts(record: Callable[..., Report], tmp_path: Path) -> None:
    record(FakeSource(ROWS), tmp_path / "f")
    before = open_recording(tmp_path / "f").digest
    report = record(FakeSource(ROWS), tmp_path / "f")
    assert (report.records, report.resumed, report.files) == (0, True, {})
    assert open_recording(tmp_path / "f").digest == before


def test_nothing_is_recorded_behind_a_damaged_part(record: Callable[..., Report], tmp_path: Path) -> None:
    record(FakeSource(ROWS), tmp_path / "f")
    parts = sorted((tmp_path / "f").iterdir())
    parts[3].write_bytes(parts[3].read_bytes()[:-9])
    with pytest.raises(RecordingError, match=r"part-000003.parquet: .*cut off or damaged"):
        record(FakeSource([*ROWS, ROWS[-1]._replace(offset=99)]), tmp_path / "f")
    assert sorted((tmp_path / "f").iterdir()) == parts


@pytest.fixture(params=[("parquet", SMALL), ("parquet", LARGE), ("jsonl", SMALL), ("jsonl", LARGE)])
def attempt(request: pytest.FixtureRequest, record: Callable[..., Report]) -> Callable[[Path], str | None]:
    """Records a few rows into a folder, in many parts or in one, and returns how it failed."""
    form, limits = request.param

    def run(folder: Path) -> str | None:
        try:
            record(FakeSource(FEW), folder, limits=limits, form=form)
        except (RecordingError, Killed) as error:
            return repr(error)
        return None

    return run


@pytest.mark.parametrize("fault", [None, Killed()], ids=["no room", "killed"])
def test_at_every_write_what_is_sealed_stays_and_nothing_is_lost_or_repeated(
    attempt: Callable[[Path], str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Killed | None
) -> None:
    for allowed in range(10_000):
        folder = tmp_path / str(allowed)
        with monkeypatch.context() as patch:
            FullDisk(patch, allowed, fault)
            failure = attempt(folder)
        if failure is None:
            break
        if fault is None:
            assert "No space left on device" in failure
            assert "run the same command again" in failure
            assert not list(folder.glob(".*")), "nothing unfinished takes room"
        if list(folder.glob("part-*")):
            assert is_prefix(open_recording(folder))
        assert attempt(folder) is None
        assert by_partition(open_recording(folder)) == by_partition(FEW)
        assert not list(folder.glob(".*"))
    assert allowed > 5, "it failed that often before it did not"


def test_a_file_that_runs_out_of_room_is_whole_and_holds_what_came_before(
    record: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def reserve(*_: int) -> None:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", reserve)
    with pytest.raises(NoRoomError, match=r"f\.parquet: No space left on device. It is whole"):
        record(FakeSource(ROWS), tmp_path / "f.parquet")
    assert len(open_recording(tmp_path / "f.parquet")) == 12
    assert is_prefix(open_recording(tmp_path / "f.parquet"))


def test_where_no_room_can_be_promised_it_is_recorded_all_the_same(
    record: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("os.posix_fallocate", refuse)
    assert record(FakeSource(ROWS), tmp_path / "f").records == 40
    monkeypatch.delattr("os.posix_fallocate")
    assert record(FakeSource(ROWS), tmp_path / "g").records == 40
    assert list(open_recording(tmp_path / "f")) == list(open_recording(tmp_path / "g"))


LIMITED = """
import random, resource, sys
from pathlib import Path
from forestay.recording import RecordedMessage, RecordingMetadata
from forestay.recording.output import FolderOutput, Limits
import forestay.recording.blocks as blocks
blocks.BLOCK_ROWS = 1_000
resource.setrlimit(resource.RLIMIT_FSIZE, (12 * 2**20, 12 * 2**20))
values = random.Random(1)
rows = [RecordedMessage("t", 0, n, n, None, values.randbytes(1_000)) for n in range(50_000)]
describe = lambda begin: RecordingMetadata(description="x", properties={"begin": {"t": {"0": 0}}})
with FolderOutput(Path(sys.argv[1]), "parquet", Limits(2**40, 3600), describe) as output:
    output.begin({("t", 0): 0})
    output.take(rows)
"""


def test_a_real_limit_of_the_kernel_is_met_before_the_file_is_spoilt(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "NoRoomError" in done.stderr
    assert "File too large. The parts in it are whole" in done.stderr
    recording = open_recording(tmp_path)
    assert [message.offset for message in recording] == list(range(len(recording)))
    assert len(recording) >= 4_000
    assert resource.getrlimit(resource.RLIMIT_FSIZE) != (12 * 2**20,) * 2, "the limit was the other process's"


def test_two_recorders_do_not_share_a_folder(record: Callable[..., Report], tmp_path: Path) -> None:
    with (
        FolderOutput(tmp_path, "parquet", SMALL, lambda _: pytest.fail("it has nothing to write")),
        pytest.raises(RecordingError, match="another recorder is at work"),
    ):
        record(FakeSource(ROWS), tmp_path)


def test_a_file_is_not_written_over(record: Callable[..., Report], tmp_path: Path) -> None:
    record(FakeSource(ROWS), tmp_path / "f.jsonl")
    assert by_partition(open_recording(tmp_path / "f.jsonl")) == by_partition(ROWS)
    with pytest.raises(RecordingError, match="is there already"):
        record(FakeSource(ROWS), tmp_path / "f.jsonl")


def test_a_part_that_cannot_be_read_is_not_gone_on_with(record: Callable[..., Report], tmp_path: Path) -> None:
    report = record(FakeSource(ROWS), tmp_path / "f")
    last = tmp_path / "f" / list(report.files)[-1]
    last.write_bytes(last.read_bytes()[:-20])
    with pytest.raises(RecordingError, match="cut off or damaged"):
        record(FakeSource(ROWS), tmp_path / "f")


# -- gaps ------------------------------------------------------------------------------------------------


@pytest.fixture
def source() -> FakeSource:
    return FakeSource(ROWS)


def half(record: Callable[..., Report], source: FakeSource, path: Path) -> None:
    """Records half of it, and lets retention pass."""
    record(source, path, plan(limit=20))
    source.log_starts["clicks", 0] = 30


def test_records_deleted_meanwhile_stop_it_with_their_number(
    record: Callable[..., Report], source: FakeSource, tmp_path: Path
) -> None:
    half(record, source, tmp_path / "f")
    with pytest.raises(ForestayError, match=r"offsets of clicks-0 are gone, \d+ to 29: .* --on-gap skip"):
        record(source, tmp_path / "f")
    assert len(open_recording(tmp_path / "f")) == 20


def test_or_it_goes_on_behind_them(record: Callable[..., Report], source: FakeSource, tmp_path: Path) -> None:
    half(record, source, tmp_path / "f")
    before = {(span.topic, span.partition): span.last_offset for span in open_recording(tmp_path / "f").spans}
    report = record(source, tmp_path / "f", plan(skip_gaps=True))
    assert report.gone == {("clicks", 0): 30 - before["clicks", 0] - 1}
    clicks = by_partition(open_recording(tmp_path / "f"))["clicks", 0]
    whole = by_partition(ROWS)["clicks", 0]
    assert clicks == [row for row in whole if row.offset <= before["clicks", 0] or row.offset >= 30]


def test_retention_may_overtake_a_recorder_at_work(
    record: Callable[..., Report], source: FakeSource, tmp_path: Path
) -> None:
    def overtake(_stage: str, done: int, _total: int | None) -> None:
        if done:
            source.log_starts["clicks", 0] = 30

    report = record(source, tmp_path / "f", plan(skip_gaps=True), tell=overtake)
    assert set(report.gone) == {("clicks", 0)}
    recording = open_recording(tmp_path / "f")
    assert len(recording) == report.records
    places = by_partition(ROWS)
    del places["clicks", 0]
    assert places.items() <= by_partition(recording).items()
    assert [row.offset for row in by_partition(recording)["clicks", 0]][-2:] == [30, 36]


def test_a_topic_made_anew_is_not_mixed_with_the_old_one(
    record: Callable[..., Report], source: FakeSource, tmp_path: Path
) -> None:
    record(source, tmp_path / "f")
    with pytest.raises(ForestayError, match=r"ends at 1, .*made anew.*another folder"):
        record(FakeSource([ROWS[1], ROWS[0]]), tmp_path / "f", plan(choice=Choice(("clicks",), ())))


# -- where it begins and ends ----------------------------------------------------------------------------


def test_partitions_that_come_while_it_runs_are_recorded_from_their_beginning(
    record: Callable[..., Report], source: FakeSource, tmp_path: Path
) -> None:
    stop, late = asyncio.Event(), RecordedMessage("clicks", 3, 0, 5, None, b"late")

    def tell(_stage: str, done: int, _total: int | None) -> None:
        if done == 40 and source.counts()["clicks"] == 3:
            source.append(late)
        elif done == 41:
            stop.set()

    report = record(source, tmp_path / "f", plan(end=Bound(Kind.NEVER)), tell=tell, stop=stop, limits=LARGE)
    assert report.halted
    assert by_partition(open_recording(tmp_path / "f"))["clicks", 3] == [late]
    assert open_recording(tmp_path / "f").metadata.partitions["clicks"] == 4


@pytest.mark.parametrize(("start", "end"), [(10, None), (0, 10), (6, 10)])
def test_offsets_bound_every_partition(
    record: Callable[..., Report], source: FakeSource, tmp_path: Path, start: int, end: int | None
) -> None:
    until = Bound(Kind.NOW) if end is None else Bound(Kind.OFFSET, end)
    record(source, tmp_path / "f", plan(start=Bound(Kind.OFFSET, start), end=until))
    wanted = [row for row in ROWS if start <= row.offset < (end or 1_000)]
    assert by_partition(open_recording(tmp_path / "f")) == by_partition(wanted)


def test_times_bound_at_the_first_record_that_has_reached_them(
    record: Callable[..., Report], source: FakeSource, tmp_path: Path
) -> None:
    record(source, tmp_path / "f", plan(start=Bound(Kind.TIME, 1_004), end=Bound(Kind.TIME, 1_010)))
    for place, rows in by_partition(ROWS).items():
        first = next(number for number, row in enumerate(rows) if row.timestamp >= 1_004)
        end = next((n for n, row in enumerate(rows) if n >= first and row.timestamp >= 1_010), len(rows))
        assert by_partition(open_recording(tmp_path / "f")).get(place, []) == rows[first:end]
