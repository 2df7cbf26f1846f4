"""Features at a moment, from files: the oracle's, whatever the order of the rows."""

import json
import random
from collections import defaultdict
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from support.builders import START, Click, catalogue, click
from support.datasets import RECORDING, Share, online_retail
from support.fakes import hashing_model
from support.features import features_of
from support.identity_world import World
from support.oracle import counting, differing, features

from forestay.core.feature_set import FEATURE_NAMES
from forestay.core.rules import Rules
from forestay.core.units import DAY, HOUR, MINUTE, to_milliseconds
from forestay.history.point_in_time import Snapshot, UserFeatures
from forestay.history.reading import EventFile
from forestay.history.told import History
from forestay.history.writers import Form, write_features
from forestay_schemas import ClickEvent


def silent(_stage: str, _done: int, _total: int | None) -> None:
    """A person who does not look."""


def snapshot(
    paths: Sequence[Path], at: int | None = None, users: Sequence[str] = (), rules: Rules | None = None
) -> tuple[int, list[UserFeatures]]:
    """Returns the moment and the features of users then."""
    rules = rules or Rules()
    with History() as history:
        found = Snapshot(rules, history)
        found.read([EventFile(path, rules, "clickstream") for path in paths], at, silent)
        return found.at, list(found.users(users, silent))


def write(path: Path, clicks: Sequence[Click]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in clicks))
    return path


def table(rows: Sequence[UserFeatures]) -> dict[str, list[float]]:
    return {row.user_id: row.features.tolist() for row in rows}


SHARE = Share(0, 16)
AT = to_milliseconds(ClickEvent.model_validate(click(ts=0) | {"ts": "2011-03-01T00:00:00Z"}).ts)


def test_real_users_have_the_oracles_features(tmp_path: Path) -> None:
    """A sixteenth of the users of the shipped recording, shuffled, with its repeats and its broken rows."""
    clicks = [fed.click for fed in online_retail(SHARE) if fed.click is not None]
    random.Random(5).shuffle(clicks)
    at, rows = snapshot([write(tmp_path / "events.jsonl", clicks)], AT)
    by_user: dict[str, list[Click]] = defaultdict(list)
    for one in clicks:
        if one["ts"] <= AT:
            by_user[one["user_id"]].append(one)
    assert at == AT
    assert [row.user_id for row in rows] == sorted(by_user)
    assert len(rows) > 200
    for row in rows:
        expected = features(counting(by_user[row.user_id]), AT)
        wanted = np.array([expected[name] for name in FEATURE_NAMES], dtype=np.float32)
        wrong = [
            (name, a, b)
            for name, a, b in zip(FEATURE_NAMES, row.features, wanted, strict=True)
            if not np.isclose(a, b, rtol=1e-6, atol=1e-9)
        ]
        assert not wrong, (row.user_id, wrong)


def test_a_recording_and_its_events_as_lines_are_the_same(tmp_path: Path) -> None:
    clicks = [fed.click for fed in online_retail(SHARE) if fed.click is not None]
    users = sorted({one["user_id"] for one in clicks})[:3]
    _, of_lines = snapshot([write(tmp_path / "events.jsonl", clicks)], AT, users)
    _, of_recording = snapshot([RECORDING], AT, users)
    assert [row.user_id for row in of_recording] == users
    assert table(of_recording) == table(of_lines)


FEW = [
    click("e1", "u1", "add_to_cart", START, item_id="i1", price=2),
    click("e2", "u2", "purchase", START + HOUR, price=7),
    click("e3", "u1", "view_item", START + 9 * DAY, item_id="i2"),
    click("e2", "u1", "purchase", START + 8 * DAY, price=3),
]


def test_the_moment_is_the_newest_events_and_what_is_later_does_not_count(tmp_path: Path) -> None:
    path = write(tmp_path / "events.jsonl", FEW)
    assert snapshot([path])[0] == START + 9 * DAY
    at, rows = snapshot([path], START)
    assert (at, [row.user_id for row in rows]) == (START, ["u1"])
    assert rows[0].features[FEATURE_NAMES.index("events_total")] == 1


def test_rows_may_come_in_any_order_in_several_files_and_twice(tmp_path: Path) -> None:
    expected = snapshot([write(tmp_path / "events.jsonl", FEW)])
    parts = [write(tmp_path / "a.jsonl", FEW[2:]), write(tmp_path / "b.jsonl", [*reversed(FEW)])]
    found = snapshot(parts)
    assert (found[0], table(found[1])) == (expected[0], table(expected[1]))


def merged(tmp_path: Path, clicks: Sequence[Click], at: int | None = None) -> dict[str, list[float]]:
    return table(snapshot([write(tmp_path / "merged.jsonl", clicks)], at)[1])


def test_two_ids_of_one_user_are_one_from_the_moment_an_event_says_so(tmp_path: Path) -> None:
    clicks = [
        *(click(f"d{n}", f"device-{n}", "view_item", START + n, item_id=f"i{n}") for n in range(40)),
        *(click(f"u{n}", f"u-{n}", "login", START + DAY, anonymous_id=f"device-{n}") for n in range(40)),
    ]
    before, after = merged(tmp_path, clicks, START + DAY - 1), merged(tmp_path, clicks)
    assert sorted(before) == sorted(f"device-{n}" for n in range(40))
    assert sorted(after) == sorted(f"u-{n}" for n in range(40))
    events = FEATURE_NAMES.index("events_total")
    assert {row[events] for row in after.values()} == {2}
    _, rows = snapshot([tmp_path / "merged.jsonl"], None, ["device-7"])
    assert [row.user_id for row in rows] == ["u-7"]


