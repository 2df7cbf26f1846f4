"""The adapter agent on the embedded broker: keyed by user, nothing lost under kills, failures in the dead letters."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from support.embedded import Outgoing, embedded_kafka, running, send_records
from support.workers import TopicReader, environment

from forestay.embedded.broker import EmbeddedBroker
from forestay.settings import AdapterSettings, Settings, TopicSettings
from forestay.shell.kafka_clients import connection_options
from forestay.shell.placement import Placement
from forestay.shell.topics import admin_client, committed_offsets, declare

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(240)]

SOURCE = "segment-calls"
CALLS = 30_000
#: Every so manyth record is broken, and every so manyth is no event of a shop.
BROKEN, GROUP = 500, 100
READY_WITHIN = 60.0


class Agent:
    """`forestay adapt --run` in a process of its own."""

    def __init__(self, settings: Settings) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "forestay", "adapt", "--run"],
            env={**os.environ, **environment(settings)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[str] = []
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.log.append(line)
            if "adapter ready" in line:
                self._ready.set()
        self._ready.set()

    def await_ready(self) -> None:
        assert self._ready.wait(READY_WITHIN)
        assert any("adapter ready" in line for line in self.log), "".join(self.log)

    def end(self, number: signal.Signals) -> int:
        if self._process.poll() is None:
            self._process.send_signal(number)
        self._process.wait(60)
        self._reader.join(5)
        assert self._process.stderr is not None
        self._process.stderr.close()
        return self._process.returncode


@contextmanager
def agent(settings: Settings) -> Iterator[Agent]:
    process = Agent(settings)
    try:
        process.await_ready()
        yield process
    finally:
        process.end(signal.SIGKILL)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """A broker with our topics and a foreign one that has another number of partitions."""
    broker = EmbeddedBroker(log=tmp_path / "broker.log")
    with running(broker):
        made = Settings(
            kafka=embedded_kafka(broker.bootstrap_servers, session=4),
            topics=TopicSettings(),
            adapter=AdapterSettings(topic=SOURCE, profile="segment", batch_records=200),
        )
        declare(made.kafka, made.topics)
        with KafkaAdminClient(**connection_options(made.kafka)) as admin:
            admin.create_topics([NewTopic(SOURCE, 3, 1)])
        yield made


def value(number: int) -> bytes:
    if number % BROKEN == 0:
        return b'{"broken": \xff' + str(number).encode()
    kind = "group" if number % GROUP == 1 else "page"
    call = {"type": kind, "messageId": f"m{number}", "anonymousId": f"a{number % 97}", "userId": f"zoë-{number % 97}"}
    return json.dumps(call | {"timestamp": "2026-01-01T00:00:00Z"}).encode()


def send(settings: Settings, start: int, stop: int) -> None:
    """Puts calls on the foreign topic, round-robin: it is not keyed by user."""
    numbers = range(start, stop)
    calls = (Outgoing(value(n), partition=n % 3, headers=(("number", str(n).encode()),)) for n in numbers)
    send_records(settings, SOURCE, calls)


def wanted(start: int, stop: int) -> set[str]:
    return {f"m{number}" for number in range(start, stop) if number % BROKEN and number % GROUP != 1}


def read(settings: Settings, topic: str) -> list[Any]:
    reader = TopicReader(settings, topic)
    try:
        return reader.read_to_end()
    finally:
        reader.close()


def await_events(settings: Settings, count: int) -> None:
    reader = TopicReader(settings, settings.topics.clickstream)
    try:
        reader.await_count(count)
    finally:
        reader.close()


def await_committed(settings: Settings, count: int) -> None:
    """Returns when the agent's group has committed `count` records of the foreign topic."""
    pause = threading.Event()
    group = settings.kafka.group_id + settings.adapter.group_suffix
    with admin_client(settings.kafka) as admin:
        for _ in range(600):
            if sum(committed_offsets(admin, group).get(SOURCE, {}).values()) == count:
                return
            # The broker has no event for it.
            pause.wait(0.1)
    raise AssertionError(committed_offsets)


def check_nothing_lost(settings: Settings, count: int) -> Counter[str]:
    """Asserts that all events are there, keyed by user where they belong; returns how often each came."""
    events = read(settings, settings.topics.clickstream)
    seen = Counter(json.loads(event.value)["event_id"] for event in events)
    assert set(seen) == wanted(0, count)
    placement = Placement("murmur2", settings.topics.partitions)
    for event in events:
        click = json.loads(event.value)
        assert event.key == click["user_id"].encode()
        assert event.partition == placement.partition(event.key)
        assert click["anonymous_id"] == click["user_id"].replace("zoë-", "a")
    letters = read(settings, settings.topics.dead_letters)
    broken = {value(number) for number in range(0, count, BROKEN)}
    assert {letter.value for letter in letters} == broken
    for letter in letters:
        headers = dict(letter.headers)
        assert value(int(headers["number"])) == letter.value
        assert headers["forestay-error"] == b"not_json"
        assert headers["forestay-topic"] == SOURCE.encode()
        assert int(headers["forestay-offset"]) * 3 + int(headers["forestay-partition"]) == int(headers["number"])
    return seen


def test_a_killed_agent_loses_nothing_and_repeats_only_what_it_had_not_committed(settings: Settings) -> None:
    send(settings, 0, CALLS)
    for target in (3_000, 12_000):
        with agent(settings) as running:
            await_events(settings, target)
            assert running.end(signal.SIGKILL) == -signal.SIGKILL
    assert len(read(settings, settings.topics.clickstream)) < CALLS, "it was done already: send more"
    with agent(settings) as last:
        await_committed(settings, CALLS)
        assert last.end(signal.SIGTERM) == 0
    assert "dead_letters=" in last.log[-1]
    assert "'not a track, page or screen call': " in last.log[-1]
    seen = check_nothing_lost(settings, CALLS)
    # Two kills, each in a batch of at most 200 records that was written and not committed.
    assert seen.total() - len(seen) <= 400


def test_an_orderly_stop_and_a_newcomer_repeat_nothing(settings: Settings) -> None:
    send(settings, 0, CALLS // 2)
    with agent(settings) as first:
        await_events(settings, 2_000)
        with agent(settings) as second:
            send(settings, CALLS // 2, CALLS)
            await_events(settings, CALLS // 2)
            assert first.end(signal.SIGTERM) == 0
            await_committed(settings, CALLS)
            assert second.end(signal.SIGTERM) == 0
    assert all(count == 1 for count in check_nothing_lost(settings, CALLS).values())


def test_a_backlog_of_a_week_comes_out_in_the_order_of_its_timestamps(settings: Settings) -> None:
    """Three days of lateness are allowed: a partition read to its end first makes the others late."""
    start, step, count = 1_767_225_600_000, 100_000, 6_000
    calls = [value(number if number % BROKEN else number + 2) for number in range(count)]
    backlog = (Outgoing(call, None, n % 3, start + n * step) for n, call in enumerate(calls))
    send_records(settings, SOURCE, backlog)
    with agent(settings) as running:
        await_committed(settings, count)
        assert running.end(signal.SIGTERM) == 0
    newest: dict[int, int] = {}
    for event in read(settings, settings.topics.clickstream):
        number = int(json.loads(event.value)["event_id"][1:])
        assert number >= newest.get(event.partition, 0) - 2
        newest[event.partition] = max(number, newest.get(event.partition, 0))
    assert len(newest) == settings.topics.partitions
