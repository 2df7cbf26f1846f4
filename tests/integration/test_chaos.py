"""One short run of the fault harness: three brokers, a zombie, a killed worker; `make chaos` plays the rest."""

import pytest

from forestay_chaos.campaign import Campaign
from forestay_chaos.scenario import Fault, Scenario

pytest_plugins = ("support.kafka_plugin",)
pytestmark = [pytest.mark.kafka, pytest.mark.embedded, pytest.mark.timeout(240)]

#: Worker 0 is killed between its decisions and its actions, worker 1 stands still beyond its session.
SCENARIO = Scenario(
    seed=2,
    seconds=3.0,
    rate=150.0,
    partitions=4,
    workers=2,
    static=False,
    web=False,
    session=2.0,
    commit=0.1,
    barrier=10.0,
    reload=True,
    faults=(
        Fault("worker-kill@decisions-durable", 0.3, who=0, lasts=0.5),
        Fault("worker-stall@before-state", 1.2, who=1, lasts=0.5),
    ),
)


@pytest.mark.usefixtures("kafka_available")
def test_nothing_is_lost_or_done_twice_when_workers_are_struck() -> None:
    with Campaign.open() as campaign:
        outcome = campaign.play(SCENARIO, print)
    assert outcome is not None, campaign.errors
    assert outcome.good, outcome.findings()
    assert outcome.verdict is not None
    assert outcome.verdict.actions > 0
    assert {"worker-kill@decisions-durable", "worker-stall@before-state"} <= set(outcome.done), outcome.done
