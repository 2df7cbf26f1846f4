"""`forestay dataset`: flags, exit codes, what goes to stdout and what to stderr."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.builders import START, Click, click
from support.training_sets import write_events
from typer.testing import CliRunner, Result

from forestay.cli.main import app
from forestay.core.units import DAY

CLICKS: list[Click] = [
    click("e1", "u1", "purchase", START, price=1),
    click("e2", "u2", "purchase", START + DAY, price=2),
    click("e3", "u1", "purchase", START + 30 * DAY, price=1),
    click("e4", "u3", "dance", START + 31 * DAY),
    click("e5", "u3", "page_view", START + 90 * DAY),
]
FEB = ["--cutoff", "2026-01-15"]


def dataset(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["dataset", *map(str, args)])


@pytest.fixture
def events(tmp_path: Path) -> Path:
    return write_events(tmp_path / "events.jsonl", CLICKS)


def test_a_person_reads_rows_and_rates(events: Path, tmp_path: Path) -> None:
    told = dataset(events, *FEB, "--horizon", "14d", "--horizon", "28d", "--workers", "1", "--out", tmp_path / "set")
    assert told.exit_code == 0, told.stderr
    assert told.stdout.split() == ["split", "rows", "churned_14d", "churned_28d", "train", "2", "100.00%", "50.00%"]
    assert "1 left out, the first is row 4 of events.jsonl: contract: event:" in told.stderr
    assert told.stderr.splitlines()[-1] == f"16 parts in {tmp_path / 'set'}; 2 rows made again, and the same"


def test_many_labels_are_a_row_each_and_fit_a_narrow_terminal(events: Path, tmp_path: Path) -> None:
    days = range(10, 23)
    horizons = [word for day in days for word in ("--horizon", f"{day}d")]
    bounds = ["--cutoff", "2026-02-10", "--cutoff", "2026-03-20", "--test-from", "2026-03-20", "--obs", "100d"]
    told = dataset(events, *FEB, *bounds, *horizons, "--workers", "1", "--out", tmp_path / "set")
    assert told.exit_code == 0, told.stderr
    head, rows, *labels = told.stdout.splitlines()
    assert (head.split(), rows.split()) == (["label", "train", "test"], ["rows", "4", "2"])
    assert [line.split()[0] for line in labels] == [f"churned_{day}d" for day in days]
    assert labels[0].split()[1:] == ["100.00%", "100.00%"]
    assert labels[-1].split()[1:] == ["75.00%", "unknown", "yet"]
    assert max(map(len, told.stdout.splitlines())) <= 80


def test_a_split_that_was_asked_for_and_is_empty_is_said(events: Path, tmp_path: Path) -> None:
    asked = [*FEB, "--horizon", "14d", "--workers", "1"]
    told = dataset(events, *asked, "--test-from", "2026-02-01", "--out", tmp_path / "empty")
    assert (told.exit_code, "no row is for test: --test-from 2026-02-01" in told.stderr) == (0, True)
    told = dataset(events, *asked, "--test-from", "2026-01-15", "--out", tmp_path / "full")
    assert (told.exit_code, "no row is for" in told.stderr) == (0, False)


def test_a_machine_reads_the_manifest(events: Path, tmp_path: Path) -> None:
    series = [
        "--every",
        "14d",
        "--from",
        "2026-01-02",
        "--until",
        "2026-02-01",
        "--partitions",
        "2",
        "--workers",
        "2",
    ]
    told = dataset(events, *series, "--label", "no_event", "--out", tmp_path / "deep" / "set", "--json")
    assert told.exit_code == 0, told.stderr
    manifest = json.loads(told.stdout)
    assert manifest == json.loads((tmp_path / "deep" / "set" / "manifest.json").read_text())
    assert manifest["cutoffs"] == [f"2026-01-{day:02d}T00:00:00.000Z" for day in (2, 16, 30)]
    assert manifest["label"] == {"churned": "no_event", "columns": ["churned_60d"]}
    assert manifest["spend"] == {"columns": ["spend_60d"]}
    assert manifest["left_out"] == {"no_events": 1, "later": 0}
    rows = pq.read_table(tmp_path / "deep" / "set" / "rows")
    assert rows.num_rows == manifest["rows"]["train"] == 6


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([*FEB, "--strict"], "1 rows are no events, and --strict was asked for: 1 left out, the first is row 4"),
        (["--cutoff", "2027-01-01"], "the cutoff 2027-01-01T00:00:00.000Z lies after the data"),
        ([*FEB, "--known-until", "2025-01-01"], "no event is left"),
        (
            [*FEB, "--set", 'features.families=["cart"]', "--set", "engine.score_on=[]"],
            "the model reads all features",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_1(
    events: Path, tmp_path: Path, args: list[str], said: str
) -> None:
    told = dataset(events, *args, "--workers", "1", "--out", tmp_path / "set")
    assert (told.exit_code, told.stdout) == (1, "")
    assert said in told.stderr
    assert told.stderr.splitlines()[-1].startswith("forestay: ")
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--cutoff", "soon"], "soon is no moment"),
        ([*FEB, "--horizon", "2w"], "--horizon 2w: write a span of days or hours"),
        ([*FEB, "--obs", "3y"], "--obs 3y: write a span"),
        ([*FEB, "--test-from", "2026-01-01", "--validate-from", "2026-02-01"], "--validate-from lies before"),
        (["--every", "1d", "--from", "2026-02-01", "--until", "2026-01-01"], "no cutoff: say --cutoff TIME"),
    ],
)
def test_a_flag_that_cannot_be_read_is_one_line_and_exit_code_2(
    events: Path, tmp_path: Path, args: list[str], said: str
) -> None:
    told = dataset(events, *args, "--out", tmp_path / "set")
    assert (told.exit_code, told.stdout) == (2, "")
    assert said in told.stderr
    assert told.stderr.startswith("forestay: ")


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--every", "1d", "--from", "2026-01-01"],
        [*FEB, "--until", "2026-01-01"],
        [*FEB, "--workers", "0"],
        [*FEB, "--label", "x"],
        [*FEB, "--engine", "spark"],
    ],
)
def test_wrong_use_is_exit_code_2(events: Path, tmp_path: Path, args: list[str]) -> None:
    assert dataset(events, *args, "--out", tmp_path / "set").exit_code == 2


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--cutoff", "soon"], "soon is no moment"),
        ([*FEB, "--horizon", "2w"], "--horizon 2w: write a span of days or hours"),
        ([*FEB, "--obs", "3y"], "--obs 3y: write a span"),
        ([*FEB, "--test-from", "2026-01-01", "--validate-from", "2026-02-01"], "--validate-from lies before"),
        (["--every", "1d", "--from", "2026-02-01", "--until", "2026-01-01"], "no cutoff: say --cutoff TIME"),
    ],
)
def test_flags_that_make_no_sense_are_said_and_exit_code_2(
    events: Path, tmp_path: Path, args: list[str], said: str
) -> None:
    told = dataset(events, *args, "--workers", "1", "--out", tmp_path / "set")
    assert (told.exit_code, told.stdout) == (2, "")
    assert said in told.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]


def test_what_is_there_is_not_overwritten(events: Path, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    told = dataset(events, *FEB, "--out", tmp_path / "set")
    assert (told.exit_code, told.stdout) == (1, "")
    assert "is there already: name another folder, or remove it" in told.stderr
    assert list((tmp_path / "set").iterdir()) == []


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    told = dataset(tmp_path / "none.csv", *FEB, "--out", tmp_path / "set")
    assert (told.exit_code, told.stderr) == (1, f"forestay: {tmp_path / 'none.csv'}: No such file or directory\n")
