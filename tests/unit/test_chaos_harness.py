"""The fault harness itself: its seeds name their runs, its stages are there, its figures are what it says."""

import importlib
import inspect
from pathlib import Path

import pytest

from forestay_chaos.errors import ChaosError
from forestay_chaos.faults import victim_options
from forestay_chaos.field import Blow
from forestay_chaos.figures import figures
from forestay_chaos.outcome import Outcome
from forestay_chaos.read_record import ReadRecord
from forestay_chaos.recovery import outcomes, percentiles, recovery
from forestay_chaos.scenario import KINDS, chosen, compose, first_kind
from forestay_chaos.stages import STAGES
from forestay_chaos.totals import joined, totals
from forestay_chaos.verdict import Verdict


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_is_a_function_of_the_worker(name: str) -> None:
    stage = STAGES[name]
    module = importlib.import_module(stage.module)
    owner = getattr(module, stage.owner) if stage.owner else module
    assert inspect.iscoroutinefunction(getattr(owner, stage.name))


def test_a_seed_names_its_run_and_seeds_in_a_row_go_through_all_kinds() -> None:
    scenarios = [compose(seed) for seed in range(len(KINDS))]
    assert scenarios == [compose(seed) for seed in range(len(KINDS))]
    happens = {fault.kind for scenario in scenarios for fault in scenario.faults}
    assert happens == set(KINDS)


@pytest.mark.parametrize("kinds", [KINDS, KINDS[:7], KINDS[:2], KINDS[:1]])
def test_each_kind_meets_both_kinds_of_traffic(kinds: tuple[str, ...]) -> None:
    for begin in (0, 1, 33, 137):
        seeds = range(begin, begin + 2 * len(kinds))
        met = {(first_kind(seed, kinds), seed % 2) for seed in seeds}
        assert met == {(kind, parity) for kind in kinds for parity in (0, 1)}


def test_no_run_takes_two_brokers_or_strikes_a_worker_at_two_stages() -> None:
    for seed in range(500):
        faults = compose(seed).faults
        assert sum(fault.base.startswith(("broker", "controller")) for fault in faults) <= 1
        victims = [fault.who for fault in faults if fault.stage]
        assert len(victims) == len(set(victims))


def test_kinds_are_chosen_with_all_their_stages() -> None:
    assert {kind.partition("@")[0] for kind in chosen("worker-stall")} == {"worker-stall"}
    assert len(chosen("worker-stall")) > 1
    assert chosen("triton-lie, clock-jump") == ("triton-lie", "clock-jump")
    assert {kind.partition("-")[0] for kind in chosen("broker")} == {"broker"}
    with pytest.raises(ChaosError, match="no such fault: borker"):
        chosen("borker-kill")


def test_a_victim_is_told_its_stage(tmp_path: Path) -> None:
    seed = next(seed for seed in range(500) if any(fault.stage for fault in compose(seed).faults))
    fault = next(fault for fault in compose(seed).faults if fault.stage)
    options = victim_options((fault,), fault.who, tmp_path)
    assert options[:2] == ["--at", fault.stage]
    assert victim_options((fault,), fault.who + 1, tmp_path) == []


def _record(partition: int, offset: int, timestamp: int, **fields: object) -> ReadRecord:
    given = {"topic": "t", "key": None, "value": b"{}", "headers": ()} | fields
    return ReadRecord(partition=partition, offset=offset, timestamp=timestamp, **given)  # type: ignore[arg-type]


def test_recovery_is_the_first_outcome_of_an_event_after_the_blow_in_the_slowest_partition() -> None:
    events = [_record(0, 0, 1_000), _record(0, 1, 3_000), _record(1, 0, 1_500), _record(1, 1, 2_500)]
    headers = (("forestay-topic", b"t"), ("forestay-partition", b"1"), ("forestay-offset", b"1"))
    read = {
        "clickstream": events,
        "decisions": [
            # Of an event before the blow, however late: that is no recovery.
            _record(0, 0, 9_000, value=b'{"trigger":{"topic":"t","partition":0,"offset":0}}'),
            _record(0, 1, 7_000, value=b'{"trigger":{"topic":"t","partition":0,"offset":1}}'),
            _record(0, 2, 8_000, value=b'{"trigger":{"topic":"t","partition":0,"offset":1}}'),
        ],
        "dead_letters": [_record(1, 0, 5_000, headers=headers)],
    }
    found = outcomes(read)
    assert recovery(Blow("worker-kill", "SIGKILL", 2.0, (0, 1)), found) == 5.0
    assert recovery(Blow("worker-kill", "SIGKILL", 2.0, (1,)), found) == 3.0
    assert recovery(Blow("worker-kill", "SIGKILL", 4.0, (0, 1)), found) is None


def test_percentiles_are_of_the_nearest_rank() -> None:
    assert percentiles([float(number) for number in range(1, 101)]) == {
        "count": 100,
        "p50": 50.0,
        "p90": 90.0,
        "p99": 99.0,
        "max": 100.0,
    }
    assert percentiles([2.0]) == {"count": 1, "p50": 2.0, "p90": 2.0, "p99": 2.0, "max": 2.0}
    assert percentiles([])["p50"] is None


def test_one_bad_run_makes_a_bad_campaign() -> None:
    good, bad = Outcome(compose(1), verdict=Verdict(events=5)), Outcome(compose(2), verdict=Verdict(events=5))
    assert totals([good], 1, 1.0, [])["good"]
    assert bad.verdict is not None
    bad.verdict.find("events_lost", "e1")
    result = totals([good, bad], 1, 1.0, [])
    assert (result["good"], result["lost"], result["events"], result["failed_seeds"]) == (False, 1, 10, [2])
    assert not totals([good], 1, 1.0, ["the harness failed"])["good"]
    assert not totals([Outcome(compose(3), verdict=Verdict(), stuck="late")], 3, 1.0, [])["good"]
    assert not totals([], 1, 1.0, [])["good"]


def test_the_page_tells_all_seeds_and_what_could_not_be_played() -> None:
    runs = [Outcome(compose(seed), verdict=Verdict()) for seed in (1, 3)]
    result = totals(runs, 1, 60.0, ["seed 2: broken"])
    page = figures([result])
    assert page.startswith("2 runs, seeds 1 to 3, in 1 minutes")
    assert "| runs the harness could not play | 1 |" in page


def test_campaigns_are_told_together_where_one_has_measured_nothing() -> None:
    struck, quiet = (Outcome(compose(seed), verdict=Verdict(events=5)) for seed in (1, 2))
    struck.recoveries = {"SIGKILL": [2.0]}
    whole = joined([totals([struck], 1, 60.0, []), totals([quiet], 2, 60.0, [])])
    assert (whole["runs"], whole["events"], whole["recovery_seconds"]["SIGKILL"]["p50"]) == (2, 10, 2.0)
