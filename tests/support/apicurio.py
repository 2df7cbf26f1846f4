"""A real schema registry for tests: Apicurio Registry, which speaks Confluent's API, in memory and on loopback.

Needs Java 17 and, the first time, Maven: it brings one archive (109 MB) from Maven Central. It is up in 3 s,
takes 260 MB, and ends with the process that started it.
"""

import hashlib
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from support.java import LOG_TAIL, JavaFailedError, brought, free_ports, java, maven, start_server
from support.registry import post_schema

#: 3.0 is the last that runs on Java 17. Its parent is not in Maven Central, so no pom.xml can name it.
_ARTIFACT = "io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all"
_SHA256 = "2b28181501a20cbf6efcd77f9b7153908fc01f3d3a7c32024c0bd9e1b04c8a43"
#: Newer ones ask for the parent.
_GET = "org.apache.maven.plugins:maven-dependency-plugin:2.8:get"
_API = "/apis/ccompat/v7"
_READY_SECONDS = 60.0
_STOP_SECONDS = 20.0


def apicurio_jar() -> Path:
    """Returns the registry's jar, its libraries beside it; Maven brings them the first time.

    Raises:
        JavaUnavailableError: Java is missing, or the jar is not there yet and Maven is missing.
        JavaFailedError: Maven did not bring it.
    """
    return next(brought(f"apicurio-{_SHA256[:16]}", _bring).glob("apicurio-registry-app-*-runner.jar"))


def _bring(folder: Path) -> Path:
    repository = folder / "repository"
    get = (_GET, f"-Dartifact={_ARTIFACT}", "-Dtransitive=false", f"-Dmaven.repo.local={repository}")
    maven("the registry", folder, *get)
    archive = next(repository.glob("io/apicurio/**/*.tar.gz"))
    with archive.open("rb") as content:
        if hashlib.file_digest(content, "sha256").hexdigest() != _SHA256:
            raise JavaFailedError(f"{archive.name} is not what it was when it was pinned")
    with tarfile.open(archive) as content:
        content.extractall(folder / "home", filter="data")
    return folder / "home"


class Apicurio:
    """A registry that keeps its schemas in memory. Start it from the main thread: it ends with the thread."""

    def __init__(self, folder: Path) -> None:
        """Nothing runs yet; the log goes into `folder`."""
        (self._port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self._port}{_API}"
        self._folder = folder
        self._log = folder / "apicurio.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        address = ("-Dquarkus.http.host=127.0.0.1", f"-Dquarkus.http.port={self._port}")
        command = java(*address, "-jar", str(apicurio_jar()))
        self._process = start_server(command, self._folder, self._log)
        try:
            self._wait_until_ready(self._process, time.monotonic() + _READY_SECONDS)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    async def register(
        self, subject: str, text: str, kind: str = "AVRO", references: Sequence[tuple[str, str, int]] = ()
    ) -> int:
        """Registers a schema; returns its id."""
        return await post_schema(self.url, subject, text, kind, references)

    def _wait_until_ready(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise JavaFailedError(f"the registry ended with status {process.returncode}:\n{self._tail()}")
            with suppress(OSError), urllib.request.urlopen(f"{self.url}/subjects", timeout=1):  # noqa: S310 - loopback
                return
            time.sleep(0.05)
        raise JavaFailedError(f"the registry did not answer within {_READY_SECONDS:.0f} s:\n{self._tail()}")

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-LOG_TAIL:]
