"""Three brokers of Apache Kafka in KRaft mode, on loopback: each is a controller too, and can be killed alone."""

import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from support.java import JavaFailedError, free_ports, java, start_server
from support.kafka import kafka_classpath

from forestay.settings import TopicSettings
from forestay.shell.topics import roles, topic_configs
from forestay_chaos.errors import ChaosError

NODES: Final = 3
#: Three heaps beside workers and Triton on a small machine.
_HEAP: Final = ("-Xms96m", "-Xmx256m")
_CLUSTER_ID: Final = "Zm9yZXN0YXktY2hhb3MtMw"
_UP_SECONDS: Final = 90.0
_FORMAT_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 20.0
#: A broker may be stalled while it is asked: others are asked then.
_ASK_MS: Final = 4_000
#: Roles whose records carry the broker's time: recovery is measured by it.
TIMED: Final = ("decisions", "actions", "dead_letters")
_PROPERTIES: Final = """
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={data}
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
transaction.state.log.num.partitions=3
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
share.coordinator.state.topic.num.partitions=1
unclean.leader.election.enable=false
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
controller.quorum.fetch.timeout.ms=1500
controller.quorum.election.timeout.ms=800
controller.quorum.request.timeout.ms=1500
replica.lag.time.max.ms=3000
replica.socket.timeout.ms=3000
replica.fetch.wait.max.ms=200
controlled.shutdown.enable=true
auto.create.topics.enable=false
auto.leader.rebalance.enable=true
leader.imbalance.check.interval.seconds=10
log.segment.delete.delay.ms=500
num.network.threads=2
num.io.threads=4
num.replica.fetchers=1
log.cleaner.dedupe.buffer.size=16777216
"""


