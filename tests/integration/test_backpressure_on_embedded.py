"""A worker that has more in hand than it can take lives through a rebalance, and nothing is counted twice."""

from pathlib import Path

import pytest
from support.builders import START, click
from support.embedded import embedded_kafka, running, send_clicks
from support.scenarios import await_state, check_work_is_left, committed_and_ends
from support.workers import WorkerProcess, environment, worker

from forestay.core.units import SECOND
from forestay.embedded.broker import EmbeddedBroker
from forestay.settings import ClockSource, Settings, WorkerSettings
from forestay.shell.topics import declare

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(240)]

#: In batches of one a worker takes some 10,000 a second, less on a busy machine: it always has this much before it,
#: for as long as the newcomer needs.
CHUNK = 20_000
#: Seconds between two looks at how much is left, and how many of them there are.
PAUSE = 0.5
MOST_LOOKS = 180
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
    """Keeps the first worker full until the newcomer has its share; returns how many events were sent."""
    sent = 0
    for _ in range(MOST_LOOKS):
        committed, _ends = committed_and_ends(settings)
        if sent - sum(committed.values()) < 2 * CHUNK:
            numbers = range(sent, sent + CHUNK)
            send_clicks(settings, [click(f"e{n}", f"u{n % USERS}", "view_item", START + n * SECOND) for n in numbers])
            sent += CHUNK
        if newcomer.is_ready_within(PAUSE):
            return sent
    pytest.fail("the newcomer was never ready:\n" + "".join(newcomer.log))
