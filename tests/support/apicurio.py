"""A real schema registry for tests: Apicurio Registry, which speaks Confluent's API, in memory and on loopback.

Needs Java 17 and, the first time, Maven: it brings one archive (109 MB) from Maven Central. It is up in 3 s,
takes 260 MB, and ends with the process that started it.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from support.kafka import _JVM, _WITH_PARENT, _free_ports
from support.registry import post_schema

#: 3.0 is the last that runs on Java 17. Its parent is not in Maven Central, so no pom.xml can name it.
_ARTIFACT = "io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all"
_SHA256 = "2b28181501a20cbf6efcd77f9b7153908fc01f3d3a7c32024c0bd9e1b04c8a43"
#: Newer ones ask for the parent.
_GET = "org.apache.maven.plugins:maven-dependency-plugin:2.8:get"
_API = "/apis/ccompat/v7"
_READY_SECONDS = 60.0
_STOP_SECONDS = 20.0
_MAVEN_SECONDS = 600.0
_LOG_TAIL = 3_000


class ApicurioUnavailableError(Exception):
    """Java or Maven is missing: the tests on a real registry have to be left out."""


class ApicurioFailedError(Exception):
    """The registry could be had, but did not start."""


def apicurio_jar() -> Path:
    """Returns the registry's jar, its libraries beside it; Maven brings them the first time.

    Raises:
        ApicurioUnavailableError: Java is missing, or the jar is not there yet and Maven is missing.
        ApicurioFailedError: Maven did not bring it.
    """
    if shutil.which("java") is None:
        raise ApicurioUnavailableError("Java is missing (17 or newer; Debian: apt install openjdk-17-jre-headless)")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "forestay"
    home = cache / f"apicurio-{_SHA256[:16]}"
    if not home.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="apicurio-unfinished-") as folder:
            _download(Path(folder))
            # Who else brought it meanwhile was first; theirs is the same.
            with suppress(OSError):
                (Path(folder) / "home").rename(home)
    return next(home.glob("apicurio-registry-app-*-runner.jar"))


def _download(folder: Path) -> None:
    if shutil.which("mvn") is None:
        raise ApicurioUnavailableError("Maven is missing (on Debian: apt install maven)")
    command = ["mvn", "--quiet", "--batch-mode", _GET, f"-Dartifact={_ARTIFACT}", "-Dtransitive=false"]
    # Its own folder: a pom.xml where the tests were started is none of its business.
    command.append(f"-Dmaven.repo.local={folder / 'repository'}")
    maven = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_MAVEN_SECONDS, check=False)
    if maven.returncode != 0:
        raise ApicurioFailedError(f"Maven did not bring the registry:\n{maven.stdout[-_LOG_TAIL:]}{maven.stderr}")
    archive = next(folder.glob("repository/io/apicurio/**/*.tar.gz"))
    with archive.open("rb") as content:
        if hashlib.file_digest(content, "sha256").hexdigest() != _SHA256:
            raise ApicurioFailedError(f"{archive.name} is not what it was when it was pinned")
    with tarfile.open(archive) as content:
        content.extractall(folder / "home", filter="data")


class Apicurio:
    """A registry that keeps its schemas in memory. Start it from the main thread: it ends with the thread."""

    def __init__(self, folder: Path) -> None:
        """Nothing runs yet; the log goes into `folder`."""
        (self._port,) = _free_ports(1)
        self.url = f"http://127.0.0.1:{self._port}{_API}"
        self._folder = folder
        self._log = folder / "apicurio.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        address = ("-Dquarkus.http.host=127.0.0.1", f"-Dquarkus.http.port={self._port}")
        command = ["java", *_JVM, *address, "-jar", str(apicurio_jar())]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _WITH_PARENT, str(os.getpid()), *command],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
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
                raise ApicurioFailedError(f"the registry ended with status {process.returncode}:\n{self._tail()}")
            with suppress(OSError), urllib.request.urlopen(f"{self.url}/subjects", timeout=1):  # noqa: S310 - loopback
                return
            time.sleep(0.05)
        raise ApicurioFailedError(f"the registry did not answer within {_READY_SECONDS:.0f} s:\n{self._tail()}")

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-_LOG_TAIL:]