def test_an_id_is_given_to_who_named_it_first_and_a_user_is_given_to_nobody(tmp_path: Path) -> None:
    clicks = [
        click("e1", "u1", "login", START + 2, anonymous_id="d"),
        click("e2", "u2", "login", START + 1, anonymous_id="d"),
        click("e3", "u3", "login", START + 3, anonymous_id="u2"),
        click("e4", "d", "view_item", START + 4, anonymous_id="d2"),
        click("e5", "d2", "view_item", START),
    ]
    found = merged(tmp_path, clicks)
    events = FEATURE_NAMES.index("events_total")
    assert {user: row[events] for user, row in found.items()} == {"u1": 1, "u2": 3, "u3": 1}
    apart = table(snapshot([tmp_path / "merged.jsonl"], rules=Rules(merge_identities=False))[1])
    assert sorted(apart) == ["d", "d2", "u1", "u2", "u3"]


def lived_by_workers(clicks: Sequence[Click], at: int) -> list[float]:
    """Returns the features of `anna`, whose cookie is in another partition, once both are at rest."""
    rules = Rules(score_on=frozenset())
    world = World({"cookie": 0, "anna": 1}, rules, catalogue(), hashing_model("a"), random.Random(3))
    world.send(clicks)
    world.run(0, orderly=True)
    states = world.states()
    left = states["cookie"].identity
    assert left is not None
    assert left.merged_into == "anna"
    return features_of(states["anna"], rules.features, at)


LOGIN = click("login", "anna", "login", START + HOUR, anonymous_id="cookie")


def line(event_id: str, user_id: str, kind: str, ts: int, **more: Any) -> Click:
    """A line of an order both ids have."""
    return click(event_id, user_id, kind, START + ts, order_id="o1", item_id=f"of {user_id}", price=5, **more)


@pytest.mark.parametrize(
    ("clicks", "counted"),
    [
        pytest.param(
            [
                line("c1", "cookie", "purchase", 0),
                line("a1", "anna", "purchase", MINUTE),
                line("a2", "anna", "purchase", 2 * MINUTE),
                LOGIN,
                line("c2", "cookie", "purchase", 2 * HOUR),
                line("c3", "cookie", "refund", 3 * HOUR),
                line("a3", "anna", "refund", 4 * HOUR),
            ],
            {"orders_total": 2, "purchase_count_1d": 2, "refunds_total": 2, "events_total": 7, "spend_total": 20},
            id="a shared order",
        ),
        pytest.param(
            [
                click("e1", "cookie", "view_item", START, item_id="i1"),
                click("e1", "anna", "view_item", START, item_id="i1"),
                LOGIN,
                click("e1", "cookie", "view_item", START, item_id="i1"),
                click("e1", "anna", "view_item", START, item_id="i1"),
                click("e2", "anna", "view_item", START + 2 * HOUR, item_id="i2"),
                click("e2", "cookie", "view_item", START + 2 * HOUR, item_id="i2"),
            ],
            {"events_total": 5, "view_item_count_1d": 4},
            id="a shared event id",
        ),
    ],
)
def test_linked_ids_count_as_workers_count_them(
    tmp_path: Path, clicks: list[Click], counted: dict[str, float]
) -> None:
    """An order and an event id count once within each id, in files, in two workers' partitions, and by the oracle."""
    at = START + 5 * HOUR
    found = merged(tmp_path, [*reversed(clicks)], at)
    assert list(found) == ["anna"]
    assert found["anna"] == np.array(lived_by_workers(clicks, at), dtype=np.float32).tolist()
    assert differing(np.array(found["anna"], dtype=np.float32), features(counting(clicks), at)) == []
    assert {name: found["anna"][FEATURE_NAMES.index(name)] for name in counted} == counted


def test_linked_ids_are_forgotten_by_the_silence_of_both(tmp_path: Path) -> None:
    idle = Rules().idle
    clicks = [
        click("e1", "anna", "login", START, anonymous_id="cookie"),
        click("e2", "cookie", "view_item", START + idle - DAY),
        click("e3", "anna", "view_item", START + 2 * idle - 2 * DAY),
    ]
    events = FEATURE_NAMES.index("events_total")
    assert merged(tmp_path, clicks)["anna"][events] == 3
    clicks.append(click("e4", "anna", "view_item", START + 3 * idle - DAY))
    assert merged(tmp_path, clicks)["anna"][events] == 1


def written(form: Form, at: int, rows: Sequence[UserFeatures]) -> bytes:
    file = BytesIO()
    assert write_features(file, form, FEATURE_NAMES, at, rows) == len(rows)
    return file.getvalue()


@pytest.mark.parametrize("form", ["parquet", "csv", "json"])
def test_what_is_written_reads_back_as_the_same_floats_and_is_the_same_bytes(tmp_path: Path, form: Form) -> None:
    at, rows = snapshot([write(tmp_path / "events.jsonl", FEW)])
    content = written(form, at, rows)
    assert written(form, at, rows) == content
    if form == "json":
        objects = [json.loads(line) for line in content.splitlines()]
        assert list(objects[0]) == ["user_id", "at", *FEATURE_NAMES]
        found = {one["user_id"]: [one[name] for name in FEATURE_NAMES] for one in objects}
        assert objects[0]["at"] == "2026-01-10T00:00:00.000Z"
    else:
        read = pq.read_table(BytesIO(content)) if form == "parquet" else pyarrow.csv.read_csv(BytesIO(content))
        assert read.column_names == ["user_id", "at", *FEATURE_NAMES]
        assert form == "csv" or {str(kind) for kind in read.schema.types[2:]} == {"float"}
        found = {row["user_id"]: [row[name] for name in FEATURE_NAMES] for row in read.to_pylist()}
    same = {user: np.array(values, dtype=np.float32).tolist() for user, values in found.items()}
    assert same == table(rows)
