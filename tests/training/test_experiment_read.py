"""`forestay experiment read` on logs of made-up shops with a known effect, and what it refuses to say."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.builders import START, partition, settle, stream
from support.builders import click as event
from support.experiment_logs import (
    ARMS,
    HORIZON,
    World,
    decision,
    experiment,
    outcome,
    trial,
    write_catalogue,
    write_log,
)  # fmt: skip
from typer.testing import CliRunner, Result

from forestay.catalogue_file import load_catalogue
from forestay.cli.main import app
from forestay.core.experiments.settings import Experiment
from forestay.core.units import DAY
from forestay.recording import RecordedMessage, RecordingMetadata, write_recording
from forestay_schemas import Decision
from forestay_schemas.outcome import DecisionOutcome, Fragments
from forestay_training.experiments.exposures import Exposures, read_exposures
from forestay_training.experiments.log import Log, Topics
from forestay_training.experiments.metrics import BY_NAME, measured
from forestay_training.experiments.readout import read_out

TOPICS = Topics("retention-decisions", "retention-outcomes")


def read(folder: Path, world: World, given: dict[str, Any] | None = None, *, as_of: int = 10_000) -> dict[str, Any]:
    """Returns the read-out of a world's log."""
    given = given or experiment()
    log = Log([write_log(folder / "log.jsonl", world, given, as_of=as_of)], TOPICS)
    found = Experiment.model_validate(given)
    return read_out(read_exposures(log, found), found)


def exposures(folder: Path, *lines: dict[str, Any], given: dict[str, Any] | None = None) -> Exposures:
    path = folder / "log.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return read_exposures(Log([path], TOPICS), Experiment.model_validate(given or experiment()))


def acted(user: str, at: int, arm: str = "coupon") -> dict[str, Any]:
    would: dict[str, str | None] = {"control": None, "coupon": "a"}
    return decision(user, at, 0.5, would[arm], [trial("coupon", arm, would)])


def test_an_effect_is_found_and_later_looks_change_no_earlier_one(tmp_path: Path) -> None:
    world = World(users=3_000, lift=0.4)
    late, early = (read(tmp_path, world, as_of=days)["primary"]["arms"]["coupon"] for days in (60, 36))
    assert late["verdict"] == early["verdict"] == "better"
    assert late["found_at"] == early["found_at"]
    assert early["looks"] == late["looks"][: len(early["looks"])]
    assert len(early["looks"]) < len(late["looks"])
    last = late["looks"][-1]
    assert last["users"] >= 2_000
    assert last["interval"][0] < 0.3 * 0.4 < last["interval"][1]
    assert last["variance_cut"] > 0.05


def test_where_nothing_is_going_on_nothing_is_found(tmp_path: Path) -> None:
    found = read(tmp_path, World(users=2_000))
    # All users are in at the end, though fewer than planned have matured at the last but one.
    assert found["primary"]["arms"]["coupon"]["verdict"] == "undecided"
    assert not found["concluded"]
    assert found["secondary"] is None
    small = read(tmp_path, World(users=2_000), experiment(plan={"users": 1_500}))
    assert small["primary"]["arms"]["coupon"]["verdict"] == "no_difference_found"
    assert small["primary"]["arms"]["coupon"]["looks"][-1]["p_value_needed"] < 0.05
    assert {row["metric"] for row in small["secondary"]} == {"returned", "net_margin", "orders", "revenue", "basket"}


def test_a_harmful_arm_is_called_worse_and_its_complaints_are_an_alarm(tmp_path: Path) -> None:
    found = read(tmp_path, World(users=3_000, lift=-0.5, complaints=0.1), experiment(plan={"limits": {"cost": 1.0}}))
    assert found["primary"]["arms"]["coupon"]["verdict"] == "worse"
    alarms = {row["metric"]: row["alarm"] for row in found["guardrails"]}
    assert alarms == {"complaints": False, "contacts": False, "cost": True}
    limited = read(tmp_path, World(users=3_000, complaints=0.1), experiment(plan={"limits": {"complaints": 0.0}}))
    assert [row["alarm"] for row in limited["guardrails"]] == [True, False, False]


