"""A worker that has more in hand than it can take lives through a rebalance, and nothing is counted twice."""

from pathlib import Path

import pytest
from support.builders import START, click
from support.embedded import embedded_kafka, running, send_clicks
from support.scenarios import await_state, check_work_is_left
from support.workers import WorkerProcess, environment, worker

from forestay.core.units import SECOND
from forestay.embedded.broker import EmbeddedBroker
from forestay.settings import ClockSource, Settings, WorkerSettings
from forestay.shell.topics import declare

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(240)]

#: In batches of one a worker takes some 10,000 a second: more than that comes, for as long as the newcomer needs.
CHUNK = 20_000
MOST_CHUNKS = 60
USERS = 997


def test_a_newcomer_joins_while_the_first_is_full(tmp_path: Path) -> None:
    broker = EmbeddedBroker(log=tmp_path / "broker.log")
    with running(broker):
        settings = Settings(
            kafka=embedded_kafka(broker.bootstrap_servers, session=4),
            worker=WorkerSettings(clock=ClockSource.NONE, batch_records=1),
        )
        declare(settings.kafka, settings.topics)
        values = environment(settings) | {"FORESTAY_ENGINE__SCORE_ON": "[]"}
        with worker(values) as first:
            newcomer = WorkerProcess(values)
            try:
                sent = send_until_ready(settings, newcomer)
                check_work_is_left(settings)
                await_state(settings, lambda found: sum(state.applied for state in found.values()) == sent, 120)
                assert first.stop() == 0
                assert newcomer.stop() == 0
            finally:
                newcomer.close()
        assert first.records() > 0
        assert newcomer.records() > 0


def send_until_ready(settings: Settings, newcomer: WorkerProcess) -> int:
    """Sends more a second than a worker takes until the newcomer has its share; returns how many."""
    for chunk in range(MOST_CHUNKS):
        numbers = range(chunk * CHUNK, (chunk + 1) * CHUNK)
        send_clicks(settings, [click(f"e{n}", f"u{n % USERS}", "view_item", START + n * SECOND) for n in numbers])
        if newcomer.is_ready_within(1.0):
            return (chunk + 1) * CHUNK
    pytest.fail("the newcomer was never ready:\n" + "".join(newcomer.log))
