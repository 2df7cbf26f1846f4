"""A real Apache Kafka for tests: one node in KRaft mode, on loopback, ended with the process that started it.

Needs Java 17 and, the first time, Maven: it brings the jars (54 MB, 10 s) that tests/kafka/pom.xml pins. A script
writes `with KafkaServer(folder) as server: ... server.bootstrap ...`; the fixture is in `kafka_plugin`.
"""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from string import Template
from types import TracebackType
from typing import Self

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

_HERE = Path(__file__).parents[1] / "kafka"
_MAIN = "kafka.Kafka"
_STORAGE_TOOL = "kafka.tools.StorageTool"
_CLUSTER_ID = "Zm9yZXN0YXktdGVzdHM_Pw"
#: One garbage collector thread and the quick compiler alone: it starts in half the time on two busy cores.
_JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
_READY_SECONDS = 60.0
_STOP_SECONDS = 20.0
_MAVEN_SECONDS = 600.0
_LOG_TAIL = 3_000
#: Starts a program that the kernel kills with its parent, should that end without a word.
_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
os.execvp(sys.argv[2], sys.argv[2:])
"""


class KafkaUnavailableError(Exception):
    """Java or Maven is missing: the tests on a real Kafka have to be left out."""


class KafkaFailedError(Exception):
    """Kafka could be had, but did not start or stop as it should."""


def kafka_jars() -> Path:
    """Returns the folder with Kafka's jars; Maven brings them the first time.

    Raises:
        KafkaUnavailableError: Java is missing, or the jars are not there yet and Maven is missing.
        KafkaFailedError: Maven did not bring them.
    """
    if shutil.which("java") is None:
        raise KafkaUnavailableError("Java is missing (17 or newer; on Debian: apt install openjdk-17-jre-headless)")
    pom = _HERE / "pom.xml"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "forestay"
    jars = cache / f"kafka-{hashlib.sha256(pom.read_bytes()).hexdigest()[:16]}"
    if not jars.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="kafka-unfinished-") as folder:
            _download(pom, Path(folder) / "lib")
            # Who else brought them meanwhile was first; theirs are the same.
            with suppress(OSError):
                (Path(folder) / "lib").rename(jars)
    return jars


def _download(pom: Path, folder: Path) -> None:
    if shutil.which("mvn") is None:
        raise KafkaUnavailableError("Maven is missing (on Debian: apt install maven)")
    command = ["mvn", "--quiet", "--batch-mode", "--file", str(pom), "dependency:copy-dependencies"]
    maven = subprocess.run(
        [*command, f"-DoutputDirectory={folder}"], capture_output=True, text=True, timeout=_MAVEN_SECONDS, check=False
    )
    if maven.returncode != 0:
        raise KafkaFailedError(f"Maven did not bring Kafka's jars:\n{maven.stdout[-_LOG_TAIL:]}{maven.stderr}")


class KafkaServer:
    """A broker whose log lies in `folder`, and stays there from one start to the next.

    Start it from the main thread: the kernel ends it with the thread that started it.
    """

    def __init__(self, folder: Path) -> None:
        """Prepares the folder; nothing runs yet."""
        self.log = folder / "server.log"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        port, controller_port = _free_ports(2)
        self.bootstrap = f"127.0.0.1:{port}"
        self._address = ("127.0.0.1", port)
        template = Template((_HERE / "server.properties").read_text())
        text = template.substitute(port=port, controller_port=controller_port, data=folder / "data")
        self._properties = folder / "server.properties"
        self._properties.write_text(text)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Returns the broker's process id."""
        if self._process is None:
            raise KafkaFailedError("Kafka is not running")
        return self._process.pid

    def start(self) -> None:
        """Starts the broker and waits until it answers.

        Raises:
            KafkaUnavailableError: Java or Maven is missing.
            KafkaFailedError: it did not start.
        """
        if not (self._folder / "data").is_dir():
            self._format()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _WITH_PARENT, str(os.getpid()), *_java(_MAIN), self._properties],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until_ready(self._process, time.monotonic() + _READY_SECONDS)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Ends the broker in order.

        Raises:
            KafkaFailedError: it had to be killed.
        """
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise KafkaFailedError(f"Kafka had to be killed:\n{self._log_tail()}") from None
        self._process = None

    def kill(self) -> None:
        """Ends the broker as a power cut would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _format(self) -> None:
        command = [*_java(_STORAGE_TOOL), "format", "-t", _CLUSTER_ID, "-c", str(self._properties)]
        tool = subprocess.run(command, capture_output=True, text=True, timeout=_READY_SECONDS, check=False)
        if tool.returncode != 0:
            raise KafkaFailedError(f"the storage could not be formatted:\n{tool.stdout}{tool.stderr}")

    def _wait_until_ready(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise KafkaFailedError(f"Kafka ended with status {process.returncode}:\n{self._log_tail()}")
            if self._answers():
                return
            time.sleep(0.05)
        raise KafkaFailedError(f"Kafka did not answer within {_READY_SECONDS:.0f} s:\n{self._log_tail()}")

    def _answers(self) -> bool:
        """Says whether the broker answers a request, not only a connection."""
        try:
            socket.create_connection(self._address, timeout=1).close()
            with KafkaAdminClient(bootstrap_servers=self.bootstrap, bootstrap_timeout_ms=2_000) as admin:
                return bool(admin.describe_cluster()["brokers"])
        except (OSError, KafkaError):
            return False

    def _log_tail(self) -> str:
        return self.log.read_text(errors="replace")[-_LOG_TAIL:]


def _java(main: str) -> list[str]:
    return ["java", *_JVM, f"-Dlog4j2.configurationFile={_HERE / 'log4j2.yaml'}", "-cp", f"{kafka_jars()}/*", main]


def _free_ports(count: int) -> list[int]:
    """Returns ports nobody listens on; they are all held until the last is found, so that they differ."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [listener.getsockname()[1] for listener in held]
    for listener in held:
        listener.close()
    return ports
