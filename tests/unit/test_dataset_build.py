"""A finished set: its columns, its manifest, the same bytes each time; and what a check for leakage refuses."""

import json
import random
from collections.abc import Iterable, Iterator
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support.builders import START, Click, click
from support.training_sets import WISHES, Key, made, parts, rows_of, table, write_events

from forestay.core.decision.model_input import INPUT_DIGEST
from forestay.core.errors import ForestayError
from forestay.core.event import Event
from forestay.core.feature_set import FEATURE_COUNT
from forestay.core.rules import Rules
from forestay.core.state.user_state import UserState
from forestay.core.units import DAY, HOUR
from forestay.dataset import local, rows
from forestay.dataset.build import Wishes, build
from forestay.dataset.leakage import _area, _spread
from forestay.dataset.part import Job
from forestay.dataset.plan import Plan, Split
from forestay.dataset.rows import LeakError
from forestay.history.reading import EventFile
from forestay.history.rebuild import rebuilt_at


def shop(users: int = 40) -> list[Click]:
    """Random orders and views of two hundred days, on the hour."""
    chance = random.Random(4)
    hours = ((user, hour) for user in range(users) for hour in chance.sample(range(200 * 24), 8))
    return [
        click(
            f"e{user}-{hour}",
            f"u{user}",
            chance.choice(["purchase", "view_item"]),
            START + hour * HOUR,
            item_id=f"i{chance.randrange(9)}",
            price=chance.randrange(1, 90) / 2,
        )
        for user, hour in hours
    ]


CLICKS = shop()
PLAN = Plan(
    cutoffs=tuple(START + day * DAY for day in range(20, 200, 10)),
    horizons=(14 * DAY, 28 * DAY),
    observed=60 * DAY,
    validate_from=START + 100 * DAY,
    test_from=START + 150 * DAY,
    partitions=3,
)


@pytest.fixture
def events(tmp_path: Path) -> Path:
    return write_events(tmp_path / "events.jsonl", CLICKS)


def test_what_is_written_is_what_was_made(events: Path, tmp_path: Path) -> None:
    made(events, PLAN, tmp_path / "set")
    expected = rows_of(CLICKS, PLAN)
    found = table(tmp_path / "set")
    assert found.num_rows == len(expected) > 200
    for row in found.to_pylist():
        wanted = expected[Key(row["user_id"], round(row["at"].timestamp() * 1000))]
        assert (row["split"], (row["churned_14d"], row["churned_28d"])) == (wanted.split, wanted.labels)
        # Prices are halves: 32-bit floats hold them.
        assert (row["spend_14d"], row["spend_28d"]) == wanted.spends
        for name, array in wanted.input._asdict().items():
            assert np.array(row[name], array.dtype).tobytes() == array.tobytes()
    assert set(found.column("split").to_pylist()) == {"train", "validation", "test", "gap"}
    assert found.column("churned_28d").null_count > found.column("churned_14d").null_count > 0
    for name in ("14d", "28d"):
        churned, spend = found.column(f"churned_{name}"), found.column(f"spend_{name}")
        assert spend.type == pa.float32()
        assert spend.is_null().equals(churned.is_null())
        # Nothing is free here: who has not ordered has spent nothing, who has, something.
        assert pc.equal(spend, 0).cast(pa.float32()).equals(churned)


def test_the_manifest_says_what_is_there(events: Path, tmp_path: Path) -> None:
    built = made(events, PLAN, tmp_path / "set")
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert manifest == json.loads(json.dumps(built.manifest))
    found = table(tmp_path / "set").to_pylist()
    assert manifest["input_digest"] == INPUT_DIGEST
    assert manifest["format"] == "forestay-dataset/2"
    assert manifest["label"] == {"churned": "no_order", "columns": ["churned_14d", "churned_28d"]}
    assert manifest["spend"] == {"columns": ["spend_14d", "spend_28d"]}
    assert len(manifest["features"]) == FEATURE_COUNT
    for split in Split:
        mine = [row for row in found if row["split"] == split]
        known = [row["churned_14d"] for row in mine if row["churned_14d"] is not None]
        assert manifest["rows"][split] == len(mine)
        assert manifest["labels"]["churned_14d"][split]["labelled"] == len(known)
        rate = manifest["labels"]["churned_14d"][split]["churn_rate"]
        assert rate == (round(sum(known) / len(known), 6) if known else None)
    assert manifest["sources"][0]["events"] == len(CLICKS)
    assert manifest["leakage"]["rows_made_again"] >= PLAN.partitions
    assert sum(part["rows"] for part in manifest["parts"]) == len(found)