class Node:
    """One broker, whose log stays from one start to the next."""

    def __init__(self, number: int, folder: Path, port: int, controller: int, voters: str) -> None:
        """Prepares its folder; nothing runs yet."""
        self.number = number
        self.port = port
        self.log = folder / "server.log"
        self.stalled = False
        self._folder = folder
        folder.mkdir()
        self._properties = folder / "server.properties"
        text = _PROPERTIES.format(node=number, voters=voters, port=port, controller=controller, data=folder / "data")
        self._properties.write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def begin_format(self) -> subprocess.Popen[bytes]:
        """Begins to make its storage."""
        tool = ("kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(self._properties))
        return start_server(_java(*tool), self._folder, self.log)

    @property
    def running(self) -> bool:
        """Says whether its process is there, stalled or not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts it; call it from the main thread (`start_server` says why)."""
        if not self.running:
            self.stalled = False
            self._process = start_server(_java("kafka.Kafka", str(self._properties)), self._folder, self.log)

    def send(self, number: signal.Signals) -> None:
        """Sends it a signal; SIGSTOP stalls it until SIGCONT."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            if number in (signal.SIGSTOP, signal.SIGCONT):
                self.stalled = number == signal.SIGSTOP

    def kill(self) -> None:
        """Ends it as a power cut would, but for what the system still writes to disk."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self.stalled = False

    def wait(self, seconds: float) -> None:
        """Waits for its end after SIGTERM; kills it then."""
        if self._process is not None:
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None


class Cluster:
    """The brokers together, and what is asked of them. Use it from the main thread."""

    def __init__(self, folder: Path) -> None:
        """Prepares; `with` starts and ends it."""
        ports = free_ports(2 * NODES)
        numbers = range(1, NODES + 1)
        controllers = dict(zip(numbers, ports[NODES:], strict=True))
        voters = ",".join(f"{number}@127.0.0.1:{port}" for number, port in controllers.items())
        self.nodes = [
            Node(number, folder / f"broker-{number}", ports[number - 1], controllers[number], voters)
            for number in numbers
        ]
        self.bootstrap = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def __enter__(self) -> Self:
        try:
            self._format()
            for node in self.nodes:
                node.start()
            self.await_whole(_UP_SECONDS)
            self._warm_up(_UP_SECONDS)
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Kills all: nobody needs the logs any more."""
        for node in self.nodes:
            node.kill()

    def _format(self) -> None:
        tools = [(node, node.begin_format()) for node in self.nodes]
        for node, tool in tools:
            try:
                if tool.wait(_FORMAT_SECONDS) != 0:
                    raise JavaFailedError(f"the storage could not be formatted: see {node.log}")
            finally:
                tool.kill()

    def _warm_up(self, within: float) -> None:
        """Lets the brokers make the topic of offsets, which they do when first asked for a group."""
        deadline = time.monotonic() + within
        while True:
            try:
                with self.admin() as admin:
                    admin.list_group_offsets(["warm-up"])
            except KafkaError as error:
                if time.monotonic() > deadline:
                    raise ChaosError(f"no broker coordinates groups: {error!r}") from error
                time.sleep(0.2)
            else:
                return

    # -- health ----------------------------------------------------------------------------------------

    def mend(self) -> None:
        """Begins to undo what was done to brokers: starts the dead, continues the stalled."""
        for node in self.nodes:
            if node.stalled:
                node.send(signal.SIGCONT)
            node.start()

    def await_whole(self, within: float) -> None:
        """Returns when all brokers are members and all replicas in sync.

        Raises:
            ChaosError: they are not within so many seconds.
        """
        deadline = time.monotonic() + within
        said = "no answer"
        while time.monotonic() < deadline:
            for node in self.nodes:
                if not node.running:
                    raise ChaosError(f"broker {node.number} has ended by itself: see {node.log}")
            try:
                for node in self.nodes:
                    # A broker that was killed is a member until its session is over: only its port tells.
                    socket.create_connection(("127.0.0.1", node.port), timeout=1).close()
                with self.admin() as admin:
                    if not (said := _missing(admin)):
                        return
            except (KafkaError, OSError) as error:
                said = repr(error)
            time.sleep(0.2)
        raise ChaosError(f"the cluster is not whole after {within:g} s: {said}; logs in {self.nodes[0].log.parent}")

    def controller(self) -> Node:
        """Returns the broker that is the active controller.

        Raises:
            kafka.errors.KafkaError: nobody tells.
        """
        with self.admin() as admin:
            quorum = admin.describe_metadata_quorum()
        leader = quorum["topics"][0]["partitions"][0]["leader_id"]
        return next(node for node in self.nodes if node.number == leader)

    def admin(self) -> "closing[KafkaAdminClient]":
        """Returns an admin client that is closed at the end."""
        return closing(
            KafkaAdminClient(
                bootstrap_servers=self.bootstrap.split(","),
                request_timeout_ms=_ASK_MS,
                bootstrap_timeout_ms=_ASK_MS,
            )
        )

    # -- topics and groups -----------------------------------------------------------------------------

    def declare(self, topics: TopicSettings) -> None:
        """Makes a run's topics as `forestay topics declare` does, but with the broker's time on those of `TIMED`."""
        wanted = {}
        for role, name in roles(topics).items():
            configs = topic_configs(role, topics.replication_factor)
            if role in TIMED:
                configs["message.timestamp.type"] = "LogAppendTime"
            wanted[name] = {
                "num_partitions": topics.partitions,
                "replication_factor": topics.replication_factor,
                "configs": configs,
            }
        with self.admin() as admin:
            admin.create_topics(wanted)
            admin.wait_for_topics(list(wanted))

    def delete(self, topics: Sequence[str], group: str) -> None:
        """Deletes a run's topics and group."""
        with self.admin() as admin:
            admin.delete_topics(list(topics))
            admin.delete_groups([group])

    def caught_up(self, group: str, topics: Mapping[str, int]) -> bool:
        """Says whether the group has committed all that is on the topics, given with the number of their partitions.

        What no reader ever sees, the marks of transactions, counts as committed.

        Raises:
            kafka.errors.KafkaError: nobody tells.
        """
        asked = [TopicPartition(name, number) for name, count in topics.items() for number in range(count)]
        with self.admin() as admin:
            committed = {tp: position.offset for tp, position in admin.list_group_offsets([group])[group].items()}
        starts = {tp: max(committed.get(tp, 0), 0) for tp in asked}
        with self.reader() as reader:
            ends = reader.end_offsets(asked)
            open_ = {tp: end for tp, end in ends.items() if starts[tp] < end}
            return not open_ or _nothing_between(reader, starts, open_)

    def ends(self, topics: Mapping[str, int]) -> dict[TopicPartition, int]:
        """Returns the ends of topics, given with the number of their partitions.

        Raises:
            kafka.errors.KafkaError: nobody tells.
        """
        asked = [TopicPartition(name, number) for name, count in topics.items() for number in range(count)]
        with self.reader() as reader:
            return dict(reader.end_offsets(asked))

    def reader(self) -> "closing[KafkaConsumer]":
        """Returns a consumer without a group, of what is committed, that is closed at the end."""
        return closing(
            KafkaConsumer(
                bootstrap_servers=self.bootstrap.split(","),
                group_id=None,
                enable_auto_commit=False,
                isolation_level="read_committed",
                request_timeout_ms=_ASK_MS,
                bootstrap_timeout_ms=_ASK_MS,
                fetch_max_wait_ms=50,
            )
        )


def _nothing_between(
    reader: KafkaConsumer, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> bool:
    """Says whether nobody can read a record between these offsets."""
    reader.assign(list(ends))
    for tp in ends:
        reader.seek(tp, starts[tp])
    deadline = time.monotonic() + _ASK_MS / 1_000
    while time.monotonic() < deadline:
        if any(reader.poll(timeout_ms=100).values()):
            return False
        if all(reader.position(tp) >= end for tp, end in ends.items()):
            return True
    return False


def _missing(admin: KafkaAdminClient) -> str:
    """Returns in words what is missing for a whole cluster, nothing if it is whole."""
    brokers = len(admin.describe_cluster()["brokers"])
    if brokers < NODES:
        return f"{brokers} of {NODES} brokers are members"
    for topic in admin.describe_topics():
        for partition in topic["partitions"]:
            if len(partition["isr_nodes"]) < len(partition["replica_nodes"]) or partition["leader_id"] < 0:
                return f"{topic['name']} is not in sync on all its replicas"
    return ""


def _java(*arguments: str) -> list[str]:
    command = java(*kafka_classpath(), *arguments)
    # Of two options that set the same, the last counts; both stand before the main class.
    return [command[0], *command[1 : -len(arguments)], *_HEAP, *arguments]
