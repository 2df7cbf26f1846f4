"""A worker's probes on a real Apache Kafka, and what static membership spares its neighbours."""

import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from support.builders import START, click
from support.embedded import send_clicks
from support.kafka import KafkaServer
from support.own_topics import own_topics
from support.scenarios import await_lag_zero
from support.workers import WorkerProcess, environment, worker

from forestay.settings import ClockSource, KafkaSettings, Settings, TritonSettings, WorkerSettings
from forestay.shell.topics import declare

pytest_plugins = ("support.kafka_plugin",)
pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


def settings_on(server: KafkaServer, name: str, session_timeout_seconds: int = 6, **kafka: Any) -> Settings:
    """Settings whose topics and group are this test's own; nothing listens where Triton should be."""
    return Settings(
        kafka=KafkaSettings(
            bootstrap_servers=server.bootstrap,
            group_id=name,
            session_timeout_seconds=session_timeout_seconds,
            **kafka,
        ),
        topics=own_topics(name),
        triton=TritonSettings(url="127.0.0.1:9"),
        worker=WorkerSettings(clock=ClockSource.NONE, barrier_deadline_seconds=0.5, stalled_seconds=2.5),
    )


def probe(process: WorkerProcess, page: str) -> tuple[int, Any]:
    """Asks the web port, whose number the worker has logged."""
    line = next(line for line in process.log if "web port" in line)
    address = line.partition("web port ")[2].partition(": ")[0]
    try:
        with urllib.request.urlopen(f"http://{address}{page}", timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def await_probe(process: WorkerProcess, page: str, holds: Callable[[int, Any], bool], within: float = 30.0) -> Any:
    """Returns what the page says once `holds` is true of its status and content."""
    deadline, pause = time.monotonic() + within, threading.Event()
    while not holds(*(answer := probe(process, page))):
        assert time.monotonic() < deadline, answer
        pause.wait(0.1)
    return answer[1]


def with_port(settings: Settings) -> dict[str, str]:
    return environment(settings) | {"FORESTAY_WEB__PORT": "0"}


def test_a_worker_tells_its_lag_and_is_not_live_while_kafka_says_nothing(kafka_server: KafkaServer) -> None:
    settings = settings_on(kafka_server, "probes")
    declare(settings.kafka, settings.topics)
    send_clicks(settings, [click(f"e{n}", f"u{n % 50}", "view_item", START + n) for n in range(1_000)])
    with worker(with_port(settings)) as process:
        await_lag_zero(settings)
        ready = await_probe(process, "/ready", lambda _, said: set(said["lag"].get("0", {}).values()) == {0})
        assert ready["partitions"] == [0, 1, 2, 3]
        assert probe(process, "/live")[0] == 200
        os.kill(kafka_server.pid, signal.SIGSTOP)
        try:
            said = await_probe(process, "/live", lambda status, _: status == 503)
            assert said["reasons"][0].startswith("Kafka has answered no fetch for ")
        finally:
            os.kill(kafka_server.pid, signal.SIGCONT)
        await_probe(process, "/live", lambda status, _: status == 200)
        await_probe(process, "/ready", lambda status, _: status == 200)
        assert process.stop() == 0


def test_a_static_member_that_comes_back_in_time_disturbs_nobody(kafka_server: KafkaServer) -> None:
    first, second = (
        settings_on(kafka_server, "static", group_instance_id=f"worker-{n}", session_timeout_seconds=20)
        for n in (0, 1)
    )
    declare(first.kafka, first.topics)
    with worker(with_port(first)) as stays, worker(with_port(second)) as leaves:
        await_probe(stays, "/ready", lambda status, said: status == 200 and len(said["partitions"]) == 2)
        ours, theirs = probe(stays, "/ready")[1], probe(leaves, "/ready")[1]
        assert leaves.stop() == 0
        with worker(with_port(second)) as returns:
            # A member that is new, or is missed, can only have its partitions once the other has joined anew.
            assert probe(returns, "/ready")[1]["partitions"] == theirs["partitions"]
            still = probe(stays, "/ready")[1]
            assert still["partitions"] == ours["partitions"]
            assert still["seconds"] > ours["seconds"]


def test_of_two_workers_with_one_instance_id_the_first_gives_way(kafka_server: KafkaServer) -> None:
    settings = settings_on(kafka_server, "same", group_instance_id="worker-0")
    declare(settings.kafka, settings.topics)
    with worker(with_port(settings)) as replaced, worker(with_port(settings)) as replacing:
        assert replaced.ended_within(20) == 1
        assert any("another worker has joined group same as worker-0" in line for line in replaced.log)
        before = probe(replacing, "/ready")[1]["seconds"]
        await_probe(replacing, "/ready", lambda _, said: said["seconds"] > before + 2)
        assert sum("worker ready" in line for line in replacing.log) == 1