def test_the_same_events_are_the_same_bytes_whatever_their_order_and_the_workers(
    events: Path, tmp_path: Path
) -> None:
    made(events, PLAN, tmp_path / "one")
    shuffled = list(CLICKS)
    random.Random(1).shuffle(shuffled)
    other = write_events(tmp_path / "shuffled.jsonl", shuffled)
    made(other, PLAN, tmp_path / "two", WISHES._replace(workers=2))
    assert parts(tmp_path / "one") == parts(tmp_path / "two")
    made(events, PLAN, tmp_path / "again", WISHES._replace(workers=2))
    manifests = [(tmp_path / name / "manifest.json").read_bytes() for name in ("one", "again")]
    assert manifests[0] == manifests[1]


def test_a_worker_that_is_killed_is_told(events: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "make_file", _end)
    with pytest.raises(ForestayError, match="try fewer --workers or more --partitions"):
        made(events, PLAN, tmp_path / "set", WISHES._replace(workers=2))


def _end(_job: Job) -> None:
    import os  # noqa: PLC0415 - in the worker

    os._exit(9)


def test_ctrl_c_ends_the_workers_and_leaves_nothing(events: Path, tmp_path: Path) -> None:
    def interrupt(stage: str, _done: int, _total: int | None) -> None:
        if stage.startswith("making rows"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(
            [EventFile(events, Rules(), "clickstream")],
            PLAN,
            WISHES._replace(workers=2),
            tmp_path / "set",
            interrupt,
        )
    assert active_children() == []
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]


def test_one_user_a_partition_and_partitions_without_anybody(tmp_path: Path) -> None:
    events = write_events(tmp_path / "events.jsonl", CLICKS[:8])
    made(events, PLAN._replace(partitions=16, cutoffs=PLAN.cutoffs[:8]), tmp_path / "set")
    assert len(parts(tmp_path / "set")) == 16
    assert set(table(tmp_path / "set").column("user_id").to_pylist()) == {"u0"}


# -- leakage ---------------------------------------------------------------------------------------------


def sees_tomorrow(events: Iterable[Event], rules: Rules, moments: Iterable[int]) -> Iterator[UserState | None]:
    return rebuilt_at(events, rules, [moment + 30 * DAY for moment in moments])


def fails(events: Path, out: Path, said: str, plan: Plan = PLAN, wishes: Wishes = WISHES) -> None:
    with pytest.raises(LeakError, match=said):
        made(events, plan, out, wishes)
    assert sorted(path.name for path in out.parent.iterdir()) == [events.name]


def test_a_row_that_knows_what_comes_after_it_is_refused(
    events: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "rebuilt_at", sees_tomorrow)
    fails(
        events, tmp_path / "set", "of user u[0-9]+ at 2026-.* are others when made from the events until then alone"
    )


def test_a_row_of_several_ids_that_knows_what_comes_after_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "_until", lambda told, _at: told)
    clicks = [
        click("e1", "anna", "login", START, anonymous_id="cookie"),
        click("e2", "cookie", "purchase", START, price=1),
        click("e3", "anna", "purchase", START + 20 * DAY, price=7),
    ]
    plan = Plan((START + 10 * DAY,), (DAY,), 60 * DAY)
    fails(
        write_events(tmp_path / "events.jsonl", clicks), tmp_path / "set", "of user anna at 2026-.* are others", plan
    )


