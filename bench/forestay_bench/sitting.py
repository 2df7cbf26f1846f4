"""A sitting: one broker, the topics loaded once, and one run after another on it."""

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from forestay_bench.broker import Broker
from forestay_bench.errors import BenchError, EngineMissingError, PeerUnavailableError, RunFailedError
from forestay_bench.expected import Expected, expect
from forestay_bench.installs import python_of
from forestay_bench.measuring import Loaded, measure
from forestay_bench.paths import BENCH, CACHE
from forestay_bench.peers import Peer
from forestay_bench.results import Measurement
from forestay_bench.screen import Screen
from forestay_bench.stream import KEY, Stream, StreamSpec, stream
from forestay_bench.windows import Window


@dataclass
class Outcome:
    """What a sitting has brought: runs, who was left out and why, and what failed."""

    runs: list[Measurement] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class Sitting:
    """Runs peers on the streams they are given; what failed is told, and the next goes on."""

    def __init__(self, broker: Broker, logs: Path, screen: Screen, attempts: int) -> None:
        """Takes a broker that is up."""
        self.outcome = Outcome()
        self.broker = broker
        self.logs = logs
        self.screen = screen
        self._attempts = attempts
        self._topics: dict[StreamSpec, tuple[Stream, str]] = {}
        self._expected: dict[tuple[StreamSpec, tuple[Window, ...]], Expected] = {}

    @classmethod
    @contextmanager
    def open(cls, out: Path, screen: Screen, attempts: int = 2) -> Iterator[Self]:
        """Starts a broker for it, in a folder that goes with it (3 M events: 1 GB); the workers' logs go to `out`.

        A run that others disturb is done again, up to so many `attempts`.
        """
        CACHE.mkdir(parents=True, exist_ok=True)
        logs = out / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="kafka-", dir=CACHE) as folder, Broker(Path(folder)) as broker:
            yield cls(broker, logs, screen, attempts)

    def run(self, peer: Peer, spec: StreamSpec) -> Measurement | None:
        """Runs a peer; once more if others disturbed it. Returns None where it could not be run."""
        try:
            measured = self._measured(peer, self.loaded(spec, peer.windows))
        except PeerUnavailableError as error:
            self.outcome.left_out.append(f"{peer.title}: {error}")
        except (EngineMissingError, RunFailedError) as error:
            self.outcome.failures.append(f"{peer.title}: {error}")
        else:
            self.outcome.runs.append(measured)
            self.outcome.failures.extend(f"{peer.title}: {problem}" for problem in measured.problems)
            self.screen.measured(measured)
            return measured
        self.screen.note((self.outcome.left_out + self.outcome.failures)[-1])
        return None

    def _measured(self, peer: Peer, loaded: Loaded) -> Measurement:
        tries: list[Measurement] = []
        for _ in range(self._attempts):
            with self.screen.step(peer.title) as tell:
                tries.append(measure(peer, loaded, self.broker, self.logs, tell))
            if not tries[-1].disturbed:
                break
        return min(tries, key=lambda run: run.others_cpu_seconds)

    def loaded(self, spec: StreamSpec, windows: tuple[Window, ...]) -> Loaded:
        """Returns the topic with these events, made and filled at the first asking."""
        if spec not in self._topics:
            with self.screen.step(f"{spec.events:,} events are made") as tell:
                events = stream(spec, CACHE, lambda done: tell(done / spec.events))
            topic = f"{spec.name}-events"
            self.broker.create(topic)
            with self.screen.step(f"{spec.events:,} events go to the broker") as tell:
                _load(self.broker.bootstrap, topic, events, tell)
            self._topics[spec] = events, topic
        events, topic = self._topics[spec]
        if (spec, windows) not in self._expected:
            self._expected[spec, windows] = expect(events, windows)
        return Loaded(topic, spec.events, self._expected[spec, windows])


def _load(bootstrap: str, topic: str, events: Stream, tell: Callable[[float], object]) -> None:
    script = BENCH / "python" / "load_topic.py"
    where: Sequence[str] = (bootstrap, topic, str(events.file), str(KEY.start), str(KEY.stop))
    command = [str(python_of("reference")), str(script), *where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as loader:  # noqa: S603
        assert loader.stdout is not None  # noqa: S101
        for line in loader.stdout:
            tell(int(line) / events.spec.events)
    if loader.returncode != 0:
        raise BenchError(f"the events did not get to the broker: {script.name} ended with {loader.returncode}")
