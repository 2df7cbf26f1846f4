"""What a worker promises under fire, as scenarios any broker must pass; the tests name the broker."""

import random
import time
from pathlib import Path

from support.account import Account
from support.workers import TopicReader, WorkerProcess, environment, worker

from forestay.recording import open_recording
from forestay.recording.replay import replay
from forestay.settings import Settings
from forestay.shell.kafka_clients import connection_options
from forestay.shell.topics import admin_client, committed_offsets, declare, end_offsets

RECORDING = Path(__file__).parents[2] / "recordings" / "online-retail-ii.parquet"
#: Enough for a few thousand decisions and two of the broken records; a worker takes seconds for them.
EVENTS = 60_000


def send(settings: Settings, start: int = 0, stop: int = EVENTS) -> int:
    """Puts a part of the recording on the clickstream; returns how many records."""
    recording = open_recording(RECORDING)
    options, topic = connection_options(settings.kafka), settings.topics.clickstream
    return replay(recording, options, topic, start=start, stop=stop).acknowledged


def await_lag_zero(settings: Settings, within: float = 120.0) -> None:
    """Returns when the group has committed the ends of the clickstream."""
    topics = settings.topics
    deadline = time.monotonic() + within
    ends = end_offsets(settings.kafka, {topics.clickstream: topics.partitions})[topics.clickstream]
    with admin_client(settings.kafka) as admin:
        while committed_offsets(admin, settings.kafka.group_id).get(topics.clickstream, {}) != ends:
            assert time.monotonic() < deadline, committed_offsets(admin, settings.kafka.group_id)


def await_decisions(settings: Settings, count: int) -> None:
    """Returns when at least `count` decisions are on their topic."""
    reader = TopicReader(settings, settings.topics.decisions)
    try:
        reader.await_count(count)
    finally:
        reader.close()


def survives_kills(settings: Settings, seed: int, kills: int) -> Account:
    """Kills the worker at `kills` random points of a replay with SIGKILL, and lets the last one finish."""
    print(f"seed {seed}")
    random_source = random.Random(seed)
    declare(settings.kafka, settings.topics)
    send(settings)
    decided = 0
    for _ in range(kills):
        decided += random_source.randint(100, 900)
        with worker(environment(settings)) as process:
            await_decisions(settings, decided)
            process.kill()
    with worker(environment(settings)) as process:
        await_lag_zero(settings)
        assert process.stop() == 0
    return Account(settings)


def survives_a_newcomer(settings: Settings) -> Account:
    """A second worker joins in the middle, then the first is told to stop: two clean handovers."""
    declare(settings.kafka, settings.topics)
    send(settings)
    with worker(environment(settings)) as first:
        await_decisions(settings, 200)
        with worker(environment(settings)) as second:
            await_decisions(settings, 600)
            assert first.stop() == 0
            await_lag_zero(settings)
            assert second.stop() == 0
    return Account(settings)


def stops_in_order(settings: Settings) -> tuple[WorkerProcess, Account]:
    """SIGTERM in the middle of the work: exit code 0, and what was decided is durable."""
    declare(settings.kafka, settings.topics)
    send(settings)
    with worker(environment(settings)) as process:
        await_decisions(settings, 300)
        assert process.stop() == 0
    with worker(environment(settings)) as successor:
        await_lag_zero(settings)
        assert successor.stop() == 0
    return process, Account(settings)
