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

#: In batches of one a worker takes some 10,000 a second: it is full when the newcomer joins, a few seconds later.
EVENTS = 80_000
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
        clicks = [click(f"e{n}", f"u{n % USERS}", "view_item", START + n * SECOND) for n in range(EVENTS)]
        with worker(values) as first:
            newcomer = WorkerProcess(values)
            try:
                send_clicks(settings, clicks)
                newcomer.await_ready()
                check_work_is_left(settings)
                await_state(settings, lambda found: sum(state.applied for state in found.values()) == EVENTS)
                assert first.stop() == 0
                assert newcomer.stop() == 0
            finally:
                newcomer.close()
        assert first.records() > 0
        assert newcomer.records() > 0
