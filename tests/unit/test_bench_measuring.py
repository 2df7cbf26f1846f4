"""How the bench watches processes: their CPU and memory, what they say, and that they end."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from forestay_bench.errors import PeerUnavailableError
from forestay_bench.installs import classpath_of
from forestay_bench.machine import machine
from forestay_bench.peers import Launch
from forestay_bench.processes import busy_seconds, cpu_seconds, family, own_cpu_seconds, peak_memory
from forestay_bench.workers import Workers

#: Works for 0.2 s of CPU in a child, says so, and stays.
PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", '''
import time
while time.process_time() < 0.2: pass
print("MARK 5 1.5 0.2", flush=True)
time.sleep(60)
'''])
time.sleep(60)
"""


def await_line(workers: Workers, text: str) -> None:
    deadline = time.monotonic() + 30
    while not workers.all_said(text):
        assert time.monotonic() < deadline, workers.last_words()
        time.sleep(0.02)


def test_cpu_and_memory_of_children_count_and_all_end(tmp_path: Path) -> None:
    launch = Launch([sys.executable, "-c", PARENT], {})
    with Workers(launch, 2, tmp_path / "log.txt") as workers:
        await_line(workers, "MARK 5")
        assert workers.alive
        # Ticks of 0.01 s, which may fall on others of a busy machine; the parents alone would have 0.1 at most.
        assert workers.cpu >= 0.3
        assert workers.memory > 4 * 5
        assert workers.lines() == ["MARK 5 1.5 0.2"]
        members = [member for pid in workers.pids for member in family(pid)]
        assert len(members) == 4
    assert not workers.alive
    # The children are this test's to end: a worker of the bench has none that outlive it.
    for member in set(members) - set(workers.pids):
        subprocess.run(["kill", str(member)], check=False)


def test_who_has_ended_costs_nothing_more() -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    assert cpu_seconds([done.pid]) == 0.0
    assert peak_memory([done.pid]) == 0.0


def test_the_machine_has_worked_at_least_as_much_as_we() -> None:
    begin, own = busy_seconds(), own_cpu_seconds()
    while own_cpu_seconds() < own + 0.1:
        pass
    # Both count in steps of 0.01 s.
    assert busy_seconds() - begin >= 0.08


def test_the_machine_is_described() -> None:
    described = machine()
    assert re.search(r", \d+ cores$", described["processor"])
    assert described["broker"].startswith("Apache Kafka 4.1.0")


def test_without_a_jdk_a_java_peer_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(PeerUnavailableError, match="javac is missing"):
        classpath_of("kafka_streams")
