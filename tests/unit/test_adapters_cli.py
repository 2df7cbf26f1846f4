"""`forestay adapt`: what a person sees of a mapping before it goes live, and the exit codes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from forestay.adapters.loading import profile_names
from forestay.cli.main import app

SAMPLES = Path(__file__).parents[1] / "support" / "samples"


def adapt(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["adapt", *map(str, args)])


def test_the_profiles_are_listed() -> None:
    listed = adapt("--profiles")
    assert listed.exit_code == 0
    assert all(name in listed.stdout for name in profile_names())
    assert [entry["name"] for entry in json.loads(adapt("--profiles", "--json").stdout)] == profile_names()


def test_a_check_tells_what_becomes_of_a_sample() -> None:
    checked = adapt("--check", SAMPLES / "segment.jsonl", "--profile", "segment")
    assert checked.exit_code == 0
    assert "10 records by segment: 8 mapped, 2 skipped, 0 failed" in checked.stdout
    assert "time: 2026-02-03T16:28:51.500Z to 2026-02-06T09:00:00.000Z" in checked.stdout
    assert "users: 2; events that name two ids of one user: 3" in checked.stdout
    assert "  3  traits" not in checked.stdout
    assert "before {" in checked.stdout


def test_a_check_as_json_names_fields_used_and_dropped() -> None:
    checked = adapt("--check", SAMPLES / "segment.jsonl", "--profile", "segment", "--json")
    told = json.loads(checked.stdout)
    assert told["events"]["add_to_cart"] == 1
    assert told["fields_used"]["properties.products.price"] == 2
    assert told["fields_dropped"]["properties.coupon"] == 1
    assert "messageId" in told["fields_used"]
    assert told["examples"][0]["after"]["event"] == "page_view"
    assert told["examples"][0]["before"]["type"] == "page"


def test_fields_of_pairs_are_named_by_their_key() -> None:
    checked = adapt("--check", SAMPLES / "ga4-bigquery.jsonl", "--profile", "ga4-bigquery", "--json")
    told = json.loads(checked.stdout)
    assert told["fields_used"]["event_params.search_term"] == 1
    assert told["fields_dropped"]["event_params.page_location"] == 1


def test_a_failure_is_shown_and_makes_the_exit_code_1(tmp_path: Path) -> None:
    sample = tmp_path / "sample.jsonl"
    sample.write_text('{"type": "track", "event": "Product Viewed"}\n{"type": "page"\n')
    checked = adapt("--check", sample, "--profile", "segment")
    assert checked.exit_code == 1
    assert "0 mapped, 0 skipped, 2 failed" in checked.stdout
    assert "failed, record 1: mapping: event_id: the record holds none" in checked.stdout


def test_a_conversion_says_in_which_records_it_failed(tmp_path: Path) -> None:
    sample = tmp_path / "sample.jsonl"
    page = '{"type": "page", "userId": "u", "messageId": "m", "timestamp": "2026-01-01T00:00:00Z"}\n'
    sample.write_text(page * 6 + page.replace("2026-01-01", "1 Jan") * 2 + page)
    done = adapt(sample, "--profile", "segment", "--out", tmp_path / "out.jsonl")
    assert done.exit_code == 1
    assert "  2  mapping: ts: is not a time written as rfc3339 (first in record 7)" in done.stdout
    assert "failed, record 8: mapping: ts: is not a time" in done.stdout
    assert '"timestamp": "1 JanT00:00:00Z"' in done.stdout
    assert "after" not in done.stdout


def test_a_sample_without_any_event_may_be_a_wrong_profile() -> None:
    checked = adapt("--check", SAMPLES / "ga4-bigquery.jsonl", "--profile", "segment")
    assert "0 mapped" in checked.stdout
    assert " 0 failed" in checked.stdout
    assert "is segment the right mapping for this file?" in checked.stdout
    assert checked.exit_code == 1


def test_the_folder_to_write_to_must_be_there(tmp_path: Path) -> None:
    done = adapt(SAMPLES / "rees46.csv", "--profile", "rees46", "--out", tmp_path / "nowhere" / "out.jsonl")
    assert done.exit_code == 1
    assert "there is no folder" in done.stderr


def test_a_limit_is_kept() -> None:
    checked = adapt("--check", SAMPLES / "rees46.csv", "--profile", "rees46", "--limit", "2", "--json")
    assert json.loads(checked.stdout)["read"] == 2


def test_repeated_rows_are_told(tmp_path: Path) -> None:
    sample = tmp_path / "events.csv"
    sample.write_text("timestamp,visitorid,event,itemid,transactionid\n" + "1433221332117,1,view,2,\n" * 3)
    checked = adapt("--check", sample, "--profile", "retailrocket")
    assert "event ids that came before, counted once by the engine: 2" in checked.stdout


def test_a_record_cannot_steer_the_terminal(tmp_path: Path) -> None:
    sample = tmp_path / "sample.jsonl"
    sample.write_text('{"type": "track", "event": "\\u001b[31mred", "messageId": "\\u001b"}\n')
    checked = adapt("--check", sample, "--profile", "segment")
    assert "\x1b" not in checked.stdout
    assert "is not mapped" in checked.stdout


def test_a_file_is_converted_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    done = adapt(SAMPLES / "rees46.csv", "--profile", "rees46", "--out", out)
    assert done.exit_code == 0
    expected = (SAMPLES / "rees46.expected.jsonl").read_text()
    assert out.read_text() == expected
    broken = tmp_path / "broken.csv"
    broken.write_bytes(b"event_time,event_type\n\xff,view\n")
    assert adapt(broken, "--profile", "rees46", "--out", out).exit_code == 1
    assert out.read_text() == expected
    assert sorted(file.name for file in tmp_path.iterdir()) == ["broken.csv", "out.jsonl"]


def test_the_file_itself_is_not_overwritten(tmp_path: Path) -> None:
    sample = tmp_path / "sample.csv"
    sample.write_text((SAMPLES / "rees46.csv").read_text())
    done = adapt(sample, "--profile", "rees46", "--out", sample)
    assert done.exit_code == 1
    assert sample.read_text() == (SAMPLES / "rees46.csv").read_text()


def test_a_mapping_of_ones_own_and_its_errors(tmp_path: Path) -> None:
    mapping = tmp_path / "shop.yaml"
    mapping.write_text("name: shop\ndescription: d\nfields:\n  user_id: 'a['\n")
    checked = adapt("--check", SAMPLES / "rees46.csv", "--mapping", mapping)
    assert checked.exit_code == 1
    assert "line 4: fields.user_id.path" in checked.stderr


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("--run", "--profiles"),
        ("file.csv", "--profile", "rees46"),
        ("--check", "a", "--out", "b"),
        ("--check", "a", "--profile", "x", "--mapping", "y"),
        ("--profiles", "--limit", "3"),
    ],
)
def test_wrong_use(args: tuple[str, ...]) -> None:
    assert adapt(*args).exit_code == 2


def test_without_a_mapping_it_says_how_to_name_one() -> None:
    checked = adapt("--check", SAMPLES / "rees46.csv")
    assert checked.exit_code == 1
    assert "--profile NAME" in checked.stderr
