"""`forestay features`: the list, the forms, the exit codes."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.builders import START, click
from typer.testing import CliRunner, Result

from forestay.cli.main import app
from forestay.core.feature_set import FEATURE_NAMES


def features(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["features", *map(str, args)])


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    clicks = [
        click("e1", "u1", "purchase", START, price=0.1),
        click("e2", "u2", "view_item", START + 1, item_id="i1"),
        click("e3", "u2", "dance", START + 2),
    ]
    path.write_text("".join(json.dumps(one) + "\n" for one in clicks))
    return path


def test_every_feature_is_listed_with_meaning_unit_default_and_family() -> None:
    listed = json.loads(features("--list", "--json").stdout)
    assert [one["name"] for one in listed] == list(FEATURE_NAMES)
    assert {"name": "cart_value", "meaning": "value of the open cart", "unit": "currency", "default": 0.0} | {
        "family": "cart"
    } in listed
    shown = features("--list").stdout
    assert all(name in shown for name in FEATURE_NAMES)


def test_a_family_can_be_listed_alone_and_settings_are_honoured() -> None:
    listed = json.loads(features("--list", "--json", "--family", "cart").stdout)
    assert [one["name"] for one in listed] == ["cart_quantity", "cart_value"]
    fewer = ["--set", "engine.score_on=[]", "--set", 'features.families=["cart","lifetime"]']
    assert {one["family"] for one in json.loads(features("--list", "--json", *fewer).stdout)} == {"cart", "lifetime"}
    wrong = features("--list", "--family", "windows", *fewer)
    assert wrong.exit_code == 1
    assert "no family windows is on; there are: cart, lifetime" in wrong.stderr
    assert (
        "there is no family nosuch; there are: windows, distinct" in features("--list", "--family", "nosuch").stderr
    )


def test_json_lines_go_to_stdout_and_what_was_left_out_to_stderr(events: Path) -> None:
    told = features("--events", events, "--format", "json")
    assert told.exit_code == 0
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    assert [(row["user_id"], row["at"]) for row in rows] == [
        ("u1", "2026-01-01T00:00:00.001Z"),
        ("u2", "2026-01-01T00:00:00.001Z"),
    ]
    assert rows[0]["spend_5m"] == 0.1
    assert "1 left out, the first is row 3 of events.jsonl: contract: event:" in told.stderr


def test_a_table_shows_what_is_not_default(events: Path) -> None:
    told = features("--events", events, "--at", "2026-01-01", "--user", "u1")
    assert "at 2026-01-01T00:00:00.000Z" in told.stdout
    assert "spend_total" in told.stdout
    assert "search_count_5m" not in told.stdout


def test_a_file_takes_its_form_from_its_name_and_appears_whole(events: Path, tmp_path: Path) -> None:
    told = features("--events", events, "--out", tmp_path / "f.parquet")
    assert (told.exit_code, told.stdout) == (0, "")
    assert told.stderr.splitlines()[-1] == f"2 rows, a user each, in {tmp_path / 'f.parquet'}"
    assert pq.read_table(tmp_path / "f.parquet").num_rows == 2
    assert features("--events", events, "--out", tmp_path / "f.csv").exit_code == 0
    assert (tmp_path / "f.csv").read_text().startswith('"user_id","at","page_view_count_5m"')
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.jsonl", "f.csv", "f.parquet"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--strict"], "1 rows are no events, and --strict was asked for"),
        (["--at", "2020-01-01"], "no event is left up to 2020-01-01T00:00:00.000Z"),
        (["--user", "nobody"], "none of these users has an event by then"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_1(events: Path, args: list[str], said: str) -> None:
    told = features("--events", events, *args)
    assert (told.exit_code, told.stdout) == (1, "")
    assert said in told.stderr
    assert told.stderr.splitlines()[-1].startswith("forestay: ")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--at", "soon"], "soon is no moment"),
        (["--format", "parquet"], "needs --out FILE.parquet"),
        (["--out", "f.txt"], "call it .parquet, .csv, .json or .jsonl"),
    ],
)
def test_a_flag_that_cannot_be_read_is_one_line_and_exit_code_2(events: Path, args: list[str], said: str) -> None:
    told = features("--events", events, *args)
    assert (told.exit_code, told.stdout) == (2, "")
    assert said in told.stderr
    assert told.stderr.splitlines()[-1].startswith("forestay: ")


@pytest.mark.parametrize("args", [[], ["--list", "--at", "2026-01-01"], ["--events", "x", "--json"]])
def test_wrong_use_is_exit_code_2(args: list[str]) -> None:
    assert features(*args).exit_code == 2


def test_a_moment_that_is_none_is_wrong_use(events: Path) -> None:
    told = features("--events", events, "--at", "soon")
    assert (told.exit_code, told.stdout) == (2, "")
    assert "soon is no moment" in told.stderr


def test_events_are_not_overwritten(events: Path) -> None:
    before = events.read_bytes()
    assert features("--events", events, "--out", events).exit_code == 1
    assert events.read_bytes() == before