def test_lost_users_block_the_read_out_and_no_effect_is_told(tmp_path: Path) -> None:
    found = read(tmp_path, World(lost=0.2, lift=1.0))
    assert found["blocked"]
    assert found["sample_ratio"]["p_exposed"] < 0.001
    assert not {"primary", "secondary", "guardrails"} & found.keys()


def test_lost_outcomes_of_one_arm_block_it_too(tmp_path: Path) -> None:
    given = experiment()
    log = write_log(tmp_path / "log.jsonl", World(), given)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    treated = {line["decision_id"] for line in lines if line.get("offer_id")}
    kept = [
        line
        for line in lines
        if line.get("fragments", {"returned": True})["returned"] or line["decision_id"] not in treated
    ]
    log.write_text("".join(json.dumps(line) + "\n" for line in kept))
    shop = Experiment.model_validate(given)
    found = read_out(read_exposures(Log([log], TOPICS), shop), shop)
    assert found["sample_ratio"]["p_exposed"] > 0.001 > found["sample_ratio"]["p_known"]
    assert found["blocked"]


def test_arms_share_alpha_until_one_is_found(tmp_path: Path) -> None:
    arms = [*ARMS, {"id": "best", "change": {"offers": ["a"]}}]
    found = read(tmp_path, World(users=3_000, lift=0.5), experiment(arms=arms))
    needed = [of["looks"][-1]["p_value_needed"] for of in found["primary"]["arms"].values()]
    assert [of["verdict"] for of in found["primary"]["arms"].values()] == ["better", "better"]
    alone = read(tmp_path, World(users=3_000), experiment(arms=arms))
    assert max(of["looks"][-1]["p_value_needed"] for of in alone["primary"]["arms"].values()) < min(needed) + 1e-12


def test_who_came_back_early_does_not_count_before_who_did_not(tmp_path: Path) -> None:
    """Outcomes of returners may be there at once; the calendar decides who is ripe."""
    early = outcome("quick", START, returned=True) | {"matured_at": "2026-01-02T00:00:00.000Z"}
    forgotten = outcome("gone", START + 3 * DAY, returned=False) | {"complete": False}
    found = exposures(
        tmp_path,
        *(acted(user, START + place * DAY) for place, user in enumerate(["quick", "slow", "late", "gone"])),
        *(early, outcome("slow", START + DAY, returned=False), forgotten),
    )
    assert found.latest_outcome == START + (HORIZON + 1) * DAY
    ripe = measured(found, BY_NAME["returned"], START + HORIZON * DAY)
    assert ripe.value.tolist() == [1.0]
    assert measured(found, BY_NAME["returned"], START + HORIZON * DAY - 1).value.tolist() == []
    everybody = measured(found, BY_NAME["returned"], START + (HORIZON + 3) * DAY)
    assert everybody.value.tolist() == [1.0, 0.0]
    # late and gone should be known by then, and are not, or not to the end: said, not taken for no.
    assert everybody.missing == (0, 2)


def test_what_actions_cost_counts_in_the_window_of_the_exposure_and_a_horizon_later(tmp_path: Path) -> None:
    times = [START, START + 5 * DAY, START + HORIZON * DAY]
    found = exposures(
        tmp_path,
        *(acted("u", at) for at in times),
        *(outcome("u", at, returned=True, margin=10.0, cost=3.0, complained=1) for at in times),
    )
    columns = {name: values.tolist() for name, values in found.columns.items()}
    assert (columns["contacts"], columns["cost"], columns["complaints"]) == ([2.0], [6.0], [2.0])
    net = BY_NAME["net_margin"]
    assert measured(found, net, START + 2 * HORIZON * DAY).value.tolist() == [4.0]
    assert measured(found, net, START + 2 * HORIZON * DAY - 1).value.tolist() == []


