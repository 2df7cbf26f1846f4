"""One run: topics of its own, workers, traffic and faults; then everything is mended, worked off, read and judged."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from kafka.errors import KafkaError

from forestay.shell.topics import roles
from forestay_chaos.cluster import Cluster
from forestay_chaos.engines import FORESTAY, Engine
from forestay_chaos.environment import Where, environment, of_worker, topics_of
from forestay_chaos.errors import ChaosError
from forestay_chaos.faults import schedule, stall_seconds, victim_options, wake
from forestay_chaos.field import Blow, Field
from forestay_chaos.outcome import Outcome
from forestay_chaos.read_record import ReadRecord
from forestay_chaos.reading import keep, read_all
from forestay_chaos.recording import Recorder
from forestay_chaos.recovery import outcomes, recovery
from forestay_chaos.replaying import replayed
from forestay_chaos.scenario import Scenario
from forestay_chaos.sending import Sender
from forestay_chaos.settling import Settling
from forestay_chaos.traffic import Traffic, make_traffic
from forestay_chaos.triton import TritonSeat
from forestay_chaos.workers import Worker, Workers

_READY_SECONDS: Final = 60.0
#: For all that was sent to be worked off, from the last fault's end on: then the run is stuck.
_WORK_OFF_SECONDS: Final = 90.0
_END_SECONDS: Final = 25.0
_READ_SECONDS: Final = 60.0
_TICK: Final = 0.03

Tell = Callable[[str], None]


class Run:
    """A run of a scenario on a cluster that is whole."""

    def __init__(
        self, scenario: Scenario, cluster: Cluster, triton: TritonSeat, folder: Path, engine: Engine = FORESTAY
    ) -> None:
        """Prepares it; what its processes say goes to `folder`."""
        self._engine = engine
        self._scenario = scenario
        self._cluster = cluster
        self._folder = folder
        self._name = f"chaos-{scenario.seed}-{os.getpid()}-{time.monotonic_ns() // 1_000_000}"
        traffic = make_traffic(scenario.seed, scenario.seconds, scenario.rate, scenario.partitions)
        self._traffic: Traffic = engine.traffic(traffic)
        self._topics = topics_of(self._name, scenario.partitions)
        where = Where(self._name, cluster.bootstrap, triton.address, self._topics)
        self._environment = environment(scenario, where, self._traffic.settings())
        self._made = 0
        self._reloaded = False
        self._outcome = Outcome(scenario)
        workers = Workers([self._worker() for _ in range(scenario.workers)])
        records = any(fault.kind == "recorder-disk-full" for fault in scenario.faults)
        recorder = Recorder(self._environment, folder) if records else None
        self._field = Field(scenario, cluster, triton, workers, recorder, self._worker, folder)
        self._sender = Sender(cluster.bootstrap, self._names(), self._traffic.records, self._traffic.barriers)

    def _names(self) -> dict[str, str]:
        return roles(self._topics)

    def _worker(self) -> Worker:
        number, self._made = self._made, self._made + 1
        victim = (
            victim_options(self._scenario.faults, number, self._folder) if number < self._scenario.workers else ()
        )
        environment = self._environment | of_worker(self._scenario, f"w{number}")
        return Worker(f"w{number}", environment, self._folder, victim, self._engine.module)

    def play(self, tell: Tell = lambda _: None) -> Outcome:
        """Plays it and returns what it came to.

        Raises:
            ChaosError: the harness could not do its work.
        """
        began = time.monotonic()

        def say(what: str) -> None:
            tell(what)
            self._field.note(what)

        try:
            say("topics and workers")
            _patiently(lambda: self._cluster.declare(self._topics))
            self._play(say)
        finally:
            say("mending")
            self._field.workers.end()
            # First, so that what the sender still holds can go.
            self._cluster.mend()
            self._sender.stop()
            if self._field.recorder is not None:
                self._field.recorder.end()
            self._mend()
            self._delete()
        self._outcome.seconds = time.monotonic() - began
        return self._outcome

    def _play(self, tell: Tell) -> None:
        field = self._field
        if field.recorder is not None:
            field.recorder.start()
        field.workers.start(_READY_SECONDS)
        field.begin()
        self._sender.start()
        schedule(field)
        tell("traffic and faults")
        self._work(tell)
        tell("end")
        if not self._outcome.stuck:
            self._outcome.unclean = field.workers.end_in_order(_END_SECONDS)
        field.workers.end()
        if field.recorder is not None and (problem := field.recorder.complete()):
            self._outcome.recorder.append(problem)
        tell("oracle")
        read = read_all(self._cluster, self._names(), self._scenario.partitions, _READ_SECONDS)
        everything = self._folder / "topics.parquet"
        keep(read, dict.fromkeys(self._topics.names, self._scenario.partitions), everything)
        self._judge(read)
        if self._engine is FORESTAY and not self._outcome.stuck:
            self._outcome.replay = replayed(everything, self._environment)

    # -- while it goes on ------------------------------------------------------------------------------

    def _work(self, tell: Tell) -> None:
        """Lets time pass until all is sent and worked off, or the run is stuck."""
        settling = Settling(self._worked_off, self._settled_after)
        deadline = time.monotonic() + self._scenario.seconds + 2 * _WORK_OFF_SECONDS
        woken: set[str] = set()
        while self._goes_on(settling, tell):
            self._wake_later(woken)
            if time.monotonic() > deadline or settling.waited > _WORK_OFF_SECONDS:
                self._outcome.stuck = f"not all was worked off {settling.waited:.0f} s after it was sent"
                break
            time.sleep(_TICK)
        if self._sender.failure:
            raise ChaosError(f"the traffic could not be sent: {self._sender.failure}")

    def _goes_on(self, settling: Settling, tell: Tell) -> bool:
        """Does what is due; says whether there is more to come."""
        field, sender = self._field, self._sender
        field.tick()
        try:
            field.workers.supervise()
        except ChaosError as error:
            self._outcome.stuck = str(error)
            return False
        if not field.quiet or not (sender.waits or sender.done):
            settling.begin()
        elif settling.settled():
            if sender.done:
                return False
            tell("after a barrier")
            self._reload()
            sender.let_through()
            settling.begin()
        return True

    def _reload(self) -> None:
        """Kills all workers once, so that those who come after have nothing but what is durable."""
        if self._scenario.reload and not self._reloaded:
            self._reloaded = True
            self._field.did("worker-kill-all", "all have to read their state again")
            for worker in self._field.workers.all:
                worker.signal(signal.SIGKILL)

    def _wake_later(self, woken: set[str]) -> None:
        """Lets those who stopped themselves go on when their session is over."""
        for worker in self._field.workers.all:
            if worker.stopped_itself and worker.log.name not in woken:
                woken.add(worker.log.name)
                self._field.note(f"{worker.name} stands still")
                self._field.later(stall_seconds(self._field), partial(wake, self._field, worker))

    @property
    def _settled_after(self) -> float:
        """Returns for how long all must be committed: a state that moves to another partition goes a commit later."""
        return 1.5 * self._scenario.commit + 0.3

    def _worked_off(self) -> bool:
        """Says whether the group has committed all that is on its sources."""
        try:
            names = self._names()
            sources = dict.fromkeys((names[role] for role in self._engine.sources), self._scenario.partitions)
            return self._cluster.caught_up(self._name, sources)
        except KafkaError:
            return False

    # -- afterwards --------------------------------------------------------------------------------------

    def _judge(self, read: Mapping[str, list[ReadRecord]]) -> None:
        outcome, field = self._outcome, self._field
        outcome.verdict = self._engine.judge(self._traffic, read, not outcome.stuck)
        if field.recorder is not None:
            outcome.recorder += field.recorder.compare(read)
        blows = [*field.blows, *self._struck()]
        outcome.done = field.done + [blow.kind for blow in self._struck()]
        outcome.unasked = field.workers.unasked
        if any(fault.kind == "clock-jump" for fault in self._scenario.faults):
            return
        found = outcomes(read)
        for blow in blows:
            seconds = recovery(blow, found)
            if blow.signal in ("SIGKILL", "SIGTERM") and seconds is not None:
                outcome.recoveries.setdefault(blow.signal, []).append(round(seconds, 3))

    def _struck(self) -> list[Blow]:
        """Returns the blows that victims dealt themselves."""
        words = {"SIGKILL": "kill", "SIGTERM": "term", "SIGSTOP": "stall"}
        return [
            Blow(f"worker-{words[strike.signal]}@{strike.stage}", strike.signal, strike.moment, strike.partitions)
            for worker in self._field.workers.all
            for strike in worker.strikes()
        ]

    def _mend(self) -> None:
        """Makes broker and Triton whole for the next run."""
        self._cluster.mend()
        self._field.triton.await_mended()
        self._cluster.await_whole(_WORK_OFF_SECONDS)

    def _delete(self) -> None:
        """Deletes the topics; a broker that refuses leaves them, which costs room and nothing else."""
        try:
            own = [name.format(group=self._name) for name in self._engine.own_topics]
            self._cluster.delete([*self._topics.names, *own], self._name)
        except KafkaError as error:
            self._field.note(f"the topics are left: {error!r}")


def _patiently(action: Callable[[], object], within: float = 30.0) -> None:
    deadline = time.monotonic() + within
    while True:
        try:
            action()
        except KafkaError as error:
            if time.monotonic() > deadline:
                raise ChaosError(f"the cluster does not do as asked: {error!r}") from error
            time.sleep(0.3)
        else:
            return
