"""What a worker promises under fire, as scenarios any broker must pass; the tests name the broker."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

from support.account import Account, latest_states
from support.sinks import put_shipped
from support.workers import TopicReader, WorkerProcess, environment, worker

from forestay.core.state.user_state import UserState
from forestay.settings import Settings
from forestay.shell.topics import admin_client, committed_offsets, declare, end_offsets

RECORDING = Path(__file__).parents[2] / "recordings" / "online-retail-ii.parquet"
#: Enough for a few thousand decisions and two of the broken records; a worker takes seconds for them.
EVENTS = 60_000


def send(settings: Settings, start: int = 0, stop: int = EVENTS) -> int:
    """Puts a part of the recording on the clickstream; returns how many records."""
    return put_shipped(settings, settings.topics.clickstream, start, stop).acknowledged


def committed_and_ends(settings: Settings) -> tuple[dict[int, int], dict[int, int]]:
    """What the group has committed of the clickstream, and where it ends, by partition."""
    topics = settings.topics
    ends = end_offsets(settings.kafka, {topics.clickstream: topics.partitions})[topics.clickstream]
    with admin_client(settings.kafka) as admin:
        return committed_offsets(admin, settings.kafka.group_id).get(topics.clickstream, {}), ends


def await_lag_zero(settings: Settings, within: float = 120.0) -> None:
    """Returns when the group has committed the ends of the clickstream."""
    topics = settings.topics
    ends = end_offsets(settings.kafka, {topics.clickstream: topics.partitions})[topics.clickstream]
    deadline = time.monotonic() + within
    pause = threading.Event()
    with admin_client(settings.kafka) as admin:
        while committed_offsets(admin, settings.kafka.group_id).get(topics.clickstream, {}) != ends:
            assert time.monotonic() < deadline, committed_offsets(admin, settings.kafka.group_id)
            # The broker has no event for it; asking without a pause would take the worker's processor.
            pause.wait(0.1)


def check_work_is_left(settings: Settings) -> None:
    """Asserts that the scenario happens in the middle of the work: else it shows nothing."""
    committed, ends = committed_and_ends(settings)
    assert sum(committed.values()) < sum(ends.values()), "the worker was done already: send more"


def await_decisions(settings: Settings, count: int) -> None:
    """Returns when at least `count` decisions are on their topic."""
    reader = TopicReader(settings, settings.topics.decisions)
    try:
        reader.await_count(count)
    finally:
        reader.close()


def await_state(settings: Settings, holds: Callable[[dict[str, UserState]], bool], within: float = 60.0) -> None:
    """Returns when `holds` is true of the newest state records."""
    deadline = time.monotonic() + within
    reader = TopicReader(settings, settings.topics.state)
    try:
        while not (states := latest_states(reader.records)) or not holds(states):
            assert time.monotonic() < deadline, states
            reader.await_count(len(reader.records) + 1)
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
            check_work_is_left(settings)
    with worker(environment(settings)) as process:
        await_lag_zero(settings)
        assert process.stop() == 0
    return Account(settings)


def survives_a_newcomer(settings: Settings) -> Account:
    """A second worker joins in the middle, then the first is told to stop: two clean handovers."""
    declare(settings.kafka, settings.topics)
    send(settings, 0, EVENTS // 3)
    with worker(environment(settings)) as first:
        await_decisions(settings, 200)
        with worker(environment(settings)) as second:
            send(settings, EVENTS // 3, EVENTS)
            await_decisions(settings, 3_000)
            assert first.stop() == 0
            await_lag_zero(settings)
            assert second.stop() == 0
    assert first.records() > 0
    assert second.records() > 0
    assert first.records() + second.records() == EVENTS
    return Account(settings)


def stops_in_order(settings: Settings) -> tuple[WorkerProcess, Account]:
    """SIGTERM in the middle of the work: exit code 0, and what was decided is durable."""
    declare(settings.kafka, settings.topics)
    send(settings)
    with worker(environment(settings)) as process:
        await_decisions(settings, 300)
        assert process.stop() == 0
        check_work_is_left(settings)
    with worker(environment(settings)) as successor:
        await_lag_zero(settings)
        assert successor.stop() == 0
    return process, Account(settings)