def test_exposure_is_the_first_decision_on_which_the_arms_part(tmp_path: Path) -> None:
    same = decision("u", START, 0.9, None, [trial("coupon", "coupon", {"control": None, "coupon": None})])
    later, again = acted("u", START + DAY), acted("u", START + 2 * DAY, arm="control")
    came = outcome("u", START + DAY, returned=True)
    found = exposures(tmp_path, again, later, same, came)
    assert found.exposed_at.tolist() == [START + DAY]
    assert found.arms.tolist() == [1]
    assert found.in_two_arms == 1


def test_in_an_a_a_test_whoever_is_acted_upon_is_exposed(tmp_path: Path) -> None:
    alike = experiment(arms=[{"id": "control"}, {"id": "coupon"}])
    would: dict[str, str | None] = {"control": "a", "coupon": "a"}
    nothing = decision("v", START, 0.5, None, [trial("coupon", "coupon", {"control": None, "coupon": None})])
    some = decision("u", START, 0.5, "a", [trial("coupon", "coupon", would)])
    found = exposures(tmp_path, nothing, some, outcome("u", START, returned=True), given=alike)
    assert len(found.arms) == 1


def matured(decision: Decision) -> DecisionOutcome:
    """Returns an outcome as a worker writes it."""
    came = Fragments(returned=True, orders=2, revenue=90.0, refunded=0.0, margin=30.0, cost=1.0, feedback={})
    return DecisionOutcome(
        decision_id=decision.decision_id,
        user_id=decision.user_id,
        offer_id=decision.offer_id,
        decided_at=decision.decided_at,
        matured_at=decision.decided_at + timedelta(days=28),
        horizon_days=28,
        function="net-margin/1",
        reward=29.0,
        fragments=came,
    )


def test_what_the_core_writes_is_what_is_read(tmp_path: Path) -> None:
    shop = load_catalogue(write_catalogue(tmp_path / "shop.yaml", experiment()))
    bought = [
        event(f"e{user}", user, "purchase", price=1_000, quantity=1, order_id=user, item_id="i")
        for user in (f"u{number}" for number in range(300))
    ]
    decisions = settle(partition(shop=shop), stream(*bought)).decisions
    made = [(TOPICS.decisions, one.model_dump_json().encode()) for one in decisions]
    came = [(TOPICS.outcomes, matured(one).model_dump_json().encode()) for one in decisions]
    rows = [
        RecordedMessage(topic, 0, offset, START, None, value, ())
        for some in (made, came)
        for offset, (topic, value) in enumerate(some)
    ]
    write_recording(tmp_path / "log.parquet", rows, RecordingMetadata(description="a log"))
    found = read_exposures(Log([tmp_path / "log.parquet"], TOPICS), shop.experiments[0])
    held = sum(one.holdout for one in decisions)
    assert held > 0
    assert len(found.arms) == 300 - held
    assert found.columns["contacts"].tolist() == [float(arm) for arm in found.arms]
    assert measured(found, BY_NAME["ordered"], found.latest_outcome).value.tolist() == [1.0] * len(found.arms)


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["experiment", *map(str, args)])


def test_the_command_tells_a_table_one_object_and_a_page(tmp_path: Path) -> None:
    given = experiment()
    log = write_log(tmp_path / "log.jsonl", World(users=3_000, lift=0.4), given)
    asked = ("read", "coupon", "--log", log, "--catalogue", write_catalogue(tmp_path / "shop.yaml", given))
    told = run(*asked, "--html", tmp_path / "page.html")
    assert told.exit_code == 0, told.output
    assert "coupon: better than control in users who ordered at the look of 2026-01-" in told.stdout
    page = (tmp_path / "page.html").read_text()
    assert "coupon: better" in page
    assert "<circle" in page
    found = json.loads(run(*asked, "--a-a", "60", "--json").stdout)
    assert found["a_a"]["dealt"] == 60
    assert found["a_a"]["interval"][0] < 0.05 < found["a_a"]["interval"][1]
    early = json.loads(run(*asked, "--as-of", "2026-01-23", "--json").stdout)
    assert early["as_of"] == "2026-01-23T00:00:00.000Z"
    assert len(early["primary"]["arms"]["coupon"]["looks"]) == 1