def test_a_label_that_looks_into_the_test_is_refused(
    events: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def early(plan: Plan, cutoff: int) -> Split:
        return Split.TEST if plan.test_from is not None and cutoff >= plan.test_from else Split.TRAIN

    monkeypatch.setattr(rows, "split_of", early)
    fails(events, tmp_path / "set", "a label of train looks up to 2026-06-.*, beyond 2026-04-11T00:00:00.000Z")


def tell_tale() -> list[Click]:
    """Who viewed an item never orders again; everybody else does."""
    clicks = []
    for user in range(120):
        clicks.append(click(f"a{user}", f"u{user}", "purchase", START + user * HOUR, price=3))
        if user % 2:
            clicks.append(click(f"b{user}", f"u{user}", "view_item", START + 9 * DAY))
        else:
            clicks.append(click(f"b{user}", f"u{user}", "purchase", START + 20 * DAY, price=3))
    return [*clicks, click("last", "u0", "login", START + 60 * DAY)]


def test_a_feature_that_tells_the_label_is_named(tmp_path: Path) -> None:
    events = write_events(tmp_path / "events.jsonl", tell_tale())
    plan = Plan((START + 10 * DAY,), (28 * DAY,), 60 * DAY)
    fails(events, tmp_path / "set", "tells churned_28d with an AUC of 1.0000: such a feature knows the label", plan)
    built = made(events, plan, tmp_path / "set", WISHES._replace(suspicious_auc=1))
    assert built.manifest["leakage"]["best_single_feature"]["churned_28d"]["auc"] == 1


@pytest.mark.parametrize("step", [1, 2, 4, 14, 31])
def test_the_rows_looked_at_are_of_every_cutoff_alike(step: int) -> None:
    """Rows lie by user and cutoff: where as many cutoffs as rows are skipped, all would be of one."""
    chosen = np.flatnonzero(_spread(np.arange(1_000 * step), step))
    assert chosen.size == pytest.approx(1_000, rel=0.01)
    _, counts = np.unique(chosen % step, return_counts=True)
    assert counts.size == step
    assert counts.min() > 0.8 * counts.max()


def test_the_area_is_that_of_all_pairs() -> None:
    chance = np.random.default_rng(3)
    values = chance.integers(0, 5, 60).astype(np.float32)
    left = chance.random(60) < 0.4
    pairs = [(a > b) + (a == b) / 2 for a in values[left] for b in values[~left]]
    assert _area(values, left) == pytest.approx(np.mean(pairs))


# -- what cannot be ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cutoffs": ()}, "no cutoff"),
        ({"cutoffs": tuple(range(5_000))}, "5,000 cutoffs are more than 4,096"),
        ({"cutoffs": (START + 900 * DAY,)}, "lies after the data, which end at 2026-"),
        ({"cutoffs": (START - DAY,)}, "no user is active at any cutoff"),
        ({"horizons": ()}, "no horizon"),
        ({"observed": 731 * DAY}, "--obs 731d is longer than users are remembered, 730d"),
        ({"spend_share": 0}, "--spend-share 0 does not lie in"),
        ({"partitions": 0}, "--partitions lies between 1 and 512"),
        ({"validate_from": START + 150 * DAY}, "--validate-from lies before --test-from"),
    ],
)
def test_what_cannot_be_is_said_and_leaves_nothing(
    events: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(ForestayError, match=said):
        made(events, PLAN._replace(**change), tmp_path / "set")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.jsonl"]


def test_what_comes_after_the_known_end_does_not_count(events: Path, tmp_path: Path) -> None:
    known = START + 190 * DAY
    wild = write_events(tmp_path / "wild.jsonl", [*CLICKS, click("x", "u0", "purchase", START + 9_000 * DAY)])
    built = made(wild, PLAN, tmp_path / "set", WISHES._replace(known_until=known))
    assert built.later == 1 + sum(one["ts"] > known for one in CLICKS)
    made(events, PLAN, tmp_path / "tame", WISHES._replace(known_until=known))
    assert parts(tmp_path / "set") == parts(tmp_path / "tame")
