"""The loads of `scripts/bench transactions`: how batches are paced, and what is told of them."""

import pytest

from forestay_bench import barrier_loads
from forestay_bench.barrier_loads import LOADS, PARTITIONS, Done, Meter


class Clock:
    """A monotonic clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def monotonic_ns(self) -> int:
        return round(self.now * 1e9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(barrier_loads, "time", clock)
    return clock


def test_a_live_load_keeps_its_rate_and_one_that_is_behind_shows_no_queue(clock: Clock) -> None:
    load, meters = LOADS["live"], [Meter(2.0) for _ in range(PARTITIONS)]
    for number, meter in enumerate(meters):
        clock.now = 100.0
        for batch in meter.batches(load, number):
            clock.now = max(clock.now, batch.begins)
            decisions, actions = batch.outputs()
            assert (len(decisions), len(actions)) == (1, 1)
            assert int(actions[0].value[:20]) == clock.monotonic_ns()
            # The first batch is slow; those after it begin late, and are quick.
            clock.now += 0.003 if meter.latencies else 0.5
            meter.durable(batch)
    done = Done.of(meters, load, cpu=0.2, taking_over=0.05)
    assert done.durable_p50 == pytest.approx(3)
    assert done.durable_p99 == pytest.approx(500)
    assert done.rate == pytest.approx(1_000, rel=0.02)
    assert done.cpu == pytest.approx(0.2 / done.events * 1e6)
    assert done.taking_over == pytest.approx(50)


def test_states_are_due_once_a_second(clock: Clock) -> None:
    meter = Meter(5.0)
    for _ in meter.batches(LOADS["behind"], 0):
        clock.now += 0.25
        meter.state_due()
        assert not meter.state_due()
    assert meter.took == pytest.approx(5.25)
