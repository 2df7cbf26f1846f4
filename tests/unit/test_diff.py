"""What differs between two sides: counted by hand, told in a table, as JSON and on a page, and held to limits."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from support.builders import START, catalogue, click, offer, source
from support.rerunning import ran, recorded
from typer.testing import CliRunner

from forestay.cli.diffing import Limits
from forestay.cli.main import app
from forestay.core.decision.catalogue import Catalogue
from forestay.core.record import SourceRecord
from forestay.core.units import DAY, HOUR
from forestay.diff.compare import compare
from forestay.diff.difference import Amount, Change, Count, Row, Users
from forestay.diff.facts import Facts
from forestay.diff.page import Sides, page
from forestay.recording import open_recording
from forestay.rerun.outputs import Kind

RICH = {"min_orders": 1}
GIFT = offer("gift", kind="promotion", effect=0.9, cost={"fixed": 2.0}, eligibility=RICH)
LETTER = offer("letter", effect=0.4, eligibility=RICH)


def shop(*offers: dict[str, object], **guardrails: Any) -> Catalogue:
    return catalogue(*offers, policy={"exploration": 0, "margin": 1}, **guardrails)


def stream() -> list[SourceRecord]:
    """Four users buy for 1,000 each, and look around a day later."""
    clicks = [
        click(f"{user}{kind}", user, kind, START + day * DAY + number * HOUR, price=1000, quantity=1, currency="GBP")
        for day, kind in enumerate(("purchase", "page_view"))
        for number, user in enumerate(("u1", "u2", "u3", "u4"))
    ]
    return [source(one, offset) for offset, one in enumerate(clicks)]


def facts(of: Catalogue) -> Facts:
    found = Facts()
    _, kept = ran(stream(), shop=of)
    for kind in (Kind.DECISIONS, Kind.ACTIONS):
        for value in kept.values(kind):
            found.add(kind, value)
    return found


def test_a_dearer_offer_is_seen_in_users_spend_kind_and_offer() -> None:
    found = compare(facts(shop(LETTER)), facts(shop(LETTER, GIFT)))
    assert (found.users.total, found.users.changed, found.users.share) == (4, 4, 1.0)
    assert (found.before.actions, found.after.actions, found.before.cost, found.after.cost) == (8, 8, 0.0, 16.0)
    assert found.spend_change is None
    assert found.kinds == [
        Row("promotion", Amount(0, 0.0), Amount(8, 16.0)),
        Row("message", Amount(8, 0.0), Amount(0, 0.0)),
    ]
    assert [row.name for row in found.offers] == ["gift", "letter"]
    assert found.changes == [Change("letter", "gift", 8, 4)]
    assert (found.decisions.same, found.decisions.changed) == (0, 8)


def test_caps_are_seen_in_what_was_held_back() -> None:
    found = compare(facts(shop(GIFT)), facts(shop(GIFT, cap_contacts=1, cap_days=30)))
    assert found.suppressed == [Count("frequency_cap", 0, 4)]
    assert found.changes == [Change("gift", None, 4, 4)]
    assert found.spend_change == -0.5
    assert {(one.cost_before, one.cost_after) for one in found.examples} == {(2.0, 0.0)}
    assert len(found.examples) == 3


def test_the_same_is_the_same() -> None:
    found = compare(facts(shop(GIFT)), facts(shop(GIFT)))
    assert (found.users.changed, found.changes, found.examples, found.spend_change) == (0, [], [], 0.0)


def test_decisions_of_one_side_alone_count_where_something_is_done() -> None:
    before, after = facts(shop(GIFT)), facts(shop(GIFT))
    first, *_ = after.choices
    del after.choices[first], after.deeds[first]
    found = compare(before, after)
    assert (found.decisions.only_before, found.users.changed) == (1, 1)
    quiet = facts(shop(offer("never", eligibility={"min_orders": 9})))
    assert compare(quiet, Facts()).users.changed == 0


def test_a_repeat_after_a_crash_counts_once() -> None:
    found = facts(shop(GIFT))
    _, kept = ran(stream(), shop=shop(GIFT))
    for kind in (Kind.DECISIONS, Kind.ACTIONS):
        found.add(kind, kept.values(kind)[0])
    assert compare(facts(shop(GIFT)), found).users.changed == 0
    assert len(found.deeds) == 8


def test_segments_stand_in_their_order() -> None:
    found = compare(facts(shop(GIFT)), facts(shop(LETTER)))
    assert [row.name for row in found.segments["orders"]] == ["1 order"]
    assert found.segments.keys() == {"risk", "orders", "trigger", "rung"}
    assert [row.before.actions for row in found.segments["trigger"]] == [8]


def test_limits_say_which_is_exceeded() -> None:
    found = compare(facts(shop(GIFT)), facts(shop(GIFT, cap_contacts=1, cap_days=30)))
    assert Limits(1.0, 0.5).exceeded(found) == []
    assert Limits(0.9, 0.4).exceeded(found) == [
        "4 of 4 users change, 100.0%: more than 90.0%",
        "spend changes -50.0%, 16.00 to 8.00: more than 40.0%",
    ]
    from_nothing = compare(facts(shop(LETTER)), facts(shop(GIFT)))
    assert Limits(None, 1e9).exceeded(from_nothing) == [
        "spend changes from nothing, 0.00 to 16.00: more than 100000000000.0%"
    ]


def test_limits_are_of_counts_not_of_rounded_shares() -> None:
    found = compare(facts(shop(GIFT)), facts(shop(GIFT)))
    tiny = msgspec.structs.replace(
        found,
        users=Users(3_000_000, 1, 0.0),
        before=msgspec.structs.replace(found.before, cost=1e6),
        after=msgspec.structs.replace(found.after, cost=1e6 + 0.01),
    )
    assert len(Limits(0.0, 0.0).exceeded(tiny)) == 2
    assert Limits(0.0, 0.0).exceeded(found) == []


def test_a_check_over_nothing_fails() -> None:
    nothing = compare(Facts(), Facts())
    assert Limits(1.0, None).exceeded(nothing) == ["there is no decision on either side: nothing was compared"]
    assert Limits(None, None).exceeded(nothing) == []


def test_the_page_stands_alone_and_runs_nothing_it_was_given() -> None:
    before, after = facts(shop(GIFT)), facts(shop(offer("<script>alert(1)</script>")))
    html = page(compare(before, after), Sides("<b>one</b>", "two", "GBP", ["too <much>"]))
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "&lt;b&gt;one" in html
    assert "too &lt;much&gt;" in html
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", html)
    assert html == page(compare(before, after), Sides("<b>one</b>", "two", "GBP", ["too <much>"]))


# -- the command ---------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    recorded(tmp_path / "events.jsonl", stream())
    for name, content in (("old", shop(GIFT)), ("new", shop(GIFT, cap_contacts=1, cap_days=30))):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(json.loads(content.model_dump_json())))
    return {path.name: path for path in tmp_path.iterdir()}


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_changed_catalogue_is_compared_and_held_to_limits(files: dict[str, Path]) -> None:
    common = ["diff", files["events.jsonl"], "--set", f"catalogue={files['old.yaml']}", "--scores", "none"]
    changed = [*common, "--catalogue", files["new.yaml"]]
    code, out, _ = run(*changed, "--json", "--max-changed-users", 1)
    assert code == 0
    assert json.loads(out)["changes"] == [{"before": "gift", "after": None, "decisions": 4, "users": 4}]
    code, out, error = run(*changed, "--max-spend-change", 0.1)
    assert code == 1
    assert "frequency_cap" in out
    assert error == "forestay: limit exceeded: spend changes -50.0%, 16.00 to 8.00: more than 10.0%\n"
    code, out, _ = run(*common, "--change", "engine.score_interval_minutes=10000", "--json")
    assert (code, json.loads(out)["decisions"]["only_before"]) == (0, 4)


def test_two_versions_are_compared_by_what_they_wrote(files: dict[str, Path], tmp_path: Path) -> None:
    for name in ("old", "new"):
        with_it = ["--set", f"catalogue={files[f'{name}.yaml']}", "--scores", "none"]
        code, out, _ = run("rerun", files["events.jsonl"], *with_it, "--out", tmp_path / f"{name}.parquet", "--json")
        assert (code, json.loads(out)["made"]["decisions"]["records"]) == (0, 8)
    page_file = tmp_path / "page.html"
    sides = ["--before", tmp_path / "old.parquet", "--after", tmp_path / "new.parquet"]
    code, out, _ = run("diff", *sides, "--html", page_file, "--json")
    found = json.loads(out)
    assert (code, found["users"]["changed"], found["spend_change"]) == (0, 4, -0.5)
    assert "4 of 4 users" in page_file.read_text()
    # The made-up policy of one side judged by the recorded scores of the other: the same as without a record.
    code, out, _ = run(
        *("diff", files["events.jsonl"], tmp_path / "old.parquet", "--set", f"catalogue={files['old.yaml']}"),
        *("--catalogue", files["new.yaml"], "--json"),
    )
    assert (code, json.loads(out)) == (0, found)


def test_spend_is_not_compared_without_actions(files: dict[str, Path], tmp_path: Path) -> None:
    made, cut = tmp_path / "made.jsonl", tmp_path / "cut.jsonl"
    common = [files["events.jsonl"], "--set", f"catalogue={files['old.yaml']}", "--scores", "none"]
    assert run("rerun", *common, "--out", made)[0] == 0
    recorded(cut, [row for row in open_recording(made) if row.topic == "retention-decisions"])
    code, _, error = run("diff", "--before", made, "--after", cut, "--max-spend-change", 1)
    assert (code, "decisions to act, and no retention-actions" in error) == (1, True)


def test_a_page_that_cannot_be_written_does_not_take_the_comparison_with_it(files: dict[str, Path]) -> None:
    common = ["diff", files["events.jsonl"], "--set", f"catalogue={files['old.yaml']}", "--scores", "none"]
    code, out, error = run(*common, "--catalogue", files["new.yaml"], "--html", "no/such/folder/page.html")
    assert (code, error) == (1, "forestay: no/such/folder/page.html: No such file or directory\n")
    assert "users treated otherwise" in out


def test_of_scores_that_are_missing_both_sides_tell(files: dict[str, Path], tmp_path: Path) -> None:
    made, cut = tmp_path / "made.jsonl", tmp_path / "cut.jsonl"
    common = [files["events.jsonl"], "--set", f"catalogue={files['old.yaml']}"]
    assert run("rerun", *common, "--scores", "none", "--out", made)[0] == 0
    kept = [row for row in open_recording(made) if row.topic == "retention-decisions"][:5]
    recorded(cut, kept)
    code, _, error = run("diff", *common, cut, "--catalogue", files["new.yaml"])
    assert code == 0
    assert [line.partition(";")[0] for line in error.splitlines()] == [
        f"forestay: of the scores {side} the change 5 were recorded" for side in ("before", "after")
    ]


def test_wrong_use_is_told_apart_from_what_cannot_work(files: dict[str, Path]) -> None:
    events = files["events.jsonl"]
    assert run("diff")[0] == 2
    assert run("diff", events)[0] == 2
    assert run("diff", events, "--before", events, "--after", events)[0] == 2
    assert run("diff", "--before", events)[0] == 2
    for ignored in (["--scores", "none"], ["--quiet-days", 1]):
        assert run("diff", "--before", events, "--after", events, *ignored)[0] == 2
    code, _, error = run("diff", events, "--scores", "none", "--change", "triton.model=other")
    assert (code, "leave --scores none out" in error) == (2, True)
    code, _, error = run("diff", events, "--scores", "none", "--change", "triton.model")
    assert (code, "--change triton.model: write it as NAME=VALUE" in error) == (2, True)
    code, _, error = run("diff", events, "--catalogue", files["new.yaml"])
    assert code == 1
    assert "hold no retention-decisions, so no scores" in error
    code, _, error = run("diff", "--before", events, "--after", events)
    assert (code, "no retention-decisions in it, only clickstream" in error) == (1, True)
    code, _, error = run("rerun", events, "--set", "topics.clickstream=shop", "--scores", "none")
    assert (code, "--set topics.clickstream=NAME" in error) == (1, True)
    code, _, error = run("rerun", events, "--scores", "triton", "--triton-url", "127.0.0.1:1")
    assert (code, "does not answer" in error) == (1, True)


def test_the_json_names_its_version() -> None:
    found = msgspec.to_builtins(compare(facts(shop(GIFT)), facts(shop(GIFT))))
    assert found["version"] == 1
