"""`forestay watch`: made-up shops in recordings, in which prices vanish or shoppers change."""

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support.builders import START, Click, click, source
from support.fakes import hashing_model
from support.rerunning import recorded
from typer.testing import CliRunner

from forestay.cli.main import app
from forestay.core.decision.answer import Answer, ModelIdentity
from forestay.core.record import SourceRecord
from forestay.core.survival import Survival
from forestay.core.units import DAY, MINUTE
from forestay.core.watch.reference import Reference
from forestay.rerun.job import rerun, written
from forestay.rerun.reading import Recordings
from forestay.settings import Settings

MODEL = ModelIdentity("test", "7", 1)
EVENTS = 400


class Leaving:
    """A model of its own mind, that expects one user in five back within the day."""

    def answer(self, situations: Any) -> list[Answer]:
        mind = hashing_model("a")
        return [Answer(mind(one.input), MODEL, (), Survival((24,), (8_000,))) for one in situations]


def shop(days: int, *, broken_from: int | None = None, dear_from: int | None = None) -> Iterator[Click]:
    """Yields 400 events a day; from a day on prices vanish, or are a hundred times as much."""
    random, number = Random(41), 0
    for day in range(days):
        for minute in sorted(random.sample(range(1_440), EVENTS)):
            user = f"u{random.randrange(400)}"
            price = random.choice((3, 7, 12, 30)) * (100 if dear_from is not None and day >= dear_from else 1)
            bought = {} if broken_from is not None and day >= broken_from else {"price": price}
            event = "purchase" if random.random() < 0.3 else "view_item"
            item = f"i{random.randrange(50)}"
            yield click(f"e{number}", user, event, START + day * DAY + minute * MINUTE, item_id=item, **bought)
            number += 1


def rows(clicks: Iterator[Click]) -> list[SourceRecord]:
    return [source(one, offset) for offset, one in enumerate(clicks)]


def watched(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["watch", *map(str, arguments)])
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("usual") / "usual.jsonl", rows(shop(6)))


@pytest.fixture(scope="module")
def reference(usual: Path) -> Path:
    file = usual.parent / "reference.json"
    span = ("--from", "2026-01-02", "--until", "2026-01-05")
    assert watched(usual, "--scores", "none", *span, "--write-reference", file)[0] == 0
    return file


def test_a_reference_is_made_of_what_was_scored(reference: Path) -> None:
    made = Reference(reference.read_text())
    assert made.moments == "scored"
    assert 200 < made.users <= 400
    assert "spend_90d" in {column.name for column in made.columns}
    assert "hours_since_add_to_cart" not in {column.name for column in made.columns}


def test_a_usual_week_is_no_alarm(usual: Path) -> None:
    code, output = watched(usual, "--scores", "none")
    assert "no reference" in output
    assert "no alarm" in output
    assert code == 0


def test_a_young_shop_drifts_in_how_long_it_knows_its_users_and_in_no_event(usual: Path, reference: Path) -> None:
    code, output = watched(usual, "--scores", "none", "--from", "2026-01-05", "--reference", reference, "--json")
    alarms = {one["of"] for one in json.loads(output)["alarms"]}
    assert "tenure_hours" in alarms
    assert not alarms & {"newest_kind", "newest_log_value", "price"}
    assert code == 1


def test_a_field_that_breaks_is_an_alarm_of_that_field(tmp_path: Path) -> None:
    broken = recorded(tmp_path / "broken.jsonl", rows(shop(6, broken_from=5)))
    code, output = watched(broken, "--scores", "none", "--json")
    alarms = json.loads(output)["alarms"]
    assert code == 1
    assert [(one["watch"], one["of"]) for one in alarms] == [("missing", "price")]
    assert alarms[0]["began"] > "2026-01-06"
    assert alarms[0]["ended"] is None


def test_dearer_goods_are_drift_of_what_is_spent(tmp_path: Path, reference: Path) -> None:
    dear = recorded(tmp_path / "dear.jsonl", rows(shop(6, dear_from=5)))
    page = tmp_path / "watch.html"
    code, output = watched(dear, "--scores", "none", "--from", "2026-01-05", "--reference", reference, "--html", page)
    assert code == 1
    assert "psi of newest_log_value" in output
    text = page.read_text()
    parser = HTMLParser()
    parser.feed(text)
    assert "psi of newest_log_value" in text
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "")


def test_returns_are_held_against_the_recorded_curves(tmp_path: Path) -> None:
    """Three orders in ten events, where the model expects one user in five back: many more return."""
    events, made = recorded(tmp_path / "events.jsonl", rows(shop(6))), tmp_path / "made.jsonl"
    recordings, settings = Recordings([events]), Settings()
    with written(made, settings, recordings) as sink:
        rerun(settings, recordings, Leaving(), sinks=[sink])
    code, output = watched(events, made, "--json")
    found = json.loads(output)
    (returns,) = [one for one in found["findings"] if one["watch"] == "returns"]
    assert returns["rows"] > 100
    assert found["returns"][-1]["expected"] == pytest.approx(0.2 * found["returns"][-1]["closed"], abs=0.5)
    assert found["horizon"]["days"] == 1
    assert found["horizon"]["closed"] > 500
    assert 0.5 < found["expected_auc"] < 1
    assert code == (1 if found["alarms"] else 0)


@pytest.mark.parametrize(
    ("arguments", "words", "expected"),
    [
        (["--from", "2026-02-01", "--until", "2026-01-01"], "nothing would be watched", 2),
        (["--from", "tomorrow"], "is no moment", 2),
        (["--reference", "nowhere.json"], "cannot be read", 1),
        (["--scores", "recorded"], "so no scores", 1),
    ],
)
def test_what_cannot_work_is_told_in_words(usual: Path, arguments: list[str], words: str, expected: int) -> None:
    code, output = watched(usual, *arguments)
    assert code == expected
    assert words in output


def test_a_page_without_a_verdict_on_drift_says_so(tmp_path: Path, usual: Path, reference: Path) -> None:
    said = "On no day were there enough users to compare with it"
    for name, until, expected in (("short", "2026-01-01T12:00:00Z", True), ("whole", "2027-01-01", False)):
        page = tmp_path / f"{name}.html"
        watched(usual, "--scores", "none", "--reference", reference, "--until", until, "--html", page)
        assert (said in page.read_text()) is expected


def test_a_file_that_is_no_reference_is_named(tmp_path: Path, usual: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    code, output = watched(usual, "--scores", "none", "--reference", tmp_path / "broken.json")
    assert code == 1
    assert f"{tmp_path / 'broken.json'}: no reference of the drift watch" in output


def test_a_reference_is_not_written_over(usual: Path, reference: Path) -> None:
    before = reference.read_text()
    code, output = watched(usual, "--scores", "none", "--write-reference", reference)
    assert code == 1
    assert "there already" in output
    assert reference.read_text() == before
