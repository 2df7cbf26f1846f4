"""A worker on the embedded broker and a real Triton that serves the repository's model: what it promises."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.account import Account
from support.scenarios import await_lag_zero, send, survives_kills
from support.workers import environment, worker

from forestay.embedded.broker import EmbeddedBroker
from forestay.embedded.triton import EmbeddedTriton
from forestay.settings import ClockSource, KafkaSettings, Settings, TopicSettings, TritonSettings, WorkerSettings
from forestay.shell.topics import declare

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(240)]

REPOSITORY = Path(__file__).parents[2] / "model_repository"


class Machines:
    """A broker and a Triton; Triton can be killed."""

    def __init__(self, broker: EmbeddedBroker, triton: EmbeddedTriton) -> None:
        self.settings = Settings(
            kafka=KafkaSettings(
                bootstrap_servers=broker.bootstrap_servers,
                session_timeout_seconds=2,
                rebalance_timeout_seconds=2,
                fetch_wait_seconds=0.02,
                idempotent_producer=False,
            ),
            topics=TopicSettings(),
            triton=TritonSettings(url=triton.grpc_address, deadline_seconds=5, breaker_failures=1),
            worker=WorkerSettings(clock=ClockSource.NONE),
        )
        self._triton = triton

    def kill_triton(self) -> None:
        os.kill(self._triton.process.pid, signal.SIGKILL)


@contextmanager
def running(folder: Path) -> Iterator[Machines]:
    """Runs both in a loop of their own, so that the tests can block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    broker = EmbeddedBroker(log=folder / "broker.log")
    triton = EmbeddedTriton(model_repository=REPOSITORY, log=folder / "triton.log")
    try:
        for machine in (broker, triton):
            asyncio.run_coroutine_threadsafe(machine.start(), loop).result(180)
        yield Machines(broker, triton)
    finally:
        for machine in (triton, broker):
            asyncio.run_coroutine_threadsafe(machine.stop(), loop).result(60)
        # As asyncio.run does: a loop closed in the turn a process ends leaves the process's pipe open.
        for tidy in (loop.shutdown_asyncgens(), loop.shutdown_default_executor()):
            asyncio.run_coroutine_threadsafe(tidy, loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    with running(tmp_path) as up:
        yield up


def test_killed_workers_lose_nothing_and_every_decision_is_the_models(machines: Machines) -> None:
    account = survives_kills(machines.settings, seed=3, kills=2)
    account.check()
    assert account.rungs().keys() == {"model"}
    versions = {decision["churn"]["version"] for decision in account.decisions}
    assert len(versions) == 1


def test_without_triton_decisions_go_down_the_ladder_and_say_so(machines: Machines) -> None:
    settings = machines.settings
    declare(settings.kafka, settings.topics)
    with worker(environment(settings)) as process:
        send(settings, 0, 5_000)
        await_lag_zero(settings)
        with_triton = Account(settings)
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
