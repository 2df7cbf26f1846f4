"""A worker on the embedded broker and a real Triton that serves the repository's model: what it promises."""

import os
import signal
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.account import Account
from support.embedded import embedded_kafka, running
from support.made_again import made_again
from support.scenarios import await_lag_zero, send, survives_kills
from support.workers import WorkerProcess, environment, worker

from forestay.embedded.broker import EmbeddedBroker
from forestay.embedded.triton import EmbeddedTriton
from forestay.settings import ClockSource, Settings, TopicSettings, TritonSettings, WebSettings, WorkerSettings
from forestay.shell.topics import declare

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(240)]

REPOSITORY = Path(__file__).parents[2] / "model_repository"


class Machines:
    """A broker and a Triton; Triton can be killed."""

    def __init__(self, broker: EmbeddedBroker, triton: EmbeddedTriton) -> None:
        self.settings = Settings(
            kafka=embedded_kafka(broker.bootstrap_servers),
            topics=TopicSettings(),
            triton=TritonSettings(url=triton.grpc_address, deadline_seconds=5, breaker_failures=1),
            worker=WorkerSettings(clock=ClockSource.NONE),
            web=WebSettings(port=0),
        )
        self._triton = triton

    def kill_triton(self) -> None:
        os.kill(self._triton.process.pid, signal.SIGKILL)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    broker = EmbeddedBroker(log=tmp_path / "broker.log")
    triton = EmbeddedTriton(model_repository=REPOSITORY, log=tmp_path / "triton.log")
    with running(broker, triton):
        yield Machines(broker, triton)


def metrics(process: WorkerProcess) -> dict[str | tuple[str, str], float]:
    """Asks the web port, whose number the worker has logged; returns samples by name, decisions by rung."""
    line = next(line for line in process.log if "web port" in line)
    address = line.partition("web port ")[2].partition(": ")[0]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    told: defaultdict[str | tuple[str, str], float] = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            told[(one.name, one.labels["rung"]) if "rung" in one.labels else one.name] += one.value
    return told


def test_killed_workers_lose_nothing_and_every_decision_is_the_models(machines: Machines, tmp_path: Path) -> None:
    account = survives_kills(machines.settings, seed=3, kills=2)
    account.check()
    assert account.rungs().keys() == {"model"}
    versions = {decision["churn"]["version"] for decision in account.decisions}
    assert len(versions) == 1
    again = made_again(machines.settings, tmp_path / "recording")
    assert again["first_difference"] is None
    assert again["made"]["decisions"]["records"] + again["as_made"] >= len(account.decisions)
    # A life that is killed before its first commit leaves no entry.
    assert again["starts"] > machines.settings.topics.partitions


def test_without_triton_decisions_go_down_the_ladder_and_say_so(machines: Machines) -> None:
    settings = machines.settings
    declare(settings.kafka, settings.topics)
    with worker(environment(settings)) as process:
        send(settings, 0, 5_000)
        await_lag_zero(settings)
        with_triton = Account(settings)
        told = metrics(process)
        assert told["forestay_records_total"] >= 5_000
        assert told["forestay_decisions_total", "model"] == with_triton.rungs()["model"]
        assert told["forestay_ready"] == 1
        machines.kill_triton()
        send(settings, 5_000, 10_000)
        await_lag_zero(settings)
        assert process.stop() == 0
    account = Account(settings)
    account.check()
    assert with_triton.rungs().keys() == {"model"}
    assert account.rungs()["model"] == with_triton.rungs()["model"]
    assert account.rungs()["cached"] > 0
    assert account.rungs()["rule"] > 0