def test_a_blocked_read_out_is_a_failed_job(tmp_path: Path) -> None:
    given = experiment()
    log = write_log(tmp_path / "log.jsonl", World(lost=0.3), given)
    asked = ("read", "coupon", "--log", log, "--catalogue", write_catalogue(tmp_path / "shop.yaml", given))
    told = run(*asked, "--a-a", "10", "--html", tmp_path / "page.html")
    assert told.exit_code == 1
    assert "NOT TO BE READ" in told.stdout
    assert "effect" not in told.stdout
    assert "no effect is shown" in (tmp_path / "page.html").read_text()
    as_json = run(*asked, "--json")
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["blocked"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("another",), "has no experiment another; there are: coupon"),
        (("coupon", "--as-of", "2030-01-01"), "the log ends at 2026-"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, args: tuple[str, ...], said: str) -> None:
    given = experiment()
    log = write_log(tmp_path / "log.jsonl", World(users=200), given)
    told = run("read", *args, "--log", log, "--catalogue", write_catalogue(tmp_path / "shop.yaml", given))
    assert told.exit_code == 1
    assert said in told.stderr


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([decision("u", START, 0.5, None, [])], "nobody in this log was exposed to coupon"),
        ([acted("u", START)], "no outcome of an exposed user"),
        ([decision("u", START, 0.5, None, [trial("coupon", "old", {"old": None})])], "arm old of coupon"),
        (
            [acted("u", START), acted("v", START), outcome("u", START, returned=True),
             outcome("v", START, returned=True) | {"horizon_days": 7}],
            "of several horizons (7, 14 days)",
        ),
        ([acted("u", START), {"decision_id": 5}], "row 1 is no decision"),
    ],
)  # fmt: skip
def test_a_log_that_does_not_fit_is_refused(tmp_path: Path, lines: list[dict[str, Any]], said: str) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    shop = write_catalogue(tmp_path / "shop.yaml", experiment())
    told = run("read", "coupon", "--log", log, "--catalogue", shop)
    assert told.exit_code == 1
    assert said in told.stderr


def test_a_plan_of_nothing_is_wrong_use() -> None:
    told = run("plan", "--mean", "3", "--lift", "0.1")
    assert told.exit_code == 2
    assert "a rate lies between 0 and 1" in told.stderr


def test_a_plan_takes_what_a_log_tells(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl", World(users=3_000), experiment())
    found = json.loads(run("plan", "--log", log, "--lift", "0.1", "--json").stdout)
    metric = found["metric"]
    assert metric["mean"] == pytest.approx(0.3, abs=0.04)
    assert metric["deviation"] is None
    # Half the users of this shop are acted upon, over 40 days; the chances lie evenly between 0 and 0.6.
    assert metric["users_a_day"] == pytest.approx(3_000 / 2 / 40, rel=0.1)
    assert metric["variance_cut"] == pytest.approx(0.6**2 / 12 / (0.3 * 0.7), abs=0.06)
    assert metric["horizon_days"] == HORIZON
    margin = json.loads(run("plan", "--log", log, "--lift", "0.5", "--metric", "net_margin", "--json").stdout)[
        "metric"
    ]
    assert margin["deviation"] > 0
    assert margin["horizon_days"] == 2 * HORIZON
    both = run("plan", "--log", log, "--mean", "0.3", "--lift", "0.1")
    assert both.exit_code == 2


def test_plan_and_simulate_tell_tables_and_objects() -> None:
    size = json.loads(run("plan", "--mean", "0.3", "--lift", "0.06", "--json").stdout)
    assert size["one_look"]["users"] == 20_684
    assert "20,684" in run("plan", "--mean", "0.3", "--lift", "0.06", "--users-a-day", "500").stdout
    few = ("simulate", "--users", "1000", "--looks", "3", "--simulations", "20", "--lift", "0.2")
    assert "group sequential" in run(*few).stdout
    rows = json.loads(run(*few, "--json").stdout)["rows"]
    assert len(rows) == 2 * 4 * 2
