"""A real Apache Kafka for tests: one node in KRaft mode, on loopback, ended with the process that started it.

Needs Java 17 and, the first time, Maven: it brings the jars (54 MB, 10 s) that tests/kafka/pom.xml pins. A script
writes `with KafkaServer(folder) as server: ... server.bootstrap ...`; the fixture is in `kafka_plugin`.
"""

import hashlib
import signal
import socket
import subprocess
import time
from pathlib import Path
from string import Template
from types import TracebackType
from typing import Self

from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from support.java import LOG_TAIL, JavaFailedError, brought, free_ports, java, maven, start_server

_HERE = Path(__file__).parents[1] / "kafka"
_MAIN = "kafka.Kafka"
_STORAGE_TOOL = "kafka.tools.StorageTool"
_CLUSTER_ID = "Zm9yZXN0YXktdGVzdHM_Pw"
_READY_SECONDS = 60.0
_STOP_SECONDS = 20.0


def kafka_jars() -> Path:
    """Returns the folder with Kafka's jars; Maven brings them the first time.

    Raises:
        JavaUnavailableError: Java is missing, or the jars are not there yet and Maven is missing.
        JavaFailedError: Maven did not bring them.
    """
    pom = _HERE / "pom.xml"

    def bring(folder: Path) -> Path:
        jars = folder / "lib"
        maven("Kafka's jars", folder, "--file", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={jars}")
        return jars

    return brought(f"kafka-{hashlib.sha256(pom.read_bytes()).hexdigest()[:16]}", bring)


class KafkaServer:
    """A broker whose log lies in `folder`, and stays there from one start to the next.

    Start it from the main thread: the kernel ends it with the thread that started it.
    """

    def __init__(self, folder: Path) -> None:
        """Prepares the folder; nothing runs yet."""
        self.log = folder / "server.log"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        port, controller_port = free_ports(2)
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
            raise JavaFailedError("Kafka is not running")
        return self._process.pid

    def start(self) -> None:
        """Starts the broker and waits until it answers.

        Raises:
            JavaUnavailableError: Java or Maven is missing.
            JavaFailedError: it did not start.
        """
        if not (self._folder / "data").is_dir():
            self._format()
        self._process = start_server([*_java(_MAIN), str(self._properties)], self._folder, self.log)
        try:
            self._wait_until_ready(self._process, time.monotonic() + _READY_SECONDS)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Ends the broker in order.

        Raises:
            JavaFailedError: it had to be killed.
        """
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise JavaFailedError(f"Kafka had to be killed:\n{self._log_tail()}") from None
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
            raise JavaFailedError(f"the storage could not be formatted:\n{tool.stdout}{tool.stderr}")

    def _wait_until_ready(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise JavaFailedError(f"Kafka ended with status {process.returncode}:\n{self._log_tail()}")
            if self._answers():
                return
            time.sleep(0.05)
        raise JavaFailedError(f"Kafka did not answer within {_READY_SECONDS:.0f} s:\n{self._log_tail()}")

    def _answers(self) -> bool:
        """Says whether the broker answers a request, not only a connection."""
        try:
            socket.create_connection(self._address, timeout=1).close()
            with KafkaAdminClient(bootstrap_servers=self.bootstrap, bootstrap_timeout_ms=2_000) as admin:
                return bool(admin.describe_cluster()["brokers"])
        except (OSError, KafkaError):
            return False

    def _log_tail(self) -> str:
        return self.log.read_text(errors="replace")[-LOG_TAIL:]


def kafka_classpath() -> list[str]:
    """Returns the options with which Java finds Kafka and its logging."""
    return [f"-Dlog4j2.configurationFile={_HERE / 'log4j2.yaml'}", "-cp", f"{kafka_jars()}/*"]


def _java(main: str) -> list[str]:
    return java(*kafka_classpath(), main)
