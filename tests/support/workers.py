"""Worker processes for tests: started, awaited, killed; and what is then on the topics."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from forestay.settings import Settings
from forestay.shell.kafka_clients import connection_options
from forestay.shell.topics import end_offsets

#: Seconds a worker may take to join its group and restore its state.
READY_WITHIN = 60.0


class WorkerProcess:
    """A worker in a process of its own."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "forestay", "worker"],
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: deque[str] = deque(maxlen=400)
        self._is_ready = False
        self._settled = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.log.append(line)
            if "worker ready" in line:
                self._is_ready = True
                self._settled.set()
        self._settled.set()

    def await_ready(self) -> None:
        assert self.is_ready_within(READY_WITHIN), "".join(self.log)

    def is_ready_within(self, seconds: float) -> bool:
        self._settled.wait(seconds)
        return self._is_ready

    def kill(self) -> None:
        """SIGKILL: no barrier, no farewell."""
        self._process.kill()
        self._end()

    def pause(self) -> None:
        """SIGSTOP: it stands still, and does not know it."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT, after `pause`."""
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self._process.send_signal(signal.SIGTERM)
        self._end()
        return self._process.returncode

    def close(self) -> None:
        """Ends it as `kill` does if it still runs; one that ended by itself holds a pipe too."""
        if self.running:
            self._process.kill()
        self._end()

    def ended_within(self, seconds: float) -> int:
        """Waits for it to end by itself; returns the exit code."""
        try:
            self._process.wait(seconds)
        finally:
            self.close()
        return self._process.returncode

    def _end(self) -> None:
        self._process.wait(60)
        self._reader.join(5)
        assert self._process.stderr is not None
        self._process.stderr.close()

    def records(self) -> int:
        """How many records it says it has worked off, after an orderly stop."""
        line = next(line for line in self.log if "stopped after" in line)
        return int(line.partition("records=")[2].split()[0]) if "records=" in line else 0

    @property
    def running(self) -> bool:
        return self._process.poll() is None


@contextmanager
def worker(environment: Mapping[str, str]) -> Iterator[WorkerProcess]:
    """A worker that is ready; killed at the end if the test has not stopped it."""
    process = WorkerProcess(environment)
    try:
        process.await_ready()
        yield process
    except BaseException:
        print("".join(process.log))
        raise
    finally:
        process.close()


def environment(settings: Settings) -> dict[str, str]:
    """The settings as a worker process reads them."""
    values: dict[str, str] = {}
    for group, fields in settings.model_dump(mode="json", exclude_defaults=True).items():
        if isinstance(fields, dict):
            values |= {f"FORESTAY_{group}__{name}".upper(): str(value) for name, value in fields.items()}
        else:
            values[f"FORESTAY_{group}".upper()] = str(fields)
    return values


class TopicReader:
    """Reads topics from their beginnings, as often as asked, and waits for what must come."""

    def __init__(self, settings: Settings, *topics: str) -> None:
        self._settings = settings
        self._consumer = KafkaConsumer(**connection_options(settings.kafka), enable_auto_commit=False)
        partitions = [TopicPartition(topic, n) for topic in topics for n in range(settings.topics.partitions)]
        self._consumer.assign(partitions)
        self._consumer.seek_to_beginning(*partitions)
        self._partitions = partitions
        self.records: list[Any] = []

    def read_to_end(self) -> list[Any]:
        counts = Counter(tp.topic for tp in self._partitions)
        ends = end_offsets(self._settings.kafka, counts)
        deadline = time.monotonic() + 60
        while any(self._consumer.position(tp) < ends[tp.topic][tp.partition] for tp in self._partitions):
            assert time.monotonic() < deadline, "the topic cannot be read to its end"
            self._poll()
        return self.records

    def await_count(self, count: int, within: float = 60.0) -> None:
        """Returns when at least `count` records have been read."""
        deadline = time.monotonic() + within
        while len(self.records) < count:
            assert time.monotonic() < deadline, f"{len(self.records)} of {count} records after {within} s"
            self._poll()

    def _poll(self) -> None:
        for batch in self._consumer.poll(200).values():
            self.records.extend(batch)

    def close(self) -> None:
        self._consumer.close()
