"""Lists of items: as plain counting gives them, the same from the same file, and told by a command."""

import json
from collections import Counter
from itertools import combinations
from math import sqrt
from pathlib import Path

import pytest
from typer.testing import CliRunner

from forestay.catalogue_file import load_items
from forestay.cli.main import app

#: The items of each order, one a day from 2026-01-01, by turns of three users.
BASKETS = [
    ["tea", "cup"],
    ["tea", "cup", "jar"],
    ["coffee", "mug"],
    ["tea", "pot"],
    ["coffee", "mug"],
    ["cup", "mug"],
]
TITLES = {
    "tea": "Green tea",
    "coffee": "Black coffee",
    "cup": "Blue cup",
    "mug": "Blue mug",
    "jar": "Jar",
    "pot": "Tea pot",
}


def write(path: Path, turns: int = 8) -> Path:
    lines = []
    for day, basket in enumerate(BASKETS * turns):
        event = {
            "event_id": f"e{day}",
            "user_id": f"u{day % 3}",
            "event": "purchase",
            "ts": f"2026-{1 + day // 28:02}-{1 + day % 28:02}T12:00:00Z",
            "order_id": f"o{day}",
            "country": "GB",
            "items": [{"item_id": one, "item_name": TITLES[one], "price": 1.0} for one in basket],
        }
        lines.append(json.dumps(event))
    path.write_text("\n".join(lines) + "\n")
    return path


def run(*arguments: str) -> dict[str, object]:
    done = CliRunner().invoke(app, ["items", *arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_scores_are_those_of_plain_counting(tmp_path: Path) -> None:
    events, out = write(tmp_path / "events.jsonl"), tmp_path / "items.json"
    told = run("fit", "--events", str(events), "--out", str(out))
    assert (told["orders"], told["items"], told["countries"]) == (48, 6, 0)
    items = load_items(out)
    single = Counter(item for basket in BASKETS * 8 for item in basket)
    pairs = Counter(pair for basket in BASKETS * 8 for pair in combinations(sorted(basket), 2))
    assert items.popular == tuple(sorted(single, key=lambda one: (-single[one], one)))
    for (one, other), count in pairs.items():
        expected = count / sqrt(single[one] * single[other]) * count / (count + 10)
        assert dict(items.together[one])[other] == pytest.approx(expected, abs=1e-4)
        assert dict(items.together[other])[one] == pytest.approx(expected, abs=1e-4)
    assert sum(map(len, items.together.values())) == 2 * len(pairs)
    assert [name for name, _score in items.similar["cup"]] == ["mug"]
    again = tmp_path / "again.json"
    run("fit", "--events", str(events), "--out", str(again))
    assert again.read_bytes() == out.read_bytes()


def test_only_orders_before_the_moment_are_learned_from(tmp_path: Path) -> None:
    told = run(
        "fit",
        "--events",
        str(write(tmp_path / "e.jsonl")),
        "--out",
        str(tmp_path / "i.json"),
        "--before",
        "2026-01-03",
    )
    assert told["orders"] == 2


def test_lists_are_judged_by_later_orders(tmp_path: Path) -> None:
    found = run("evaluate", "--events", str(write(tmp_path / "e.jsonl")), "--since", "2026-02-01", "--shown", "2")
    assert (found["learned_from"], found["shown"]) == (28, 2)
    lists = found["lists"]
    assert isinstance(lists, dict)
    assert set(lists) == {"together", "similar", "popular"}
    # Users have met nearly all six items in 30 days: an order counts only with something new.
    assert all(0 <= one["all"]["value"] <= 1 for one in lists.values() if one["all"]["value"] is not None)


def test_an_item_is_shown_or_said_to_be_unknown(tmp_path: Path) -> None:
    out = tmp_path / "items.json"
    run("fit", "--events", str(write(tmp_path / "events.jsonl")), "--out", str(out))
    assert run("show", "cup", "--items", str(out))["popularity"] == 1
    done = CliRunner().invoke(app, ["items", "show", "spoon", "--items", str(out)])
    assert done.exit_code == 1
